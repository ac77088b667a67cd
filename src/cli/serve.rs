//! `gitleads serve`: starts the server and tells a person what to do next.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::future::try_join_all;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::app::App;
use crate::config::{Access, Config, Role};
use crate::control;
use crate::deliver;
use crate::deliver::connector::Connector;
use crate::deliver::guard::Policy;
use crate::deliver::request::Sender;
use crate::erasures;
use crate::github::{Authorization, Client, Installation};
use crate::http::{Api, GithubWebhook, NodeReport, TaskReport, router, server, supervisors_router};
use crate::ingest::budgets;
use crate::ingest::scheduler::{self, Scheduler};
use crate::ingest::shards::Whose;
use crate::ingest::{enrich, release};
use crate::metrics;
use crate::project;
use crate::serve::{TaskState, Tasks, stop_signal};

/// How long tasks may take to end; with what closing the files takes, well under the 10 s that supervisors grant.
const END_WITHIN: Duration = Duration::from_secs(8);

/// A server that answers.
pub struct Started {
    /// Its address, such as `http://127.0.0.1:8080`.
    pub url: String,
    /// Where its data lies.
    pub place: String,
    /// The first key, if this is the first start.
    pub first_key: Option<String>,
}

/// Serves until the process is told to end.
pub async fn run(config: Config) -> anyhow::Result<()> {
    run_with(config, async |started| {
        // Somebody who closed the output does not want to read it.
        let _ = std::io::stdout().write_all(welcome(&started).as_bytes());
        let _ = std::io::stdout().flush();
        Ok(())
    })
    .await
}

/// Serves until the process is told to end, and does something once it has begun; what that gives is kept meanwhile.
pub async fn run_with<T>(config: Config, begun: impl AsyncFnOnce(Started) -> anyhow::Result<T>) -> anyhow::Result<()> {
    control::server::check(&config.server.data_dir)?;
    let data_dir = config.server.data_dir.clone();
    let listen = config.server.listen;
    // Bound first: a taken port is told before anything is made on disk.
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    let Some(app) = App::open(config).await? else {
        bail!("another process has the data directory {} open", data_dir.display());
    };
    let app = Arc::new(app);
    let served = serve(&app, listener, begun).await;
    // However it ended: what this node holds is others' to take at once.
    app.close().await;
    served
}

async fn serve<T>(
    app: &Arc<App>,
    listener: TcpListener,
    begun: impl AsyncFnOnce(Started) -> anyhow::Result<T>,
) -> anyhow::Result<()> {
    metrics::start();
    let mut tasks = Tasks::new();
    tasks.spawn(
        "metrics",
        |shutdown| async move { shutdown.cut_off(fold_metrics()).await },
    );
    // First: whoever holds the lease below may wait for this node to show what it wrote.
    let (runner, claims) = (app.runner.clone(), app.claims.clone());
    tasks.spawn("projections", move |shutdown| {
        let work = project::run(runner.clone(), claims.clone());
        async move { shutdown.cut_off(work).await }
    });
    // Of several nodes that start at once on nothing, one issues the first key.
    let first_start = app.leases.acquire("first start").await.context("cannot take a lease")?;
    let account = app.account().await?;
    let first_key = app.first_key(account.account).await?;
    first_start.release().await;
    for account in app.tokens_of_nobody().await? {
        tracing::warn!(%account, "a token is set for an account that does not exist: it asks for nobody");
    }
    if app.config.roles.has(Role::Ingest) {
        let with_own = app.config.github.account_tokens.keys().map(ToString::to_string);
        let tokens: Vec<String> = with_own.chain([budgets::HOST.to_owned()]).collect();
        let kept = budgets::keep(&*app.storage.store, &tokens).await;
        kept.context("forgetting what GitHub grants other tokens")?;
    }
    let address = listener.local_addr().context("cannot tell the address")?;
    start(app, listener, &mut tasks)?;
    let place = if app.storage.is_shared() {
        app.storage.name()
    } else {
        app.config.server.data_dir.display().to_string()
    };
    let started = Started {
        url: format!("http://{address}"),
        place,
        first_key: first_key.map(|key| key.secret.as_str().to_owned()),
    };
    let until_told = async {
        let _kept = begun(started).await?;
        std::future::pending::<anyhow::Result<()>>().await
    };
    let outcome = tokio::select! {
        signal = stop_signal() => signal.context("cannot wait for signals"),
        outcome = until_told => outcome,
    };
    tracing::info!("ending");
    for name in tasks.shutdown(END_WITHIN).await {
        tracing::warn!(task = name, "did not end in time and was cut off");
    }
    outcome
}

async fn fold_metrics() -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(metrics::FOLD_EVERY).await;
        metrics::fold();
    }
}

/// The closed list of long-running tasks besides the projections, of which a node runs those of its roles.
fn start(app: &Arc<App>, listener: TcpListener, tasks: &mut Tasks) -> anyhow::Result<()> {
    let roles = &app.config.roles;
    if roles.has(Role::Deliver) {
        let deliveries = deliveries(app)?;
        tasks.spawn("deliveries", move |shutdown| deliver::run(deliveries.clone(), shutdown));
    }
    if roles.has(Role::Ingest) {
        ingestion(app, tasks)?;
    }
    let here = app.clone();
    tasks.spawn("erasures", move |shutdown| {
        let app = here.clone();
        async move { shutdown.cut_off(erasures::run(&app.writer, app.opened_at)).await }
    });
    if !app.storage.is_shared() {
        // On a shared database a command is a process of its own.
        let (execute, data_dir) = (app.clone(), app.config.server.data_dir.clone());
        tasks.spawn("control", move |shutdown| {
            let (execute, data_dir) = (execute.clone(), data_dir.clone());
            async move { control::server::serve(&data_dir, execute, shutdown).await }
        });
    }
    let api = api(app, tasks)?;
    let clock = app.writer.clock.clone();
    let router = if roles.has(Role::Api) {
        router(api)
    } else {
        supervisors_router(api)
    };
    let listener = Arc::new(listener);
    tasks.spawn("http", move |shutdown| {
        let (listener, router, clock) = (listener.clone(), router.clone(), clock.clone());
        async move {
            server::serve(
                &listener,
                router,
                clock,
                server::Limits::default(),
                shutdown.requested(),
            )
            .await;
            Ok(())
        }
    });
    Ok(())
}

/// The tasks that ask GitHub, and the one that releases what waited for room.
fn ingestion(app: &Arc<App>, tasks: &mut Tasks) -> anyhow::Result<()> {
    let tokens = tokens(app)?;
    let here = app.clone();
    tasks.spawn("polls", move |shutdown| {
        let scheduler = |(whose, client): &(Whose, Arc<Client>)| {
            Scheduler::new(here.ingest.clone(), client.clone(), whose.clone(), here.leases.clone())
        };
        let all = try_join_all(tokens.iter().map(scheduler).map(scheduler::run));
        async move { shutdown.cut_off(async move { all.await.map(drop) }).await }
    });
    let here = app.clone();
    tasks.spawn("enrichment", move |shutdown| {
        let app = here.clone();
        async move {
            let work = |lease| enrich::run(app.ingest.clone(), lease);
            app.leases.hold(enrich::LEASE, &shutdown, work).await
        }
    });
    let here = app.clone();
    tasks.spawn("releases", move |shutdown| {
        let app = here.clone();
        async move {
            let work = |_| release::run(app.ingest.clone());
            app.leases.hold(release::LEASE, &shutdown, work).await
        }
    });
    Ok(())
}

/// Whose tokens ask GitHub: the host's, and those of accounts that have their own.
fn tokens(app: &App) -> anyhow::Result<Vec<(Whose, Arc<Client>)>> {
    let github = &app.config.github;
    let client = |access: Option<&Access>| -> anyhow::Result<Arc<Client>> {
        let clock = app.writer.clock.clone();
        Ok(Arc::new(Client::new(
            github.api_url.clone(),
            authorization(access)?,
            clock,
        )?))
    };
    let with_own = github.account_tokens.keys().copied().collect();
    let mut tokens = vec![(Whose::Host(Arc::new(with_own)), client(github.token.as_ref())?)];
    for (account, access) in &github.account_tokens {
        tokens.push((Whose::Account(*account), client(Some(access))?));
    }
    Ok(tokens)
}

/// What requests with that access carry.
pub(super) fn authorization(access: Option<&Access>) -> anyhow::Result<Authorization> {
    Ok(match access {
        None => Authorization::None,
        Some(Access::Token(token)) => Authorization::token(token.expose())?,
        Some(Access::Installation { app, installation }) => {
            let installation = Installation::new(app.id, *installation, app.key.expose())?;
            Authorization::Installation(Box::new(installation))
        }
    })
}

/// Where deliveries may go.
pub(super) fn policy(app: &App) -> Policy {
    let webhooks = app.config.webhooks;
    Policy {
        allow_private: webhooks.allow_private,
        allow_http: webhooks.allow_http,
    }
}

fn deliveries(app: &App) -> anyhow::Result<deliver::Deliveries> {
    Ok(deliver::Deliveries {
        writer: app.writer.clone(),
        store: app.storage.store.clone(),
        views: app.storage.views.clone(),
        freshness: app.freshness.clone(),
        sender: Sender::new(Connector::system(policy(app))?)?,
        leases: app.leases.clone(),
        nudge: Arc::new(Notify::new()),
    })
}

fn api(app: &App, tasks: &Tasks) -> anyhow::Result<Api> {
    let states = tasks.states();
    let secret = app.config.github.webhook_secret.as_ref();
    Ok(Api {
        writer: app.writer.clone(),
        views: app.storage.views.clone(),
        store: app.storage.store.clone(),
        freshness: app.freshness.clone(),
        plans: app.plans.clone(),
        endpoint_policy: policy(app),
        sender: Sender::new(Connector::system(policy(app))?)?,
        github_webhook: secret.map(|secret| GithubWebhook {
            ingest: app.ingest.clone(),
            secret: secret.expose().to_owned(),
        }),
        tasks: Arc::new(move || states.all().into_iter().map(report).collect()),
        node: NodeReport {
            roles: app.config.roles.words(),
            leases: app.leases.clone(),
        },
        shared_limits: app.storage.shared_limits(),
        cors_origins: app.config.server.cors_origins.clone(),
        answer_within: Api::ANSWER_WITHIN,
        shutdown: tasks.told(),
    })
}

fn report((name, state): (&'static str, TaskState)) -> TaskReport {
    TaskReport {
        name,
        well: matches!(state, TaskState::Running),
        state: state.as_str(),
    }
}

/// What the start prints; the first start prints the first key as well, this once.
pub fn welcome(started: &Started) -> String {
    let Started { url, place, first_key } = started;
    let mut text = format!("\n  GitLeads {} runs at {url}\n\n", env!("CARGO_PKG_VERSION"));
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "    API      {url}/v1/leads\n    State    {url}/readyz\n    Data     {place}\n"
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

    fn started(first_key: Option<&str>) -> Started {
        Started {
            url: "http://127.0.0.1:8080".into(),
            place: "./gitleads-data".into(),
            first_key: first_key.map(str::to_owned),
        }
    }

    #[test]
    fn the_first_start_shows_the_key_and_a_line_to_go_on_with() {
        let text = welcome(&started(Some(KEY)));
        assert!(
            text.contains("curl http://127.0.0.1:8080/v1/tracked-repos -H 'Authorization: Bearer gl_live_example'")
        );
        assert!(
            text.lines().any(|line| line.trim() == KEY),
            "alone on its line, to be copied"
        );
        assert!(text.contains(r#"{"full_name":"owner/name"}"#));
    }

    #[test]
    fn a_later_start_shows_no_key() {
        let text = welcome(&started(None));
        assert!(text.contains("http://127.0.0.1:8080") && !text.contains("gl_live_"));
    }
}
