//! Looks for keywords in code, one at a time. The search knows no times: what is new among the files [`code_hits`] says.

use domain::{Collector, Timestamp};

use super::{Look, Not, Searches, not_fresh, packs, silent, unreadable};
use crate::github::Answer;
use crate::github::code::{self, Hit, Page};
use crate::ingest::code_hits;

/// Pages that are read of a search: of 300 files, those that were indexed last.
const PAGES: u32 = 3;

/// What was found for a keyword.
pub struct Found {
    /// The key of the keyword.
    pub keyword: String,
    /// The files.
    pub files: Vec<Hit>,
    /// The keyword, if all pages were shown.
    pub whole: Option<String>,
}

impl Searches {
    /// Looks in code for the keyword that has been due for longest.
    ///
    /// # Errors
    /// If storage fails; what was not put down is looked for again.
    pub async fn search_code(&mut self, now: Timestamp) -> anyhow::Result<Option<Found>> {
        let pack = self.pack();
        let Some(phrase) = pack.first() else {
            return Ok(None);
        };
        let keyword = self.part.key(phrase);
        let (quoted, _) = packs::pack([phrase.as_str()]);
        let (mut files, mut new, mut failed) = (Vec::new(), 0, None);
        let mut is_gap = false;
        for number in 1..=PAGES {
            let (page, has_next) = match self.page_of_code(&quoted, number).await {
                Ok(page) => page,
                Err(not) => {
                    // A later page that has no answer is not to hide those behind it.
                    let is_alone = number > 1 && not.is_silence();
                    failed = Some(not);
                    if is_alone {
                        continue;
                    }
                    break;
                }
            };
            unreadable(Collector::CodeSearch, page.broken);
            if page.is_incomplete {
                failed = Some(Not::of(Look::SILENT));
            }
            let (unseen, seen) = code_hits::unseen(&self.ingest, &keyword, page.hits).await?;
            // Behind a page that is known everything is, once all were read: what was found there and waits is lost with this process.
            let is_known = unseen.is_empty() && !page.is_incomplete && self.read_through.contains(phrase);
            new += unseen.len();
            // The last page that is read goes on from what was known, unless more is new than is ever shown.
            is_gap = number == PAGES && has_next && seen.is_empty();
            files.extend(unseen.into_iter().chain(seen));
            if is_known || !has_next {
                break;
            }
        }
        let is_whole = failed.is_none();
        if !is_whole {
            self.read_through.remove(phrase);
        }
        self.note_gap(phrase, is_gap, now);
        match failed {
            Some(not) => self.put_off(&pack, not, now).await?,
            None => self.succeeded(&pack, false, new, now).await?,
        }
        let whole = pack.into_iter().next().filter(|_| is_whole);
        Ok(Some(Found { keyword, files, whole }))
    }

    /// Takes note of files that nobody saw, between those that were new and what was known. At first nothing is known.
    fn note_gap(&mut self, phrase: &str, is_gap: bool, now: Timestamp) {
        let mut cursor = self.cursor(phrase, now);
        if is_gap && cursor.last_success_at.is_some() {
            cursor.last_gap_at = Some(now);
            self.cursors.insert(cursor.subject.clone(), cursor);
        }
    }

    /// What was found was taken up.
    pub fn took(&mut self, whole: Option<String>) {
        self.read_through.extend(whole);
    }

    async fn page_of_code(&self, quoted: &str, number: u32) -> Result<(Page, bool), Not> {
        let path = code::path(quoted, number);
        match self.client.get_as(&path, None, Some(code::ACCEPT)).await {
            Answer::Fresh(fresh) => Ok((
                code::read(&fresh.body).map_err(|reason| silent(&reason))?,
                fresh.has_next,
            )),
            other => Err(not_fresh(other)),
        }
    }
}
