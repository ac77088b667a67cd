//! A request as the routes read it.

use http::request::Parts;
use http::{HeaderMap, Method};
use url::form_urlencoded;

use crate::caller::Who;
use crate::page::Page;

/// What is asked, by whom.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub method: &'a Method,
    /// The segments of the path, decoded.
    pub path: Vec<String>,
    /// What follows the `?`, as it was sent.
    pub raw_query: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    pub who: &'a Who,
    query: Vec<(String, String)>,
}

impl<'a> Ask<'a> {
    pub fn new(head: &'a Parts, body: &'a [u8], who: &'a Who) -> Self {
        let raw_query = head.uri.query().unwrap_or_default();
        Self {
            method: &head.method,
            path: segments(head.uri.path()),
            raw_query,
            headers: &head.headers,
            body,
            who,
            query: form_urlencoded::parse(raw_query.as_bytes()).into_owned().collect(),
        }
    }

    /// The first value of a parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The page that is asked for, of a list that has `default` entries a page.
    pub fn page(&self, default: usize) -> Page {
        Page::new(self.query("per_page"), self.query("page"), default)
    }

    /// Whether `Accept` names a media type of GitHub's, such as `star` for `application/vnd.github.star+json`.
    pub fn accepts(&self, media: &str) -> bool {
        let values = self.headers.get_all(http::header::ACCEPT).iter();
        let mut types = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(','));
        types.any(|one| {
            let rest = one.trim().strip_prefix("application/vnd.github.");
            let rest = rest.map(|rest| rest.strip_prefix("v3.").unwrap_or(rest));
            rest.and_then(|rest| rest.split('+').next()) == Some(media)
        })
    }
}

/// The decoded segments of a path.
pub(crate) fn segments(path: &str) -> Vec<String> {
    let decoded = |segment: &str| {
        // A form's decoder takes + for a space, which a path does not.
        let segment = segment.replace('+', "%2B");
        let mut pairs = form_urlencoded::parse(segment.as_bytes());
        pairs.next().map(|(key, _)| key.into_owned()).unwrap_or_default()
    };
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(decoded)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_segment_by_segment() {
        assert_eq!(segments("/users/build-bot%5Bbot%5D"), ["users", "build-bot[bot]"]);
        assert_eq!(segments("/repos/a/b+c/"), ["repos", "a", "b+c"]);
    }

    #[test]
    fn media_types_are_read_with_and_without_the_old_version() {
        let accepts = |accept: &str| {
            let (head, ()) = http::Request::get("/?a=b%20c&a=d")
                .header("accept", accept)
                .body(())
                .unwrap()
                .into_parts();
            let who = Who::Anonymous;
            let ask = Ask::new(&head, b"", &who);
            assert_eq!(ask.query("a"), Some("b c"));
            ask.accepts("star")
        };
        assert!(accepts("application/vnd.github.star+json"));
        assert!(accepts("text/html, application/vnd.github.v3.star+json"));
        assert!(!accepts("application/vnd.github+json"));
    }
}
