//! `/search/issues`, `/search/code` and the search of GraphQL: one language, parsed and answered from an index of words.

mod code;
mod dates;
mod highlight;
mod parse;
#[cfg(test)]
mod tests;
mod threads;
mod words;

pub(crate) use words::Words;

use crate::ask::Ask;
use crate::page::Page;
use crate::reply::Reply;

/// No more results are answered, whatever their number.
const RESULTS: usize = 1_000;
const A_PAGE: usize = 30;

/// The page that a search asks for, or why there is none.
fn page(ask: &Ask) -> Result<Page, Reply> {
    let page = ask.page(A_PAGE);
    if page.skipped() >= RESULTS {
        let text = "Only the first 1000 search results are available";
        return Err(Reply::message(http::StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    Ok(page)
}

/// The `Link` of a page of a search: its URL has all other parameters that were asked with.
fn link(ask: &Ask, base: &str, page: Page, total: usize) -> Option<String> {
    let kept = ask
        .raw_query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("page=") && !pair.starts_with("per_page="));
    let mut url = format!("{base}/{}?", ask.path.join("/"));
    for pair in kept {
        url.push_str(pair);
        url.push('&');
    }
    page.link_with(&url, total.min(RESULTS))
}
