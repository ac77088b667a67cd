"""Drives a live server with the client that is generated from its contract: list, page to the end, create, delete, errors."""

import os

from git_leads_client import AuthenticatedClient, Client
from git_leads_client.api.leads import get_lead, list_leads
from git_leads_client.api.tracking import track_repo, untrack_repo
from git_leads_client.models import Error, Leads, NewTrackedRepo
from git_leads_client.types import UNSET

URL = os.environ["GITLEADS_URL"]
LEADS = int(os.environ["GITLEADS_LEADS"])
client = AuthenticatedClient(base_url=URL, token=os.environ["GITLEADS_KEY"])


def every_lead():
    cursor = UNSET
    while True:
        page = list_leads.sync(client=client, limit=7, cursor=cursor)
        assert isinstance(page, Leads), page
        yield from page.data
        if not page.has_more:
            assert page.next_cursor is None
            return
        cursor = page.next_cursor


everyone = list(every_lead())
assert len({lead.id for lead in everyone}) == LEADS, len(everyone)
detail = get_lead.sync(client=client, id=everyone[0].id)
assert detail.github_username == everyone[0].github_username

created = track_repo.sync_detailed(client=client, body=NewTrackedRepo.from_dict({"full_name": "acme-corp/python-sdk"}))
assert created.status_code == 201, created
again = track_repo.sync_detailed(client=client, body=NewTrackedRepo.from_dict({"full_name": "Acme-Corp/Python-SDK"}))
assert again.status_code == 200 and again.parsed.id == created.parsed.id
assert untrack_repo.sync_detailed(client=client, id=created.parsed.id).status_code == 204
gone = untrack_repo.sync_detailed(client=client, id=created.parsed.id)
assert gone.status_code == 404 and isinstance(gone.parsed, Error) and gone.parsed.error == "not_found"

wrong = list_leads.sync_detailed(client=client, limit=1000)
assert wrong.status_code == 400 and wrong.parsed.message.startswith("limit: "), wrong
unknown = list_leads.sync(client=Client(base_url=URL))
assert unknown.to_dict() == {"error": "unauthorized", "message": "Invalid or missing API key"}
print(f"Python client: {len(everyone)} leads, all as expected")
