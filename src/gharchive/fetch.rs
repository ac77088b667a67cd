//! Archive hours by URL, kept in a folder of bounded size. Used by the backfill by hours.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use http::StatusCode;
use tokio::io::AsyncWriteExt as _;
use url::Url;

use super::hour::ArchiveHour;
use crate::tls;

/// Where GH Archive keeps its hours.
pub const GH_ARCHIVE: &str = "https://data.gharchive.org";

/// How many bytes the folder may hold; an hour of 2024 has about 100 million. What was fetched longest ago goes first.
const KEPT_BYTES: u64 = 2 << 30;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing may arrive.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// A source that does not answer is asked again after these.
const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];

/// A source of archive hours, and the folder in front of it.
pub struct Archive {
    http: reqwest::Client,
    base: Url,
    folder: PathBuf,
    kept_bytes: u64,
    waits: Vec<Duration>,
}

/// An hour that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// It is here, as a whole.
    File(PathBuf),
    /// The source has no such hour.
    Missing,
}

impl Archive {
    /// The hours below `base`, such as [`GH_ARCHIVE`], kept in `folder`.
    ///
    /// # Errors
    /// If TLS cannot be set up or the folder cannot be made.
    pub fn new(base: Url, folder: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config()?)
            .user_agent(concat!("gitleads/", env!("CARGO_PKG_VERSION")))
            // The files are gzip; what is said of the transfer must not have them unpacked on the way.
            .no_gzip()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()?;
        Ok(Self {
            http,
            base,
            folder,
            kept_bytes: KEPT_BYTES,
            waits: WAITS.to_vec(),
        })
    }

    /// The source.
    pub const fn base(&self) -> &Url {
        &self.base
    }

    /// The hour's file: the one that is kept, or else the source's.
    ///
    /// # Errors
    /// If the source cannot be reached, breaks off or refuses, however often it is asked, or the file cannot be kept.
    pub async fn fetch(&self, hour: ArchiveHour) -> anyhow::Result<Fetched> {
        let path = self.path(hour);
        if tokio::fs::try_exists(&path).await.unwrap_or(false) {
            return Ok(Fetched::File(path));
        }
        let mut waits = self.waits.iter();
        loop {
            match (self.download(hour, &path).await, waits.next()) {
                (Ok(fetched), _) => return Ok(fetched),
                (Err(_), Some(wait)) => tokio::time::sleep(*wait).await,
                (Err(error), None) => return Err(error.context(format!("cannot fetch the hour {hour}"))),
            }
        }
    }

    /// Has the hour fetched anew the next time.
    pub async fn forget(&self, hour: ArchiveHour) -> anyhow::Result<()> {
        let path = self.path(hour);
        let removed = tokio::fs::remove_file(&path).await;
        removed.with_context(|| format!("cannot remove {}", path.display()))
    }

    fn path(&self, hour: ArchiveHour) -> PathBuf {
        let source = format!(
            "{}{}{}",
            self.base.host_str().unwrap_or_default(),
            self.base.port().map(|port| format!("_{port}")).unwrap_or_default(),
            self.base.path().trim_end_matches('/').replace(['/', '%', ':'], "_")
        );
        self.folder.join(format!("{source}_{}", hour.file_name()))
    }

    async fn download(&self, hour: ArchiveHour, path: &Path) -> anyhow::Result<Fetched> {
        let address = format!("{}/{}", self.base.as_str().trim_end_matches('/'), hour.file_name());
        let mut response = self.http.get(address).send().await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(Fetched::Missing),
            status => bail!("the source answered {status}"),
        }
        let part = path.with_extension("part");
        let cannot = || format!("cannot write {}", part.display());
        let mut file = tokio::fs::File::create(&part).await.with_context(cannot)?;
        while let Some(chunk) = response.chunk().await? {
            file.write_all(&chunk).await.with_context(cannot)?;
        }
        file.sync_all().await.with_context(cannot)?;
        tokio::fs::rename(&part, path).await.with_context(cannot)?;
        let (folder, kept_bytes, newest) = (self.folder.clone(), self.kept_bytes, path.to_owned());
        tokio::task::spawn_blocking(move || trim(&folder, kept_bytes, &newest)).await??;
        Ok(Fetched::File(path.to_owned()))
    }
}

/// Removes what was fetched longest ago until the rest is small enough. The newest stays however large it is, and
/// whoever reads another one has it open.
fn trim(folder: &Path, kept_bytes: u64, newest: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        // Another process may have removed it meanwhile.
        if let Ok(looked) = entry.metadata() {
            let at = looked.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            files.push((at, entry.path(), looked.len()));
        }
    }
    files.sort_unstable_by(|one, other| other.cmp(one));
    let mut held = 0_u64;
    for (_, path, length) in files {
        held = held.saturating_add(length);
        if held > kept_bytes && path != newest {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
impl Archive {
    /// One that gives up at once and keeps at most so many bytes.
    pub(crate) fn impatient(base: Url, folder: PathBuf, kept_bytes: u64) -> Self {
        Self {
            kept_bytes,
            waits: Vec::new(),
            ..Self::new(base, folder).unwrap()
        }
    }
}
