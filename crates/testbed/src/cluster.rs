//! Servers of one test, which it stops, starts again and fails over from one to the other.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::{client, told};

static STARTED: AtomicU32 = AtomicU32::new(0);

/// As in `scripts/postgres`, but that a replica looks for a primary that was away more often than every five seconds.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = on
wal_level = replica
wal_retrieve_retry_interval = 50ms
";

/// How long a replica may take until it follows.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether a commit waits for the replica.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// The replica follows when it can.
    Asynchronous,
    /// A commit is answered when the replica has it on its disk too, and waits while there is no replica.
    Synchronous,
}

/// One server with its data, gone when dropped.
///
/// The calls wait until the server has done what they ask; they block their thread meanwhile.
pub struct Cluster {
    pub(crate) data: PathBuf,
    port: u16,
}

impl Cluster {
    /// Makes an empty server and starts it.
    pub fn start() -> Self {
        let data = new_directory();
        let made = [
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "-D",
        ];
        run("initdb", &made, &data);
        append(&data, SETTINGS);
        Self::start_at_a_free_port(data)
    }

    /// Makes an empty server that takes encrypted connections alone, and writes the certificate that a client must trust
    /// to this file.
    pub fn start_encrypted(certificate: &Path) -> Self {
        let cluster = Self::start();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
        let made = made.expect("a certificate can be made");
        fs::write(certificate, made.cert.pem()).expect("the certificate can be written");
        cluster.write("server.crt", &made.cert.pem());
        cluster.write("server.key", &made.signing_key.serialize_pem());
        cluster.write("pg_hba.conf", "hostssl all all 127.0.0.1/32 trust\n");
        append(&cluster.data, "ssl = on\n");
        run("pg_ctl", &["stop", "-m", "fast", "-D"], &cluster.data);
        cluster.start_again();
        cluster
    }

    /// A file of the server's own, which nobody else may read.
    fn write(&self, name: &str, text: &str) {
        let path = self.data.join(name);
        fs::write(&path, text).expect("a server's data can be written");
        let owner = fs::metadata(&self.data).expect("a server has data");
        chown(&path, Some(owner.uid()), Some(owner.gid())).expect("the file can be given to the server");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file can be closed to others");
    }

    /// Where a client finds a database of it; `postgres` is there from the start.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Ends the server as a crash does: connections break, and the next start recovers from the write-ahead log.
    pub fn stop_immediate(&self) {
        run("pg_ctl", &["stop", "-m", "immediate", "-D"], &self.data);
    }

    /// Starts the stopped server on the same data and the same port.
    pub fn start_again(&self) {
        assert!(
            try_start(&self.data, self.port),
            "the server does not start again: {}",
            log(&self.data)
        );
    }

    /// Starts a second server that follows this one. A synchronous one restarts this server once, in an orderly way.
    pub async fn replica(&self, replication: Replication) -> Self {
        let data = new_directory();
        let primary = self.url("postgres");
        let copied = [
            "-R",
            "-X",
            "stream",
            "--checkpoint=fast",
            "--no-sync",
            "-d",
            &primary,
            "-D",
        ];
        run("pg_basebackup", &copied, &data);
        let replica = Self::start_at_a_free_port(data);
        if replication == Replication::Synchronous {
            // After the copy, so that the replica does not wait for another once it is promoted. Not by a reload, of
            // which nobody can see when it has reached every process.
            append(&self.data, "synchronous_standby_names = '*'\n");
            run("pg_ctl", &["stop", "-m", "fast", "-D"], &self.data);
            self.start_again();
        }
        self.followed(replication).await;
        replica
    }

    /// Makes a replica a server that takes writes.
    pub fn promote(&self) {
        run("pg_ctl", &["promote", "-w", "-D"], &self.data);
    }

    async fn followed(&self, replication: Replication) {
        let wanted = match replication {
            Replication::Asynchronous => "state = 'streaming'",
            Replication::Synchronous => "state = 'streaming' AND sync_state = 'sync'",
        };
        let following = format!("SELECT count(*) FROM pg_stat_replication WHERE {wanted}");
        let since = Instant::now();
        while client::number(&self.url("postgres"), &following).await == 0 {
            assert!(
                since.elapsed() < PATIENCE,
                "the replica does not follow: {}",
                log(&self.data)
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Below the ports that systems hand out by themselves, so that it is still free when the server starts again.
    fn start_at_a_free_port(data: PathBuf) -> Self {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let mut ports = (0..10).map(|attempt| {
            let spread = u64::from(process::id()) * 37 + u64::from(number) * 11 + attempt * 1009;
            15_000 + u16::try_from(spread % 15_000).unwrap_or_default()
        });
        let port = ports.find(|port| try_start(&data, *port));
        let port = port.unwrap_or_else(|| panic!("the server does not start: {}", log(&data)));
        Self { data, port }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may be down already.
        let _ = program("pg_ctl")
            .args(["stop", "-m", "immediate", "-D"])
            .arg(&self.data)
            .output();
        let _ = fs::remove_dir_all(&self.data);
    }
}

/// A name for the data of a server. Whatever runs in that place ends with `scripts/postgres` at the latest.
fn new_directory() -> PathBuf {
    static NAMED: AtomicU32 = AtomicU32::new(0);
    let number = NAMED.fetch_add(1, Ordering::Relaxed);
    Path::new(&told("GITLEADS_TEST_POSTGRES_DIR")).join(format!("cluster-{}-{number}", process::id()))
}

/// A program of PostgreSQL, run by the user whose the servers are: they refuse root.
fn program(name: &str) -> Command {
    let directory = told("GITLEADS_TEST_POSTGRES_DIR");
    let owner = fs::metadata(&directory).expect("scripts/postgres has made the directory");
    let mut command = Command::new(Path::new(&told("GITLEADS_TEST_POSTGRES_BIN")).join(name));
    command.uid(owner.uid()).gid(owner.gid()).current_dir(directory);
    command
}

fn run(name: &str, arguments: &[&str], data: &Path) {
    let output = program(name).args(arguments).arg(data).output();
    let output = output.unwrap_or_else(|error| panic!("{name}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {}: {said}", arguments.join(" "));
}

fn try_start(data: &Path, port: u16) -> bool {
    let mut start = program("pg_ctl");
    start.args(["start", "-w", "-o", &format!("-p {port}"), "-l"]);
    let status = start.arg(data.join("log")).arg("-D").arg(data).output();
    status.expect("pg_ctl runs").status.success()
}

fn append(data: &Path, settings: &str) {
    let file = OpenOptions::new().append(true).open(data.join("postgresql.conf"));
    let mut file = file.expect("a server's data holds its settings");
    file.write_all(settings.as_bytes())
        .expect("the settings can be written");
}

fn log(data: &Path) -> String {
    fs::read_to_string(data.join("log")).unwrap_or_default()
}
