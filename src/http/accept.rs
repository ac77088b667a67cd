//! Which of the forms that a route offers a client asks for in `Accept`; used by every route that offers several.

use http::HeaderMap;
use http::header::ACCEPT;

/// How much a client wants a form: its weight in thousandths, and how closely the form was named.
type Wish = (u16, u8);

/// The form that the client prefers: the first one if it has no wish, or none that can be granted.
pub fn preferred(headers: &HeaderMap, offered: &[&'static str]) -> &'static str {
    let asked: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut best: (Wish, &'static str) = ((0, 0), offered.first().copied().unwrap_or_default());
    for form in offered.iter().copied() {
        // The range that names a form most closely says what it is worth.
        let wishes = asked.iter().filter_map(|range| wish(range, form));
        let wish = wishes.max_by_key(|(_, closeness)| *closeness).unwrap_or_default();
        if wish.0 > 0 && wish > best.0 {
            best = (wish, form);
        }
    }
    best.1
}

/// What a media range with its weight says of a form, if it speaks of it.
fn wish(range: &str, form: &str) -> Option<Wish> {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let of_type = form
        .split_once('/')
        .map_or_else(String::new, |(kind, _)| format!("{kind}/*"));
    let closeness = match name {
        name if name == form => 3,
        name if name == of_type => 2,
        name if name == "*/*" => 1,
        _ => return None,
    };
    let weight = parts.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
    Some((weight.map_or(1_000, thousandths), closeness))
}

/// A weight from 0 to 1; what is none counts as 1.
fn thousandths(weight: &str) -> u16 {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    match (whole, digits.parse()) {
        ("0", Ok(thousandths)) => thousandths,
        _ => 1_000,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const OFFERED: &[&str] = &["application/json", "text/csv", "application/x-ndjson"];

    fn chosen(accept: &[&'static str]) -> &'static str {
        let headers = accept.iter().map(|value| (ACCEPT, HeaderValue::from_static(value)));
        preferred(&headers.collect(), OFFERED)
    }

    #[test]
    fn the_form_that_is_wanted_most_is_chosen_and_json_where_there_is_no_wish() {
        for (accept, form) in [
            (&[][..], "application/json"),
            (&["*/*"], "application/json"),
            (&["text/csv"], "text/csv"),
            (&["Text/CSV; charset=utf-8"], "text/csv"),
            (&["application/x-ndjson"], "application/x-ndjson"),
            (&["text/csv, */*"], "text/csv"),
            (&["text/csv;q=0.5, application/json"], "application/json"),
            (
                &["application/json;q=0.5, application/x-ndjson;q=0.51"],
                "application/x-ndjson",
            ),
            (&["application/json;q=0", "text/csv;q=0.001"], "text/csv"),
            (&["*/*, application/json;q=0.1"], "text/csv"),
            (&["text/*"], "text/csv"),
            (&["image/png"], "application/json"),
            (&["text/csv;q=0"], "application/json"),
            (
                &["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
                "application/json",
            ),
            (&["", ";;,", "q=1"], "application/json"),
        ] {
            assert_eq!(chosen(accept), form, "{accept:?}");
        }
    }
}
