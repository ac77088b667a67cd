//! A whole server as its user has it: the real binary, a data directory, a port of the system's choice.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::harness::home::Home;

/// A command line that no setting of the machine reaches.
#[expect(clippy::disallowed_methods, reason = "to take away what the program would read")]
pub fn gitleads(home: &Home) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gitleads"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GITLEADS_")) {
        command.env_remove(name);
    }
    command.args(home.arguments()).stdin(Stdio::null());
    command
}

/// Runs a command line to its end and expects it to succeed.
pub fn run(home: &Home, arguments: &[&str]) -> String {
    let output = output(home, arguments, &[]);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command line to its end with `input` on its standard input.
pub fn output(home: &Home, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = gitleads(home);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}

/// An answer as it came.
pub struct Answer {
    /// The status.
    pub status: u16,
    headers: reqwest::header::HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// A running server.
pub struct Server {
    child: Child,
    url: String,
    client: reqwest::Client,
    key: Option<String>,
}

impl Server {
    /// Starts a server on `home`; `key` is known from an earlier start, else the first start prints one.
    pub fn start(home: &Home, key: Option<&str>, arguments: &[&str]) -> Self {
        let mut command = gitleads(home);
        command.args([
            "--listen",
            "127.0.0.1:0",
            "--allow-private-webhooks",
            "--allow-http-webhooks",
        ]);
        if !arguments.contains(&"--github-api-url") {
            // The discard port: no story reaches GitHub.
            command.args(["--github-api-url", "http://127.0.0.1:9"]);
        }
        let mut child = command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut errors = child.stderr.take().unwrap();
        let mut complaints = Some(std::thread::spawn(move || {
            let mut text = String::new();
            drop(errors.read_to_string(&mut text));
            text
        }));
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let (mut url, mut printed) = (None, key.map(str::to_owned));
        while url.is_none() || printed.is_none() {
            let mut line = String::new();
            let read = lines.read_line(&mut line).unwrap();
            let mut complaint = || complaints.take().map(|said| said.join().unwrap()).unwrap_or_default();
            assert!(read > 0, "the server did not start: {}", complaint());
            for word in line.split(|c: char| c.is_whitespace() || c == '"' || c == '\'') {
                if word.starts_with("http://127.0.0.1:") && url.is_none() {
                    url = Some(word.trim_end_matches('/').to_owned());
                }
                if word.starts_with("gl_live_") && printed.is_none() {
                    printed = Some(word.to_owned());
                }
            }
        }
        // Keep reading, so that the server never waits for us.
        std::thread::spawn(move || drop(std::io::copy(&mut lines, &mut std::io::sink())));
        // Another story may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        // A connection for each request: one that idled while a command ran may be closed just as it is used again.
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
        let client = client.build().unwrap();
        Self {
            child,
            url: url.unwrap(),
            client,
            key: printed,
        }
    }

    /// The key of the account.
    pub fn key(&self) -> String {
        self.key.clone().unwrap()
    }

    /// A request with the account's key, `after` a position if there is one; its answer as it comes.
    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>, after: Option<&str>) -> Answer {
        let position = after.map(|position| ("gitleads-position", position));
        self.ask_with(method, path, body, position.as_slice()).await
    }

    /// A request with the account's key and further headers; its answer as it comes.
    pub async fn ask_with(&self, method: &str, path: &str, body: Option<Value>, headers: &[(&str, &str)]) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        request = request.bearer_auth(self.key());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.unwrap(),
        }
    }

    /// A request with the account's key; waits and asks again if the rate limit says so.
    pub async fn request(&self, method: &str, path: &str, body: Option<Value>) -> (u16, String) {
        loop {
            let answer = self.ask(method, path, body.clone(), None).await;
            if answer.status != 429 {
                return (answer.status, answer.body);
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }

    /// What `/readyz` says, ready or not.
    pub async fn ready(&self) -> Value {
        let answer = self.client.get(format!("{}/readyz", self.url)).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// GET that must answer 200 with JSON.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.request("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// POST that must answer `status` with JSON.
    pub async fn post(&self, path: &str, body: Value, status: u16) -> Value {
        let (got, text) = self.request("POST", path, Some(body)).await;
        assert_eq!(got, status, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Every lead under `filter` (such as `repo=a/b`), page by page.
    pub async fn leads(&self, filter: &str) -> Vec<Value> {
        let mut leads = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/v1/leads?limit=100&{filter}{cursor}")).await;
            leads.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return leads,
            }
        }
    }

    /// Ends the process at once, as a crash would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the process to end and says whether it ended well.
    pub fn terminate(mut self) -> bool {
        self.signal("-TERM");
        self.child.wait().unwrap().success()
    }

    /// Stops the process wherever it stands, and lets nothing of it go on.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets a paused process go on as if nothing had happened.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
