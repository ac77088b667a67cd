//! A command over a real socket: its input, its frames, and what happens when one side goes away.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::serve::Shutdown;

/// Counts the bytes of a backfill, follows events for ever, refuses a replay; says when a command was dropped.
struct Counting {
    dropped: watch::Sender<bool>,
}

struct SaysWhenDropped(watch::Sender<bool>);

impl Drop for SaysWhenDropped {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

#[async_trait]
impl Execute for Counting {
    async fn execute(&self, order: Order, input: Option<Input>, output: &Output) -> anyhow::Result<()> {
        match order.command {
            Command::Backfill { name, bytes } => {
                let mut input = input.unwrap();
                let counted = tokio::task::spawn_blocking(move || io::copy(&mut input, &mut io::sink())).await??;
                output.progress(counted, bytes, Unit::Bytes);
                output.line(format!("{name}: {counted} bytes")).await?;
                Ok(())
            }
            Command::Events(_) => {
                let _says = SaysWhenDropped(self.dropped.clone());
                output.line("following").await?;
                std::future::pending().await
            }
            other => anyhow::bail!("{other:?} is not for this test"),
        }
    }
}

struct Server {
    dir: tempfile::TempDir,
    end: watch::Sender<bool>,
    dropped: watch::Receiver<bool>,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // What a process that was killed leaves behind.
        drop(std::os::unix::net::UnixListener::bind(socket(dir.path())).unwrap());
        std::fs::create_dir(dir.path().join(".new")).unwrap();
        let (end, shutdown) = Shutdown::channel();
        let (dropped, seen) = watch::channel(false);
        let path = dir.path().to_owned();
        let serving = tokio::spawn(async move { server::serve(&path, Arc::new(Counting { dropped }), shutdown).await });
        while tokio::net::UnixStream::connect(socket(dir.path())).await.is_err() {
            tokio::task::yield_now().await;
        }
        Self {
            dir,
            end,
            dropped: seen,
            serving,
        }
    }

    async fn ask(&self, command: Command, input: Option<Input>) -> mpsc::Receiver<Frame> {
        client::start(self.dir.path(), &command.into(), input).await.unwrap()
    }
}

async fn all(mut frames: mpsc::Receiver<Frame>) -> Vec<Frame> {
    let mut seen = Vec::new();
    while let Some(frame) = frames.recv().await {
        seen.push(frame);
    }
    seen
}

fn backfill(bytes: u64) -> Command {
    Command::Backfill {
        name: "hour".into(),
        bytes: Some(bytes),
    }
}

#[tokio::test]
async fn an_input_of_many_chunks_arrives_whole_and_the_frames_come_back() {
    let server = Server::start().await;
    let input = vec![b'\n'; 3_000_001];
    let frames = all(server
        .ask(backfill(3_000_001), Some(Box::new(io::Cursor::new(input))))
        .await)
    .await;
    let progress = Frame::Progress {
        done: 3_000_001,
        total: Some(3_000_001),
        unit: Unit::Bytes,
    };
    assert_eq!(
        frames,
        [progress, Frame::Line("hour: 3000001 bytes".into()), Frame::Done]
    );
}

#[tokio::test]
async fn an_input_that_breaks_off_is_not_taken_for_whole() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let server = Server::start().await;
    let input = io::Read::chain(io::Cursor::new(vec![0; 200_000]), Broken);
    let frames = all(server.ask(backfill(1), Some(Box::new(input))).await).await;
    assert!(!frames.contains(&Frame::Done), "{frames:?}");
    assert!(
        matches!(frames.last(), Some(Frame::Failed(fault)) if fault.contains("the disk is gone")),
        "{frames:?}"
    );
}

#[tokio::test]
async fn a_command_that_fails_says_why() {
    let server = Server::start().await;
    let frames = all(server.ask(Command::ListKeys, None).await).await;
    assert_eq!(frames, [Frame::Failed("ListKeys is not for this test".into())]);
}

#[tokio::test]
async fn a_command_is_dropped_when_its_asker_goes_away() {
    let mut server = Server::start().await;
    let mut frames = server.ask(Command::Events(wire::Events::default()), None).await;
    assert_eq!(frames.recv().await, Some(Frame::Line("following".into())));
    drop(frames);
    server.dropped.wait_for(|dropped| *dropped).await.unwrap();
}

#[tokio::test]
async fn the_shutdown_ends_commands_that_would_go_on_for_ever_and_removes_the_socket() {
    let server = Server::start().await;
    let mut frames = server.ask(Command::Events(wire::Events::default()), None).await;
    frames.recv().await;
    server.end.send_replace(true);
    let last = all(frames).await;
    assert_eq!(
        last,
        [Frame::Failed(
            "the server is shutting down; run the command again".into()
        )]
    );
    let ended = tokio::time::timeout(Duration::from_secs(10), server.serving).await;
    ended.unwrap().unwrap().unwrap();
    assert!(!socket(server.dir.path()).exists());
}

#[tokio::test]
async fn a_server_that_was_killed_is_said_to_have_ended() {
    let frame = "{\"line\":\"following\"}\n";
    let begun = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{frame}\r\n",
        frame.len()
    );
    let ended = Frame::Failed("the running server ended before the command did".into());
    for (answer, seen) in [("", vec![]), (begun.as_str(), vec![Frame::Line("following".into())])] {
        let dir = tempfile::tempdir().unwrap();
        let listener = tokio::net::UnixListener::bind(socket(dir.path())).unwrap();
        let frames = client::start(dir.path(), &Command::Events(wire::Events::default()).into(), None)
            .await
            .unwrap();
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"0\r\n\r\n") {
            assert!(connection.read_buf(&mut read).await.unwrap() > 0);
        }
        connection.write_all(answer.as_bytes()).await.unwrap();
        drop(connection);
        assert_eq!(all(frames).await, [seen, vec![ended.clone()]].concat());
    }
}

#[tokio::test]
async fn only_the_owner_can_connect() {
    let server = Server::start().await;
    let mode = std::fs::metadata(socket(server.dir.path()))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!server.dir.path().join(".new").exists());
}

#[tokio::test]
async fn without_a_server_the_asker_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = client::start(dir.path(), &Command::ListKeys.into(), None)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "the running server does not answer");
}

#[test]
fn a_data_directory_too_deep_for_a_socket_is_found_out() {
    assert!(server::check(Path::new("./gitleads-data")).is_ok());
    assert!(server::check(Path::new(&"deep/".repeat(40))).is_err());
}

#[test]
fn a_command_reads_back_from_the_wire() {
    let commands = [
        Command::CreateKey {
            label: "ci".parse().unwrap(),
        },
        Command::TrackRepo {
            repo: "acme/sdk".parse().unwrap(),
            relation: None,
        },
        Command::Events(wire::Events {
            after: 7,
            kind: Some("LeadCaptured".into()),
            follow: true,
            json: true,
        }),
    ];
    for command in commands {
        let text = serde_json::to_string(&command).unwrap();
        assert_eq!(serde_json::from_str::<Command>(&text).unwrap(), command);
    }
}
