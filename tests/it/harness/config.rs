//! A configuration whose rate limit no story runs into.

use std::path::{Path, PathBuf};

/// Writes a configuration file into `folder` with an `agency` plan of `leads_per_month` and a generous rate limit.
pub fn generous(folder: &Path, leads_per_month: Option<u32>) -> PathBuf {
    let path = folder.join("story.toml");
    let quota = leads_per_month
        .map(|leads| format!("leads_per_month = {leads}\n"))
        .unwrap_or_default();
    let text = format!("[plans.agency]\napi = true\nrequests_per_minute = 10000000\n{quota}");
    std::fs::write(&path, text).unwrap();
    path
}
