//! The demonstration: leads and genuine webhooks within seconds, live, and nothing left when it ends.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::eventually;

/// A demonstration under way, and what it printed.
struct Demo {
    child: Child,
    url: String,
    page: String,
    data: String,
    key: String,
}

impl Drop for Demo {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Demo {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gitleads"));
        command.args(["demo", "--listen", "127.0.0.1:0"]).stdin(Stdio::null());
        // A demonstration that took these over would end here at once.
        command.env("GITLEADS_DATABASE_URL", "postgres://127.0.0.1:9/production");
        command.env("GITLEADS_DATA_DIR", "/nowhere");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let [mut url, mut page, mut data, mut key] = [const { String::new() }; 4];
        for line in lines.map(Result::unwrap) {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("API"), Some(leads)) => url.push_str(leads.trim_end_matches("/v1/leads")),
                (Some("Webhooks"), Some(there)) => page.push_str(there),
                (Some("Data"), Some(folder)) => data.push_str(folder),
                (Some("export"), Some(set)) => key.push_str(set.trim_start_matches("KEY=")),
                (Some("Ctrl-C"), _) => break,
                _ => {}
            }
        }
        Self {
            child,
            url,
            page,
            data,
            key,
        }
    }
}

#[tokio::test]
async fn one_command_shows_leads_and_webhooks_live_and_leaves_nothing_behind() {
    let mut demo = Demo::start();
    drop(rustls::crypto::ring::default_provider().install_default());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let read = async |url: &str| {
        let answer = http.get(url).bearer_auth(&demo.key).send().await.unwrap();
        answer.text().await.unwrap()
    };
    // What the competitor's feed held, and then what happens live in one's own repository. The page has no rate limit.
    let page = eventually("a webhook of each kind at the page", async || {
        let page = read(&demo.page).await;
        let rows: Vec<&str> = page.split("<tr>").collect();
        let of = |words: [&str; 3]| rows.iter().any(|row| words.iter().all(|word| row.contains(word)));
        let all = of(["lead.created", "rival-sdk", "stargazer"])
            && of(["lead.enriched", "Ada Example", "rival-sdk"])
            && of(["lead.created", "our-sdk", "stargazer"])
            && of(["lead.created", "keyword_issue", "-example"]);
        all.then_some(page)
    })
    .await;
    assert!(page.contains("✓ verified") && !page.contains("✗"), "{page}");
    let leads: Value = serde_json::from_str(&read(&format!("{}/v1/leads?limit=100", demo.url)).await).unwrap();
    let leads = leads["data"].as_array().unwrap();
    assert!(leads.len() >= 6, "{leads:?}");
    let logins = leads.iter().map(|lead| lead["github_username"].as_str().unwrap());
    assert!(logins.into_iter().all(|login| login.ends_with("-example")));
    assert!(std::path::Path::new(&demo.data).join("gitleads.db").exists());

    let pid = demo.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert!(demo.child.wait().unwrap().success());
    assert!(!std::path::Path::new(&demo.data).exists());
}
