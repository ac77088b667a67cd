//! Leads as a file: all that the filters let through, sent while they are read, page by page, so that any number of them
//! takes the same memory. `GET /v1/leads/export`, and `GET /v1/leads` for who asks for such a form.
//!
//! Once the answer has begun, a fault cannot become an error any more: the transfer breaks off instead, so that what came
//! through is not taken for the whole.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use domain::AccountId;
use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};

use super::Room;
use super::accept::preferred;
use super::auth::Caller;
use super::cursor::{Filters, Place};
use super::error::{ApiError, BrokenOff};
use super::lead_body::Summary;
use super::leads::{filters, stretch};
use super::openapi::words;
use super::query::Query;

const PARAMETERS: &[&str] = &["format", "signal_type", "repo", "since", "as_of"];

/// Leads that are read at once.
const AT_ONCE: u32 = 1_000;

const JSON: &str = "application/json";
const CSV: &str = "text/csv";
const NDJSON: &str = "application/x-ndjson";

/// The form of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// RFC 4180, with a row of names.
    Csv,
    /// A JSON object a line.
    Ndjson,
}

impl Form {
    /// The form that `Accept` asks for, if it wants one of them more than a page.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        match preferred(headers, &[JSON, CSV, NDJSON]) {
            CSV => Some(Self::Csv),
            NDJSON => Some(Self::Ndjson),
            _ => None,
        }
    }

    fn named(query: &Query) -> Result<Self, ApiError> {
        match query.text("format") {
            Some("csv") => Ok(Self::Csv),
            Some("ndjson") => Ok(Self::Ndjson),
            _ => Err(ApiError::field("format", "must be one of csv, ndjson")),
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => NDJSON,
        }
    }

    const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }
}

/// `GET /v1/leads/export`
#[utoipa::path(
    get,
    path = "/leads/export",
    tag = "leads",
    operation_id = "exportLeads",
    summary = "Export all leads as a file",
    description = "Newest first, without pages. In CSV a text that a spreadsheet would take for a formula begins with an \
        apostrophe. A fault in the middle breaks the transfer off.",
    params(
        ("format" = inline(words::ExportFormat), Query, description = "The form of the file"),
        ("signal_type" = Option<words::SignalType>, Query, description = "Only leads with a signal of this kind"),
        ("repo" = Option<words::RepoName>, Query, description = "Only leads with a signal in this repository"),
        ("since" = Option<words::Time>, Query, description = "Only leads captured after this moment, with any offset"),
        ("as_of" = Option<words::Time>, Query, description = "The list as it was at this moment, which must not be in the future"),
    ),
    responses((status = 200, description = "The file")),
)]
pub(super) async fn export(
    State(room): State<Arc<Room>>,
    Extension(Caller(account)): Extension<Caller>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::read(raw.as_deref(), PARAMETERS)?;
    let form = Form::named(&query)?;
    let filters = filters(&room, &query)?;
    answer(room, account, filters, form).await
}

/// An export on its way.
struct Exporting {
    room: Arc<Room>,
    account: AccountId,
    filters: Filters,
    form: Form,
}

/// All leads that the filters let through.
pub(super) async fn answer(
    room: Arc<Room>,
    account: AccountId,
    filters: Filters,
    form: Form,
) -> Result<Response, ApiError> {
    let date = room.api.writer.clock.now().date();
    let name = format!("attachment; filename=\"leads-{date}.{}\"", form.ending());
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(form.content_type())),
        (
            CONTENT_DISPOSITION,
            HeaderValue::try_from(name).map_err(ApiError::internal)?,
        ),
    ];
    let exporting = Exporting {
        room,
        account,
        filters,
        form,
    };
    // Read before the answer begins, so that what can be refused is.
    let (first, next) = exporting.part(None).await?;
    let first = [form.head()?, first].concat();
    let rest = stream::try_unfold((exporting, next), |(exporting, next)| async move {
        let Some(place) = next else { return Ok(None) };
        let part = exporting.part(Some(place)).await;
        let (bytes, next) = part.map_err(ApiError::broken_off)?;
        Ok(Some((Bytes::from(bytes), (exporting, next))))
    });
    let whole = stream::iter([Ok::<_, BrokenOff>(Bytes::from(first))]).chain(rest);
    Ok((headers, Body::from_stream(whole)).into_response())
}

impl Exporting {
    /// The leads from a place on, and where to go on.
    async fn part(&self, from: Option<Place>) -> Result<(Vec<u8>, Option<Place>), ApiError> {
        let part = stretch(&self.room, self.account, &self.filters, from, AT_ONCE).await?;
        Ok((self.form.write(&part.rows)?, part.next))
    }
}

impl Form {
    /// What stands before the first lead.
    fn head(self) -> Result<Vec<u8>, ApiError> {
        match self {
            Self::Csv => csv_rows([Summary::COLUMNS]),
            Self::Ndjson => Ok(Vec::new()),
        }
    }

    fn write(self, leads: &[Summary]) -> Result<Vec<u8>, ApiError> {
        match self {
            Self::Csv => csv_rows(leads.iter().map(|lead| lead.cells().map(harmless))),
            Self::Ndjson => {
                let mut lines = Vec::new();
                for lead in leads {
                    serde_json::to_writer(&mut lines, lead).map_err(ApiError::internal)?;
                    lines.push(b'\n');
                }
                Ok(lines)
            }
        }
    }
}

fn csv_rows<C: AsRef<[u8]>, const N: usize>(rows: impl IntoIterator<Item = [C; N]>) -> Result<Vec<u8>, ApiError> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(ApiError::internal)?;
    }
    writer
        .into_inner()
        .map_err(|error| ApiError::internal(error.into_error()))
}

/// What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection"), also in East Asian width.
const BEGINS_FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// Where spreadsheets of some countries, or with some settings, begin another cell, whatever the quotes around say.
const BEGINS_CELL: [char; 4] = [';', '\t', '\n', '\r'];

/// Not seen, and looked past: controls, marks of direction, and what has no width.
fn is_invisible(character: char) -> bool {
    let is_format = matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    is_format || character.is_control()
}

/// What a spreadsheet does not take for a formula: people choose their names and biographies themselves.
fn harmless(cell: String) -> String {
    if !cell.contains(BEGINS_FORMULA) {
        return cell;
    }
    let mut told = String::with_capacity(cell.len() + 1);
    let mut at_begin = true;
    for character in cell.chars() {
        if at_begin && BEGINS_FORMULA.contains(&character) {
            told.push('\'');
        }
        told.push(character);
        at_begin = BEGINS_CELL.contains(&character) || (at_begin && is_invisible(character));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_begins_as_a_formula_does_is_told_as_text() {
        for (cell, told) in [
            ("=1+1", "'=1+1"),
            ("+49 30", "'+49 30"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t'=1"),
            ("\r=1", "'\r'=1"),
            ("'=1", "'=1"),
            ("a=1", "a=1"),
            (" =1", " =1"),
            ("＝1+1", "'＝1+1"),
            ("\u{feff}=1", "\u{feff}'=1"),
            ("\u{202e}\u{2060}\0=1", "\u{202e}\u{2060}\0'=1"),
            (";=1+1", ";'=1+1"),
            ("x;=1+1;y", "x;'=1+1;y"),
            ("two\n-lines", "two\n'-lines"),
            ("C++; a-b", "C++; a-b"),
            ("", ""),
        ] {
            assert_eq!(harmless(cell.to_owned()), told, "{cell:?}");
        }
    }

    #[test]
    fn rows_are_those_of_the_standard() {
        let rows = csv_rows([["a", "b"], ["x,y", "say \"hi\""], ["two\nlines", ""]]).unwrap();
        let expected = "a,b\r\n\"x,y\",\"say \"\"hi\"\"\"\r\n\"two\nlines\",\r\n";
        assert_eq!(String::from_utf8(rows).unwrap(), expected);
    }
}
