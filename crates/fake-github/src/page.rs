//! Pages of a list: `per_page`, `page` and the `Link` header. Used by the routes that answer lists.

/// The most that GitHub puts on one page.
const MAX_PER_PAGE: usize = 100;

/// Which page of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    pub per_page: usize,
    pub page: usize,
}

impl Page {
    /// As a list's query has it; what is missing, or no number, is the default.
    pub fn new(per_page: Option<&str>, page: Option<&str>, default: usize) -> Self {
        let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).filter(|n| *n > 0);
        Self {
            per_page: number(per_page).unwrap_or(default).min(MAX_PER_PAGE),
            page: number(page).unwrap_or(1),
        }
    }

    /// How many entries come before this page.
    pub fn skipped(self) -> usize {
        self.per_page.saturating_mul(self.page - 1)
    }

    /// The entries of this page.
    pub fn of<T>(self, entries: impl Iterator<Item = T>) -> Vec<T> {
        entries.skip(self.skipped()).take(self.per_page).collect()
    }

    /// The value of the `Link` header of a list of `total` entries; none if everything is on one page.
    pub fn link(self, url: &str, total: usize) -> Option<String> {
        self.link_with(&format!("{url}?"), total)
    }

    /// The same for a URL that ends in a `?` or an `&`.
    pub fn link_with(self, url: &str, total: usize) -> Option<String> {
        let last = total.div_ceil(self.per_page).max(1);
        let link = |page: usize, rel: &str| format!("<{url}per_page={}&page={page}>; rel=\"{rel}\"", self.per_page);
        let mut links = Vec::new();
        if self.page > 1 {
            links.push(link((self.page - 1).min(last), "prev"));
        }
        if self.page < last {
            links.push(link(self.page + 1, "next"));
            links.push(link(last, "last"));
        }
        if self.page > 1 {
            links.push(link(1, "first"));
        }
        (!links.is_empty()).then(|| links.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(per_page: &'static str, page: &'static str) -> Page {
        let text = |text: &'static str| Some(text).filter(|text| !text.is_empty());
        Page::new(text(per_page), text(page), 30)
    }

    #[test]
    fn what_is_missing_or_no_number_is_the_default_and_a_page_has_at_most_a_hundred() {
        assert_eq!(page("", ""), Page { per_page: 30, page: 1 });
        assert_eq!(page("0", "x"), Page { per_page: 30, page: 1 });
        assert_eq!(page("500", "2"), Page { per_page: 100, page: 2 });
    }

    #[test]
    fn links_lead_on_and_back() {
        assert_eq!(page("10", "1").link("u", 10), None);
        let middle = page("10", "2").link("u", 25).unwrap();
        let rels: Vec<&str> = middle.split(", ").collect();
        assert_eq!(
            rels,
            [
                "<u?per_page=10&page=1>; rel=\"prev\"",
                "<u?per_page=10&page=3>; rel=\"next\"",
                "<u?per_page=10&page=3>; rel=\"last\"",
                "<u?per_page=10&page=1>; rel=\"first\"",
            ]
        );
        assert!(!page("10", "3").link("u", 25).unwrap().contains("next"));
    }

    #[test]
    fn a_page_has_its_own_entries() {
        assert_eq!(page("10", "3").of(0..25), [20, 21, 22, 23, 24]);
        assert!(page("10", "4").of(0..25).is_empty());
    }
}
