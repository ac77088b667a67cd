//! What the arguments are read as.

use clap::CommandFactory as _;
use domain::{DeliveryStatus, SignalKind, StartFrom, WebhookEventType, WebhookFilters, WebhookKind};

use super::*;
use crate::app::App;
use crate::control::Command;
use crate::control::wire::{self, Projections, Webhooks};

fn asked(arguments: &[&str]) -> Result<Command, String> {
    let line = Line::try_parse_from([&["gitleads"], arguments].concat()).map_err(|error| error.to_string())?;
    let asked = match line.task {
        Some(Task::Accounts(task)) => task.command(),
        Some(Task::Keys(task)) => task.command(),
        Some(Task::Plan(task)) => task.command(),
        Some(Task::Track(task)) => task.command(),
        Some(Task::Replay(arguments)) => arguments.command(),
        Some(Task::Projections(task)) => task.command(),
        Some(Task::Doctor) => doctor::command(),
        Some(Task::Events(arguments)) => arguments.command(),
        Some(Task::Forget(arguments)) => arguments.command(),
        Some(Task::Webhooks(task)) => task.command(),
        Some(Task::Listen(arguments)) => arguments.command(),
        Some(Task::Backfill(arguments)) => arguments.commands().unwrap().remove(0),
        Some(Task::Log(log::Task::Verify)) => log::Task::verify(),
        Some(Task::Log(log::Task::Copy { .. })) => return Err("copy".into()),
        Some(Task::Demo) => return Err("demo".into()),
        Some(Task::Serve) | None => return Err("serve".into()),
    };
    Ok(asked.command)
}

#[test]
fn the_arguments_fit_together() {
    Line::command().debug_assert();
}

#[test]
fn no_command_is_serve_and_settings_stand_before_or_behind_a_command() {
    assert_eq!(asked(&[]), Err("serve".into()));
    assert_eq!(asked(&["--listen", "127.0.0.1:0"]), Err("serve".into()));
    assert_eq!(asked(&["--data-dir", "x", "keys", "list"]), Ok(Command::ListKeys));
    assert_eq!(asked(&["keys", "list", "--data-dir", "x"]), Ok(Command::ListKeys));
}

#[test]
fn the_account_stands_before_or_behind_what_is_about_one() {
    let id = "acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1";
    for arguments in [["--account", id, "keys", "list"], ["keys", "list", "--account", id]] {
        let line = Line::try_parse_from([&["gitleads"], &arguments[..]].concat()).unwrap();
        assert_eq!(line.account, Some(id.parse().unwrap()));
    }
    let fault = asked(&["--account", "acct_1", "keys", "list"]).unwrap_err();
    assert!(fault.contains("must be an account's id"), "{fault}");
    for (arguments, for_all) in [
        (&["serve"][..], true),
        (&["accounts", "list"], true),
        (&["events"], true),
        (&["keys", "list"], false),
        (&["plan", "set", "pro"], false),
        (&["doctor"], false),
    ] {
        let line = Line::try_parse_from([&["gitleads"], arguments].concat()).unwrap();
        assert_eq!(line.task.unwrap().is_for_all(), for_all, "{arguments:?}");
    }
}

#[test]
fn every_command_is_read_as_it_is_documented() {
    let (name, plan) = ("Acme".parse().unwrap(), "agency".parse().unwrap());
    assert_eq!(
        asked(&["accounts", "open", "Acme"]),
        Ok(Command::OpenAccount { name, plan })
    );
    let (name, plan) = ("Acme".parse().unwrap(), "pro".parse().unwrap());
    assert_eq!(
        asked(&["accounts", "open", "Acme", "--plan", "pro"]),
        Ok(Command::OpenAccount { name, plan })
    );
    assert_eq!(asked(&["accounts", "list"]), Ok(Command::ListAccounts));
    let label = "ci".parse().unwrap();
    assert_eq!(
        asked(&["keys", "create", "--label", "ci"]),
        Ok(Command::CreateKey { label })
    );
    let label = "command line".parse().unwrap();
    assert_eq!(asked(&["keys", "create"]), Ok(Command::CreateKey { label }));
    let empty = asked(&["keys", "create", "--label", " "]).unwrap_err();
    assert!(
        empty.contains("must have 1 to 128 characters after trimming"),
        "{empty}"
    );
    assert_eq!(
        asked(&["plan", "set", "pro"]),
        Ok(Command::SetPlan {
            plan: "pro".parse().unwrap()
        })
    );
    let username = "ada-example".to_owned();
    assert_eq!(asked(&["doctor"]), Ok(Command::Doctor));
    assert_eq!(asked(&["forget", "ada-example"]), Ok(Command::Forget { username }));
    let repo = Command::TrackRepo {
        repo: "acme/sdk".parse().unwrap(),
        relation: "competitor".parse().ok(),
    };
    assert_eq!(asked(&["track", "repo", "acme/sdk", "--type", "competitor"]), Ok(repo));
    let keyword = Command::TrackKeyword {
        keyword: "docker compose".parse().unwrap(),
        scan_targets: "issues,prs".parse().ok(),
    };
    assert_eq!(
        asked(&["track", "keyword", "docker compose", "--in", "issues,prs"]),
        Ok(keyword)
    );
    let replay = |projection: Option<&str>, verify| {
        let projection = projection.map(str::to_owned);
        Ok(Command::Replay { projection, verify })
    };
    assert_eq!(asked(&["replay", "--all"]), replay(None, false));
    assert_eq!(asked(&["replay", "leads", "--verify"]), replay(Some("leads"), true));
    let projections = |arguments: &[&str]| asked(&[&["projections"], arguments].concat());
    let (leads, one) = (|| "leads".to_owned(), || "lead-1".to_owned());
    let told = |asked| Ok(Command::Projections(asked));
    assert_eq!(projections(&["list"]), told(Projections::List));
    assert_eq!(
        projections(&["parked", "leads"]),
        told(Projections::Parked { projection: leads() })
    );
    for (arguments, stream) in [
        (&["retry", "leads", "--stream", "lead-1"][..], Some(one())),
        (&["retry", "leads"], None),
    ] {
        let projection = leads();
        assert_eq!(projections(arguments), told(Projections::Retry { projection, stream }));
    }
    let (projection, stream) = (leads(), one());
    assert_eq!(
        projections(&["skip", "leads", "--stream", "lead-1"]),
        told(Projections::Skip { projection, stream })
    );
    assert_eq!(
        projections(&["revert", "leads"]),
        told(Projections::Revert { projection: leads() })
    );
    let projection = None;
    assert_eq!(projections(&["drop-old"]), told(Projections::DropOld { projection }));
    let follow = wire::Events {
        after: 3,
        kind: Some("LeadCaptured".into()),
        follow: true,
        json: true,
    };
    let arguments = ["events", "--follow", "--after", "3", "--type", "LeadCaptured", "--json"];
    assert_eq!(asked(&arguments), Ok(Command::Events(follow)));
    let stdin = Command::Backfill {
        name: "standard input".into(),
        bytes: None,
    };
    assert_eq!(asked(&["backfill", "-"]), Ok(stdin));
}

#[test]
fn every_command_on_webhooks_is_read_as_it_is_documented() {
    let webhooks = |arguments: &[&str]| asked(&[&["webhooks"], arguments].concat());
    let told = |asked| Ok(Command::Webhooks(asked));
    let text = "wh_01J8ZQ4N3M8YV7T6S5R4Q3P2N1";
    let id = text.parse().unwrap();
    let url = || "https://hooks.example.com/in".to_owned();
    assert_eq!(webhooks(&["list"]), told(Webhooks::List));
    let plain = Webhooks::Add {
        url: url(),
        kind: WebhookKind::Webhook,
        events: Vec::new(),
        filters: WebhookFilters::default(),
        start_from: StartFrom::Now,
        description: None,
    };
    assert_eq!(webhooks(&["add", &url()]), told(plain));
    let whole = Webhooks::Add {
        url: url(),
        kind: WebhookKind::Slack,
        events: vec![WebhookEventType::LeadCreated, WebhookEventType::LeadErased],
        filters: WebhookFilters {
            signal_types: vec![SignalKind::Stargazer, SignalKind::KeywordPr],
            repos: vec!["acme/sdk".parse().unwrap()],
            keywords: vec!["fast, small".parse().unwrap(), "sdk".parse().unwrap()],
        },
        start_from: StartFrom::Beginning,
        description: Some("sales".into()),
    };
    let more = [
        "--kind",
        "slack",
        "--events",
        "lead.created,lead.erased",
        "--start-from",
        "beginning",
        "--signal-types",
        "stargazer,keyword_pr",
        "--repos",
        "acme/sdk",
        "--keyword",
        "fast, small",
        "--keyword",
        "sdk",
    ];
    let there = url();
    let arguments = [&["add", &there, "--description", "sales"][..], &more].concat();
    assert_eq!(webhooks(&arguments), told(whole));
    let newest = Webhooks::Deliveries {
        id,
        status: None,
        since: None,
        until: None,
        before: None,
        limit: 20,
    };
    for (word, asked) in [
        ("test", Webhooks::Test(id)),
        ("pause", Webhooks::Pause(id)),
        ("resume", Webhooks::Resume(id)),
        ("rotate-secret", Webhooks::RotateSecret(id)),
        ("remove", Webhooks::Remove(id)),
        ("replays", Webhooks::Replays(id)),
        ("deliveries", newest),
    ] {
        assert_eq!(webhooks(&[word, text]), told(asked));
    }
    let since = "2026-04-24T10:31:00Z";
    let replay = Webhooks::Replay {
        id,
        since: since.parse().unwrap(),
        until: None,
    };
    assert_eq!(webhooks(&["replay", text, "--since", since]), told(replay));
    let older = Webhooks::Deliveries {
        id,
        status: Some(DeliveryStatus::Failed),
        since: Some(since.parse().unwrap()),
        until: Some(since.parse().unwrap()),
        before: Some(40_213),
        limit: 5,
    };
    let span = ["--status", "failed", "--since", since, "--until", since];
    let arguments = [&["deliveries", text, "--cursor", "40213", "--limit", "5"][..], &span].concat();
    assert_eq!(webhooks(&arguments), told(older));
    let forward_to = "http://localhost:3000/hook".to_owned();
    assert_eq!(
        asked(&["listen", "--forward-to", &forward_to.clone()]),
        Ok(Command::Listen { forward_to })
    );
}

#[tokio::test]
async fn a_command_that_needs_data_makes_no_new_installation() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("typo");
    for arguments in [
        &["keys", "list"][..],
        &["keys", "revoke", "key_00000000000000000000000000"],
        &["plan", "set", "pro"],
        &["replay", "--all"],
        &["projections", "list"],
        &["events"],
        &["webhooks", "list"],
        &["listen", "--forward-to", "http://localhost:3000/"],
    ] {
        let data_dir = data.to_str().unwrap();
        let line = Line::try_parse_from(["gitleads", "--data-dir", data_dir]).unwrap();
        let config = Config::from_layers(&line.settings, &|_| None).unwrap();
        let refused = run::commands(config, None, vec![asked(arguments).unwrap().into()]).await;
        let expected = format!("there is no GitLeads data in {data_dir}; is --data-dir right?");
        assert_eq!(refused.unwrap_err().to_string(), expected, "{arguments:?}");
        assert!(!data.exists());
    }
}

#[tokio::test]
async fn waiting_for_news_where_no_server_runs_ends_at_once_and_keeps_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let line = Line::try_parse_from(["gitleads", "--data-dir", data_dir]).unwrap();
    let config = Config::from_layers(&line.settings, &|_| None).unwrap();
    // It does not even ask for the lock, which another command has.
    let other = App::open(config.clone()).await.unwrap().unwrap();
    let expected =
        format!("no server answers in {data_dir}; start one there with `gitleads serve`, and then this again");
    for arguments in [
        ["listen", "--forward-to=http://localhost:3000/"],
        ["events", "--follow"],
    ] {
        let refused = run::commands(config.clone(), None, vec![asked(&arguments).unwrap().into()]).await;
        assert_eq!(refused.unwrap_err().to_string(), expected);
    }
    other.close().await;
}

#[test]
fn a_value_of_the_wrong_shape_is_refused_with_its_reason() {
    let refused = |arguments: &[&str], reason: &str| {
        let error = asked(arguments).unwrap_err();
        assert!(error.contains(reason), "{error}");
    };
    refused(&["track", "repo", "acme"], "must be owner/name");
    refused(
        &["track", "repo", "a/b", "--type", "rival"],
        "own, competitor, ecosystem",
    );
    refused(&["track", "keyword", "x"], "must have 2 to 256 characters");
    refused(
        &["keys", "revoke", "nope"],
        "'nope' for '<ID>': must be a key's id, such as key_01",
    );
    refused(&["events", "--after", "x"], "must be a position, a whole number");
    refused(&["replay"], "<NAME|--all>");
    refused(&["projections", "skip", "leads"], "--stream <STREAM>");
    refused(&["backfill"], "<FILE>");
}
