//! The order of the places that settings come from, and what a fault says.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

/// The configuration of a command line, an environment and a file `gitleads.toml` in the data directory.
fn load(flags: &[&str], variables: &[(&str, &str)], file: Option<&str>) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    if let Some(text) = file {
        std::fs::write(dir.path().join("gitleads.toml"), text).unwrap();
    }
    load_in(dir.path(), flags, variables)
}

fn load_in(dir: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Result<Config, String> {
    let line = <Line as clap::Parser>::try_parse_from([&["gitleads"], flags].concat()).unwrap();
    let mut environment: BTreeMap<&str, OsString> = variables
        .iter()
        .map(|(name, value)| (*name, OsString::from(value)))
        .collect();
    environment
        .entry("GITLEADS_DATA_DIR")
        .or_insert_with(|| dir.as_os_str().to_owned());
    let in_dir = |text: String| text.replace(&format!("{}/", dir.display()), "");
    Config::from_layers(&line.flags, &|name| environment.get(name).cloned()).map_err(|error| in_dir(error.to_string()))
}

#[test]
fn nothing_given_is_the_embedded_default() {
    let config = load(&[], &[], None).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.github.api_url.as_str(), "https://api.github.com/");
    assert_eq!(
        (config.webhooks.allow_private, config.webhooks.allow_http),
        (false, false)
    );
    assert_eq!(config.plans, Plans::default());
    assert!(config.github.token.is_none() && config.github.webhook_secret.is_none() && config.vault.root_key.is_none());
}

#[test]
fn a_flag_beats_a_variable_and_a_variable_beats_the_file() {
    let file = Some("listen = '127.0.0.1:1'\nallow_http_webhooks = true\nlog_level = 'warn'\n");
    let variables = [("GITLEADS_LISTEN", "127.0.0.1:2"), ("GITLEADS_LOG_LEVEL", "error")];
    let config = load(&["--listen", "127.0.0.1:3"], &variables, file).unwrap();
    assert_eq!(config.server.listen.port(), 3);
    assert_eq!(config.logs.level, tracing::level_filters::LevelFilter::ERROR);
    assert!(config.webhooks.allow_http);
    assert_eq!(load(&[], &variables, file).unwrap().server.listen.port(), 2);
    assert_eq!(load(&[], &[], file).unwrap().server.listen.port(), 1);
}

#[test]
fn a_switch_needs_no_value_and_takes_one() {
    let allowed = |flags: &[&str]| {
        load(flags, &[("GITLEADS_ALLOW_PRIVATE_WEBHOOKS", "true")], None)
            .unwrap()
            .webhooks
            .allow_private
    };
    assert!(allowed(&["--allow-private-webhooks"]));
    assert!(!allowed(&["--allow-private-webhooks=false"]));
}

#[test]
fn an_empty_variable_counts_as_none() {
    let config = load(&[], &[("GITLEADS_GITHUB_TOKEN", ""), ("GITLEADS_LISTEN", "")], None).unwrap();
    assert!(config.github.token.is_none());
}

#[test]
fn a_fault_names_the_key_the_place_and_the_reason() {
    let wrong = |flags: &[&str], variables: &[(&str, &str)], file| load(flags, variables, file).unwrap_err();
    assert_eq!(
        wrong(&["--listen", "8080"], &[], None),
        "listen, from the flag --listen: must be an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080"
    );
    assert_eq!(
        wrong(&[], &[("GITLEADS_ALLOW_HTTP_WEBHOOKS", "yes")], None),
        "allow_http_webhooks, from the variable GITLEADS_ALLOW_HTTP_WEBHOOKS: must be true or false"
    );
    assert_eq!(
        wrong(&[], &[], Some("\nlog_format = 'xml'\n")),
        "log_format, from gitleads.toml:2: must be text or json"
    );
    assert_eq!(
        wrong(&[], &[], Some("github_api_url = ['x']")),
        "github_api_url, from gitleads.toml:1: must be a text, a number, true or false"
    );
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    let error = load(&[], &[], Some("listen = '127.0.0.1:1'\nlisten_on = '127.0.0.1:2'\n")).unwrap_err();
    assert!(
        error.starts_with("listen_on, from gitleads.toml:2: no such key; the keys are listen, data_dir,"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let error = load(&[], &[], Some("listen = '127.0.0.1:1'\nlisten = \n")).unwrap_err();
    assert!(error.starts_with("gitleads.toml:2: "), "{error}");
}

#[test]
fn a_named_file_is_taken_instead_and_must_exist() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("gitleads.toml"), "listen = '127.0.0.1:1'").unwrap();
    let other = dir.path().join("other.toml");
    std::fs::write(&other, "data_dir = '/srv/leads'\nlisten = '127.0.0.1:2'").unwrap();
    let named = load_in(dir.path(), &[], &[("GITLEADS_CONFIG", other.to_str().unwrap())]).unwrap();
    assert_eq!(named.server.listen.port(), 2);
    let missing = load_in(dir.path(), &["--config", "/nowhere/gitleads.toml"], &[]).unwrap_err();
    assert!(
        missing == "the configuration file /nowhere/gitleads.toml cannot be read",
        "its cause is told behind it: {missing}"
    );
}

#[test]
fn a_file_in_the_data_directory_cannot_move_the_data_directory() {
    let error = load(&[], &[], Some("data_dir = '/srv/leads'")).unwrap_err();
    assert!(error.starts_with("data_dir, from gitleads.toml:1: "), "{error}");
}

#[test]
fn plans_of_the_file_replace_the_published_ones() {
    let file = "[plans.agency]\napi = true\nrequests_per_minute = 10\n[plans.small]\napi = false\nrequests_per_minute = 0\nleads_per_month = 5\n";
    let plans = load(&[], &[], Some(file)).unwrap().plans;
    let names: Vec<&str> = plans.names().map(domain::PlanName::as_str).collect();
    assert_eq!(names, ["agency", "small"]);
}

#[test]
fn plans_with_a_fault_or_without_the_first_plan_are_refused() {
    let none = load(&[], &[], Some("[plans.small]\napi = true\nrequests_per_minute = 1\n")).unwrap_err();
    assert!(
        none.starts_with("plans, from gitleads.toml:1: must have [plans.agency]"),
        "{none}"
    );
    let typo = load(
        &[],
        &[],
        Some("[plans.agency]\napi = true\nrequests_per_minute = 1\nleads = 3\n"),
    )
    .unwrap_err();
    assert!(
        typo.starts_with("gitleads.toml:4: plans.agency.leads: unknown field `leads`"),
        "{typo}"
    );
    let kind = load(&[], &[], Some("[plans.agency]\napi = 'yes'\nrequests_per_minute = 1\n")).unwrap_err();
    assert!(
        kind.starts_with("gitleads.toml:2: plans.agency.api: invalid type"),
        "{kind}"
    );
}

#[test]
fn a_plan_without_a_cap_says_so_in_a_word_or_says_nothing() {
    let leads = |value: &str| {
        let file = format!("[plans.agency]\napi = true\nrequests_per_minute = 1\n{value}");
        let plans = load(&[], &[], Some(&file))?.plans;
        Ok::<_, String>(plans.find(&"agency".parse().unwrap()).unwrap().leads_per_month)
    };
    assert_eq!(leads(""), Ok(None));
    assert_eq!(leads("leads_per_month = 'unlimited'"), Ok(None));
    assert_eq!(leads("leads_per_month = 7"), Ok(Some(7)));
    for wrong in ["'many'", "-1", "4294967296", "1.5", "true"] {
        let told = leads(&format!("leads_per_month = {wrong}")).unwrap_err();
        assert!(
            told.starts_with("gitleads.toml:4: plans.agency.leads_per_month: "),
            "{told}"
        );
        assert!(told.contains("a whole number or \"unlimited\""), "{told}");
    }
}

#[test]
fn secrets_show_neither_when_printed_nor_in_a_fault() {
    let variables = [
        ("GITLEADS_GITHUB_TOKEN", "planted-token"),
        ("GITLEADS_GITHUB_WEBHOOK_SECRET", "planted-secret"),
    ];
    let config = load(&[], &variables, None).unwrap();
    let planted = Access::Token(Secret::new("planted-token"));
    assert_eq!(config.github.token, Some(planted));
    assert!(!format!("{config:?}").contains("planted"));
    for (name, value) in [
        ("GITLEADS_GITHUB_TOKEN", "planted token"),
        ("GITLEADS_ROOT_KEY", "planted"),
        ("GITLEADS_GITHUB_ACCOUNT_TOKENS", "planted"),
        ("GITLEADS_GITHUB_ACCOUNT_TOKENS", "planted=token"),
        (
            "GITLEADS_GITHUB_ACCOUNT_TOKENS",
            "acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1=plantedä",
        ),
    ] {
        let error = load(&[], &[(name, value)], None).unwrap_err();
        assert!(error.contains(name) && !error.contains("planted"), "{error}");
    }
}

#[test]
fn an_api_url_ends_with_a_slash_and_holds_no_password() {
    let url = |text: &str| load(&["--github-api-url", text], &[], None).map(|config| config.github.api_url.to_string());
    assert_eq!(url("http://127.0.0.1:9/api/v3").unwrap(), "http://127.0.0.1:9/api/v3/");
    for wrong in ["api.github.com", "ftp://x", "https://ada:planted@x", "https://x?y"] {
        let error = url(wrong).unwrap_err();
        assert!(
            error.starts_with("github_api_url") && !error.contains("planted"),
            "{error}"
        );
    }
}

const ACCOUNTS: [&str; 2] = ["acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1", "acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N2"];

#[test]
fn accounts_have_tokens_of_their_own_from_whichever_place() {
    let [one, other] = ACCOUNTS;
    let pairs = format!("{one}=planted-1, {other}=planted-2");
    let file = format!("github_account_tokens = '''\n{one}=planted-1\n{other}=planted-2\n'''");
    for config in [
        load(&["--github-account-tokens", &pairs], &[], None),
        load(&[], &[("GITLEADS_GITHUB_ACCOUNT_TOKENS", &pairs)], None),
        load(&[], &[], Some(&file)),
    ] {
        let tokens = config.unwrap().github.account_tokens;
        let told: Vec<(String, Access)> = tokens
            .into_iter()
            .map(|(account, token)| (account.to_string(), token))
            .collect();
        let token = |text: &str| Access::Token(Secret::new(text));
        assert_eq!(
            told,
            [
                (one.to_owned(), token("planted-1")),
                (other.to_owned(), token("planted-2"))
            ]
        );
    }
    for (wrong, reason) in [
        (format!("{one}=a {one}=b"), "has two tokens"),
        (format!("{one}=a, x"), "entry 2 must be ACCOUNT=TOKEN"),
        ("acct_1=a".to_owned(), "entry 1 must begin with an account"),
        (format!("{one}="), "at least one"),
    ] {
        let error = load(&["--github-account-tokens", &wrong], &[], None).unwrap_err();
        assert!(
            error.starts_with("github_account_tokens, from the flag") && error.contains(reason),
            "{error}"
        );
    }
}

#[test]
fn an_installation_stands_where_a_token_could_and_needs_its_app() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("app.pem");
    std::fs::write(&key, "planted key").unwrap();
    let key = key.to_str().unwrap();
    let app = ["--github-app-id", "77", "--github-app-key-file", key];
    let own = format!("{}=installation:6", ACCOUNTS[0]);
    let flags = ["--github-token", "installation:5", "--github-account-tokens", &own];
    let config = load(&[&app[..], &flags[..]].concat(), &[], None).unwrap();
    let installed = |installation| Access::Installation {
        app: github::App {
            id: 77,
            key: Secret::new("planted key"),
        },
        installation,
    };
    assert_eq!(config.github.token, Some(installed(5)));
    assert_eq!(
        config.github.account_tokens.into_values().collect::<Vec<_>>(),
        [installed(6)]
    );
    let missing = format!("{key}.not");
    for (flags, reason) in [
        (
            &flags[..2],
            "github_token, from the flag --github-token: names an installation, which needs github_app_id",
        ),
        (&flags[2..], "which needs github_app_id and github_app_key_file"),
        (
            &app[..2],
            "github_app_id, from the flag --github-app-id: needs github_app_key_file beside it",
        ),
        (
            &["--github-app-id", "x", "--github-app-key-file", key][..],
            "must be the number of a GitHub App",
        ),
        (&["--github-app-key-file", &missing][..], "cannot be read"),
        (
            &["--github-token", "installation:x"][..],
            "must be followed by the number",
        ),
    ] {
        let error = load(flags, &[], None).unwrap_err();
        assert!(error.contains(reason) && !error.contains("planted"), "{error}");
    }
}

#[test]
fn origins_are_as_browsers_write_them() {
    assert!(load(&[], &[], None).unwrap().server.cors_origins.is_empty());
    let given = "https://app.example.com, http://localhost:3000";
    let config = load(&["--cors-origins", given], &[], None).unwrap();
    assert_eq!(
        config.server.cors_origins,
        ["https://app.example.com", "http://localhost:3000"]
    );
    for wrong in [
        "*",
        "app.example.com",
        "https://app.example.com/",
        "https://App.example.com",
        "https://app.example.com:443",
        "ftp://app.example.com",
        "https://a.example.com https://b.example.com",
    ] {
        let fault = load(&["--cors-origins", wrong], &[], None).unwrap_err();
        assert!(
            fault.contains("must be origins with commas between"),
            "{wrong}: {fault}"
        );
    }
}
