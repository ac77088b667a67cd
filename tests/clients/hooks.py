"""What a schema cannot say of valid requests."""

import json
import os
import urllib.request

import schemathesis
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

# Endpoints must be on public hosts.
schemathesis.openapi.format("uri", st.from_regex(r"https://[a-z]{1,20}\.example\.com/[a-z0-9/]{0,40}", fullmatch=True))


def own_key():
    """The id of the key that the run itself uses: the first there was, and ids grow."""
    asked = urllib.request.Request(os.environ["GITLEADS_URL"] + "/v1/api-keys")
    asked.add_header("Authorization", "Bearer " + os.environ["GITLEADS_KEY"])
    with urllib.request.urlopen(asked) as answer:
        return min(key["id"] for key in json.load(answer)["data"])


OWN_KEY = own_key()


@schemathesis.hook
def before_call(context, case, kwargs):
    """A cursor cannot be made up, a moment must not be to come, and a position be in the log; the generated clients and the
    suite use them."""
    meta = case.meta
    is_valid = meta is None or meta.generation.mode == GenerationMode.POSITIVE
    # A header that nobody knows leaves a request valid.
    is_valid = is_valid or "x-schemathesis-unknown-property" in (case.headers or {})
    if is_valid and case.query:
        case.query = {name: value for name, value in case.query.items() if name not in ("cursor", "as_of", "after")}
    # A well-formed position is waited for whatever else is wrong with the request, for two seconds each.
    if case.headers and (is_valid or str(case.headers.get("GitLeads-Position", "")).isdigit()):
        case.headers.pop("GitLeads-Position", None)
    if is_valid and case.headers:
        case.headers.pop("Last-Event-ID", None)
    if is_valid and isinstance(case.body, dict):
        mend_body(case.body)
    # Without its key the rest of the run would be told nothing but 401.
    if case.operation.label == "DELETE /v1/api-keys/{id}" and case.path_parameters.get("id") == OWN_KEY:
        case.path_parameters["id"] = "key_gone"


def mend_body(body):
    """A keyword has a letter or a digit, in whatever script; a replay begins in the past and does not end before; an endpoint
    begins at a word or a time."""
    if "keyword" in body:
        body["keyword"] = worded(body["keyword"])
    filters = body.get("filters")
    if isinstance(filters, dict) and isinstance(filters.get("keywords"), list):
        filters["keywords"] = [worded(keyword) for keyword in filters["keywords"]]
    if isinstance(body.get("start_from"), str):
        body["start_from"] = "beginning"
    if "since" in body:
        body.pop("until", None)
        if isinstance(body["since"], str) and body["since"] >= "2026":
            body["since"] = "2026-01-01T00:00:00Z"


def worded(keyword):
    if not isinstance(keyword, str) or any(letter.isalnum() for letter in keyword):
        return keyword
    return "a" + keyword[1:]
