//! The headers of the contract, on the operations whose requests and answers have them. Used by `shared` alone.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Header, Ref, RefOr};

/// The answer 304 among the shared ones.
pub(super) const NOT_MODIFIED: &str = "NotModified";

/// Operations that are answered with what must not be kept, or with more than JSON alone.
const WITHOUT_TAG: [&str; 3] = ["exportLeads", "getUsage", "getWebhookSecret"];
/// Operations that write nothing to the log, though their methods say so.
const WITHOUT_POSITION: [&str; 3] = ["tryKeyword", "resendWebhookDelivery", "testWebhookEndpoint"];
/// The operation that is answered anew under the same key.
const ANSWERED_ANEW: &str = "tryKeyword";

const TAG: &str = "Names the answer, to be sent back in `If-None-Match`";

/// Adds to an operation of `/v1` what its requests and answers have besides the headers of all.
pub(super) fn add(operation: &mut Operation, method: &str) {
    let name = operation.operation_id.clone().unwrap_or_default();
    let mut parameters = vec![position_to_see()];
    let mut headers: Vec<(&str, Header)> = Vec::new();
    if method == "get" && !WITHOUT_TAG.contains(&name.as_str()) {
        parameters.push(known_tag());
        headers.push(("ETag", text(TAG)));
        let answers = &mut operation.responses.responses;
        answers.insert("304".to_owned(), Ref::from_response_name(NOT_MODIFIED).into());
    }
    if method != "get" && !WITHOUT_POSITION.contains(&name.as_str()) {
        let description = "The write's place in the log, to be sent along with what is to see it";
        headers.push(("GitLeads-Position", whole_number(description)));
    }
    if method == "post" {
        parameters.push(idempotency_key());
        if name != ANSWERED_ANEW {
            headers.push(("Idempotent-Replayed", replayed()));
        }
    }
    if name == "listEvents" {
        parameters.push(last_event_id());
    }
    if name == "exportLeads" {
        headers.push((
            "Content-Disposition",
            text("The file's name, with the date and the form"),
        ));
    }
    let added = parameters.into_iter().map(RefOr::T);
    operation.parameters.get_or_insert_default().extend(added);
    for answer in operation.responses.responses.values_mut() {
        if let RefOr::T(answer) = answer {
            let headers = headers.iter().cloned();
            answer
                .headers
                .extend(headers.map(|(name, header)| (name.to_owned(), header.into())));
        }
    }
}

/// The answer to who has the answer already.
pub(super) fn not_modified() -> Response {
    let mut response = Response::new("What the client has still holds");
    response.headers.insert("ETag".to_owned(), text(TAG).into());
    response.headers.extend(of_all(true));
    response
}

/// The headers of every answer, and those of every answer to a known key.
pub(super) fn of_all(known_key: bool) -> Vec<(String, RefOr<Header>)> {
    let mut headers = vec![("X-Request-Id", text("Names the answer in the server's log"))];
    if known_key {
        headers.extend([
            (
                "X-RateLimit-Limit",
                whole_number("Requests a minute that the plan grants"),
            ),
            ("X-RateLimit-Remaining", whole_number("How many of them are left")),
            (
                "X-RateLimit-Reset",
                whole_number("When the minute ends, in seconds since 1970"),
            ),
        ]);
    }
    let headers = headers.into_iter();
    headers.map(|(name, header)| (name.to_owned(), header.into())).collect()
}

/// The header of answers that ask for patience.
pub(super) fn retry_after() -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    header(schema, "Seconds to wait, at least 1")
}

/// The header of answers to who has no valid key.
pub(super) fn challenge() -> Header {
    text("`Bearer`")
}

fn idempotency_key() -> Parameter {
    let schema = string().pattern(Some("^[!-~]([ -~]{0,253}[!-~])?$"));
    let description = "The same key with the same request within 24 hours gets the first answer again, marked \
        `Idempotent-Replayed: true` whatever its status; with another request it is 409";
    parameter("Idempotency-Key", description, schema)
}

fn position_to_see() -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    let description = "`GitLeads-Position` of an earlier answer: this one shows what that one wrote";
    parameter("GitLeads-Position", description, schema)
}

fn known_tag() -> Parameter {
    let description = "`ETag` of an earlier answer; while it still holds the answer is 304";
    let example = r#"W/"9b2c61d1f00ab3e4""#;
    parameter("If-None-Match", description, string().examples([example]))
}

fn last_event_id() -> Parameter {
    let schema = string().pattern(Some("^[0-9]{1,18}$"));
    let description =
        "The last `id` that the client got, as event streams send it. It goes on after it, and `after` does not count";
    parameter("Last-Event-ID", description, schema)
}

fn replayed() -> Header {
    let schema = string().enum_values(Some(["true"]));
    header(
        schema,
        "The answer is the first one again, and nothing was done; absent otherwise",
    )
}

fn parameter(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .description(Some(description))
        .schema(Some(schema.build()))
        .build()
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn text(description: &str) -> Header {
    header(string(), description)
}

fn whole_number(description: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    header(schema, description)
}

fn header(schema: ObjectBuilder, description: &str) -> Header {
    HeaderBuilder::new()
        .schema(Some(schema.build()))
        .description(Some(description))
        .build()
}
