//! What all operations have in common and no handler repeats: the errors, the headers of every answer, who may ask.

use serde_json::json;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, SecurityRequirement};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::words::WhoIsMeant;
use super::{KEY, forms, headers};
use crate::http::error::ErrorBody;

/// An error that operations share.
struct Shared {
    status: u16,
    name: &'static str,
    code: &'static str,
    message: &'static str,
    description: &'static str,
    happens: fn(&Kind) -> bool,
}

/// What decides which errors an operation can have.
struct Kind {
    needs_key: bool,
    has_id: bool,
    has_body: bool,
    method: &'static str,
}

const ALWAYS: fn(&Kind) -> bool = |_| true;
const WITH_KEY: fn(&Kind) -> bool = |kind| kind.needs_key;
const WITH_BODY: fn(&Kind) -> bool = |kind| kind.has_body;

const ERRORS: [Shared; 12] = [
    Shared {
        status: 400,
        name: "BadRequest",
        code: "bad_request",
        message: "limit: must be an integer from 1 to 100",
        description: "A missing or invalid body, query parameter or header; the message names it",
        happens: WITH_KEY,
    },
    Shared {
        status: 401,
        name: "Unauthorized",
        code: "unauthorized",
        message: "Invalid or missing API key",
        description: "No API key, or one that is malformed, unknown or revoked",
        happens: WITH_KEY,
    },
    Shared {
        status: 403,
        name: "Forbidden",
        code: "forbidden",
        message: "The REST API is not available on the free plan",
        description: "The account's plan has no API",
        happens: WITH_KEY,
    },
    Shared {
        status: 404,
        name: "NotFound",
        code: "not_found",
        message: "There is no such lead",
        description: "It does not exist, or belongs to another account",
        happens: |kind| kind.has_id,
    },
    Shared {
        status: 408,
        name: "RequestTimeout",
        code: "request_timeout",
        message: "The request took too long to arrive",
        description: "The body did not arrive in time",
        happens: WITH_BODY,
    },
    Shared {
        status: 409,
        name: "Conflict",
        code: "conflict",
        message: "Idempotency-Key: was used for another request",
        description: "The `Idempotency-Key` was used for another request or one that is being worked on; the lead's person was \
            erased; the signing secret was rotated less than a day ago, or is the endpoint's already; or the endpoint no longer \
            hears of the event that is to be sent again",
        happens: |kind| matches!(kind.method, "post" | "patch"),
    },
    Shared {
        status: 413,
        name: "PayloadTooLarge",
        code: "payload_too_large",
        message: "The body must not be larger than 65536 bytes",
        description: "The body is too large",
        happens: WITH_BODY,
    },
    Shared {
        status: 415,
        name: "UnsupportedMediaType",
        code: "unsupported_media_type",
        message: "Content-Type: must be application/json",
        description: "The body is not sent as JSON",
        happens: WITH_BODY,
    },
    Shared {
        status: 414,
        name: "UriTooLong",
        code: "uri_too_long",
        message: "Path and query must not be longer than 8192 bytes",
        description: "Path and query are too long",
        happens: ALWAYS,
    },
    Shared {
        status: 431,
        name: "HeadersTooLarge",
        code: "headers_too_large",
        message: "A request may have 100 headers and 16384 bytes of them at most",
        description: "There are too many headers, or they are too large",
        happens: ALWAYS,
    },
    Shared {
        status: 429,
        name: "RateLimited",
        code: "rate_limited",
        message: "More than 300 requests this minute; try again in 12 s",
        description: "The account used up its minute, or follows its events 16 times already; see `Retry-After`",
        happens: WITH_KEY,
    },
    Shared {
        status: 500,
        name: "InternalError",
        code: "internal_error",
        message: "Something went wrong on our side; the request id is 01J8ZQ4N3M8YV7T6S5R4Q3P2N1",
        description: "A fault of the server",
        happens: ALWAYS,
    },
];

const UNAVAILABLE: Shared = Shared {
    status: 503,
    name: "Unavailable",
    code: "service_unavailable",
    message: "The server is busy; try again",
    description: "Too much waits, or the answer took too long; the same request may succeed later",
    happens: WITH_KEY,
};

/// Adds to every operation what it does not say itself.
pub(super) fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    components.schemas.insert("Error".to_owned(), ErrorBody::schema());
    // Of a path alone, whose schemas are not collected.
    let whom = WhoIsMeant::name().into_owned();
    components.schemas.insert(whom, WhoIsMeant::schema());
    for error in ERRORS.iter().chain([&UNAVAILABLE]) {
        components
            .responses
            .insert(error.name.to_owned(), response(error).into());
    }
    let not_modified = headers::not_modified().into();
    components
        .responses
        .insert(headers::NOT_MODIFIED.to_owned(), not_modified);
    for name in ["LeadEdit", "WebhookEndpointEdit"] {
        if let Some(RefOr::T(Schema::Object(edit))) = components.schemas.get_mut(name) {
            edit.min_properties = Some(1);
        }
    }
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            complete_operation(path, method, operation);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let methods = [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ];
    methods
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn complete_operation(path: &str, method: &'static str, operation: &mut Operation) {
    let kind = Kind {
        needs_key: path.starts_with("/v1/"),
        has_id: path.contains('{'),
        // What takes none looks at one that comes all the same.
        has_body: operation.request_body.is_some() || method == "post",
        method,
    };
    if kind.needs_key {
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(KEY, [])]);
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            let absent_is_not_null = parameter.schema.take().map(never_null);
            parameter.schema = absent_is_not_null;
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        for content in body.content.values_mut() {
            if let RefOr::T(content) = content {
                content.schema = content.schema.take().map(never_null);
            }
        }
    }
    for answer in operation.responses.responses.values_mut() {
        if let RefOr::T(answer) = answer {
            answer.headers.extend(headers::of_all(kind.needs_key));
        }
    }
    if kind.needs_key {
        forms::add(operation);
        headers::add(operation, method);
    }
    for error in ERRORS
        .iter()
        .chain([&UNAVAILABLE])
        .filter(|error| (error.happens)(&kind))
    {
        let answers = &mut operation.responses.responses;
        answers
            .entry(error.status.to_string())
            .or_insert_with(|| Ref::from_response_name(error.name).into());
    }
}

/// A parameter or body that may be left out is of type `Option` to the code. To clients it is absent, never null.
fn never_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            if let SchemaType::Array(types) = &object.schema_type
                && let Some(only) = types.iter().find(|kind| **kind != Type::Null)
            {
                object.schema_type = SchemaType::Type(only.clone());
            }
            Schema::Object(object).into()
        }
        RefOr::T(Schema::OneOf(one_of)) => {
            let some = one_of.items.iter().find(|item| !is_null(item)).cloned();
            some.unwrap_or(RefOr::T(Schema::OneOf(one_of)))
        }
        other => other,
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}

fn response(error: &Shared) -> Response {
    let example = json!({"error": error.code, "message": error.message});
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Error")))
        .example(Some(example))
        .build();
    let mut response = ResponseBuilder::new()
        .description(error.description)
        .content("application/json", content)
        .build();
    // Those that are told before a key is known, or without one, promise nothing of its minute.
    let known_key = !matches!(error.status, 401 | 414 | 431 | 500);
    response.headers.extend(headers::of_all(known_key));
    let asks = match error.status {
        401 => Some(("WWW-Authenticate", headers::challenge())),
        429 | 503 => Some(("Retry-After", headers::retry_after())),
        _ => None,
    };
    let asks = asks.map(|(name, header)| (name.to_owned(), header.into()));
    response.headers.extend(asks);
    response
}
