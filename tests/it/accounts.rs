//! The story of a host who serves somebody else as well: a second account, which has its own keys and hears of its own.

use crate::harness::archive::{STARRED, hour};
use crate::harness::config::generous;
use crate::harness::home::{Home, on_every_engine};
use crate::harness::server::{Server, output, run};

on_every_engine!(a_second_account_is_opened_from_the_command_line_and_has_its_own_leads);

async fn a_second_account_is_opened_from_the_command_line_and_has_its_own_leads(home: Home) {
    let config = generous(home.folder(), None);
    let config = ["--config", config.to_str().unwrap()];
    let server = Server::start(&home, None, &config);
    let opened = run(&home, &["accounts", "open", "  Acme "]);
    let account = opened.lines().next().unwrap();
    let listed = run(&home, &["accounts", "list"]);
    let listed: Vec<&str> = listed.lines().collect();
    assert!(
        listed.len() == 3 && listed[1].ends_with("default") && listed[2].ends_with("Acme"),
        "{listed:?}"
    );
    assert!(listed[2].starts_with(account), "{listed:?}");

    let key = run(&home, &["keys", "create", "--account", account]);
    let key = key.lines().next().unwrap();
    run(&home, &["--account", account, "track", "repo", STARRED]);
    let hour = hour(64);
    assert!(output(&home, &["backfill", "-"], hour.text.as_bytes()).status.success());
    assert_eq!(server.leads("").await.len(), 0, "the first account did not ask for it");
    let theirs = server.get("/v1/account").await["id"].to_string();
    assert!(server.terminate());

    let server = Server::start(&home, Some(key), &config);
    assert_eq!(server.leads("").await.len(), hour.stargazers.len());
    let own = server.get("/v1/account").await["id"].to_string();
    assert!(own.contains(account) && own != theirs, "{own} {theirs}");
    assert!(server.terminate());

    for (arguments, fault) in [
        (
            ["--account", "acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1", "keys", "list"],
            "there is no account acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1",
        ),
        (["--account", account, "accounts", "list"], "about no single account"),
        (["accounts", "open", "Acme", "--plan=none"], "there is no plan none"),
    ] {
        let refused = output(&home, &arguments, b"");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(fault), "{said}");
    }
}
