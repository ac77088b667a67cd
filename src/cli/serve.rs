//! `gitleads serve`: starts the server and tells a person what to do next.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// What the start prints; the first start prints the first key as well, this once.
pub fn welcome(address: SocketAddr, data_dir: &Path, first_key: Option<&str>) -> String {
    let url = format!("http://{address}");
    let mut text = format!("\n  GitLeads {} runs at {url}\n\n", env!("CARGO_PKG_VERSION"));
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "    API      {url}/v1/leads\n    State    {url}/readyz\n    Data     {}\n",
        data_dir.display()
    );
    if let Some(key) = first_key {
        let _ = write!(
            text,
            "
  Your API key; it is not shown again (`gitleads keys create` makes another):

    {key}

  Next, track a repository and look at who starred it:

    curl {url}/v1/tracked-repos -H 'Authorization: Bearer {key}' \\
      -H 'Content-Type: application/json' -d '{{\"full_name\":\"owner/name\"}}'
    curl {url}/v1/leads -H 'Authorization: Bearer {key}'
"
        );
    }
    text.push_str("\n  Ctrl-C ends it.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "gl_live_example";

    #[test]
    fn the_first_start_shows_the_key_and_a_line_to_go_on_with() {
        let text = welcome(([127, 0, 0, 1], 8080).into(), Path::new("./gitleads-data"), Some(KEY));
        assert!(text.contains("curl http://127.0.0.1:8080/v1/tracked-repos -H 'Authorization: Bearer gl_live_example'"));
        assert!(text.lines().any(|line| line.trim() == KEY), "alone on its line, to be copied");
        assert!(text.contains(r#"{"full_name":"owner/name"}"#));
    }

    #[test]
    fn a_later_start_shows_no_key() {
        let text = welcome(([127, 0, 0, 1], 8080).into(), Path::new("./gitleads-data"), None);
        assert!(text.contains("http://127.0.0.1:8080") && !text.contains("gl_live_"));
    }
}
