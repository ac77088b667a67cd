//! The answers that are no JSON: files of leads and the stream of events, each with an example. Used by `shared` alone.

use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, ContentBuilder, RefOr};

/// Leads as CSV.
pub(in crate::http) const CSV: &str = "id,signal_type,signal_source,github_username,name,email,bio,company,location,\
    followers,top_languages,captured_at\r\n\
    lead_01J8ZQ4N3M8YV7T6S5R4Q3P2N1,stargazer,acme-corp/rival-sdk,ada-example,Ada Example,ada@example.com,Staff engineer,\
    Example Ltd,\"Turin, Italy\",1842,\"Rust, Go\",2026-04-24T10:31:00Z\r\n";

/// Leads, one a line.
pub(in crate::http) const NDJSON: &str = r#"{"id":"lead_01J8ZQ4N3M8YV7T6S5R4Q3P2N1","signal_type":"stargazer","signal_source":"acme-corp/rival-sdk","github_username":"ada-example","name":"Ada Example","email":"ada@example.com","bio":"Staff engineer","company":"Example Ltd","location":"Turin, Italy","followers":1842,"top_languages":["Rust","Go"],"captured_at":"2026-04-24T10:31:00Z"}
"#;

/// Events as they happen.
pub(in crate::http) const STREAM: &str = r#"id: 7
event: RepoTracked
data: {"position":7,"id":"evt_01J8ZQ4N3M8YV7T6S5R4Q3P2N1","type":"RepoTracked","schema":1,"stream":"repo-acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1-acme-corp/rival-sdk","version":1,"recorded_at":"2026-04-24T10:31:00Z","data":{"repo_id":"repo_01J8ZQ4N3M8YV7T6S5R4Q3P2N1","full_name":"acme-corp/rival-sdk","relation":"competitor"}}

:

"#;

/// Adds the forms that an operation answers in besides JSON.
pub(super) fn add(operation: &mut Operation) {
    let forms: &[(&str, &str)] = match operation.operation_id.as_deref() {
        Some("listLeads" | "exportLeads") => &[("text/csv", CSV), ("application/x-ndjson", NDJSON)],
        Some("listEvents") => &[("text/event-stream", STREAM)],
        _ => return,
    };
    if let Some(RefOr::T(answer)) = operation.responses.responses.get_mut("200") {
        let forms = forms
            .iter()
            .map(|(name, example)| ((*name).to_owned(), form(example).into()));
        answer.content.extend(forms);
    }
}

fn form(example: &str) -> Content {
    let schema = ObjectBuilder::new().schema_type(Type::String).build();
    ContentBuilder::new()
        .schema(Some(schema))
        .example(Some(example.into()))
        .build()
}
