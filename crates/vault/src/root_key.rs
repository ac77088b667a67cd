//! The root key: the one secret that an installation keeps outside its database. Read at start by the composition root.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// More than any well-formed key file has; nobody means a larger file.
const MAX_FILE: u64 = 1024;

/// Why there is no root key.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The text is not base64.
    #[error("the root key is not base64: it looks like the output of `openssl rand -base64 32`")]
    NotBase64,
    /// The text is base64, but not of 32 bytes.
    #[error("the root key has {found} bytes and must have 32: `openssl rand -base64 32` makes one")]
    Length {
        /// How many bytes it has.
        found: usize,
    },
    /// Others may read the file.
    #[error("the root key file {} is open to others (mode {mode:03o}): run `chmod 600 {}`", path.display(), path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error("the root key file {} is not usable", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<RootKeyError>,
    },
    /// The file system refused.
    #[error("cannot {action} the root key file {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// 32 secret bytes that every other key comes from. Whoever loses it loses all personal data for good.
#[derive(Clone)]
pub struct RootKey(Zeroizing<[u8; 32]>);

impl RootKey {
    /// The key of a base64 text, such as an environment variable has it; white space around it is ignored.
    pub fn from_base64(text: &str) -> Result<Self, RootKeyError> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| RootKeyError::NotBase64)?);
        let key = bytes.as_slice().try_into().map(Zeroizing::new);
        key.map(Self).map_err(|_| RootKeyError::Length { found: bytes.len() })
    }

    /// The key in the file at `path`, which is made of `entropy` if there is none. Of several processes that do this
    /// at once all get the same key. The directory must exist.
    pub fn load_or_create(path: &Path, entropy: [u8; 32]) -> Result<Self, RootKeyError> {
        let entropy = Zeroizing::new(entropy);
        if let Some(key) = Self::find(path)? {
            return Ok(key);
        }
        create(path, &entropy)?;
        // Read back: another process may have been first, and its key is the one that counts.
        Self::find(path)?.ok_or_else(|| io_error("read", path)(ErrorKind::NotFound.into()))
    }

    fn find(path: &Path) -> Result<Option<Self>, RootKeyError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(io_error("open", path))?,
        };
        let mode = file.metadata().map_err(io_error("inspect", path))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(RootKeyError::TooOpen {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_FILE)
            .read_to_string(&mut text)
            .map_err(io_error("read", path))?;
        let key = Self::from_base64(&text).map_err(|source| RootKeyError::File {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Some(key))
    }

    /// The bytes that other keys are derived from.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(..)")
    }
}

/// Writes the file whole under another name and then links it into place: a crash leaves no half key behind, and a
/// key that is already there stays.
fn create(path: &Path, bytes: &[u8; 32]) -> Result<(), RootKeyError> {
    let mut suffix = [0; 8];
    rand::fill(&mut suffix);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{:016x}.tmp", u64::from_ne_bytes(suffix)));
    let draft = Draft(PathBuf::from(name));
    draft.write(bytes).map_err(io_error("write", path))?;
    match fs::hard_link(&draft.0, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        linked => linked.map_err(io_error("create", path))?,
    }
    drop(draft);
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))
        .and_then(|directory| directory.sync_all())
        .map_err(io_error("store", path))
}

/// The file under its first name; gone when this goes.
struct Draft(PathBuf);

impl Draft {
    fn write(&self, bytes: &[u8; 32]) -> io::Result<()> {
        let text = Zeroizing::new(STANDARD.encode(bytes));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.0)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Nothing is lost if this fails: the name is one that nobody reads.
        let _ = fs::remove_file(&self.0);
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RootKeyError {
    move |source| RootKeyError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn file_with(directory: &Path, text: &str, mode: u32) -> PathBuf {
        let path = directory.join("root.key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        let made = RootKey::load_or_create(&path, [7; 32]).unwrap();
        let loaded = RootKey::load_or_create(&path, [8; 32]).unwrap();
        assert_eq!(made.bytes(), &[7; 32]);
        assert_eq!(loaded.bytes(), &[7; 32]);
        assert_eq!(mode(&path), 0o600);
        let files: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(files.len(), 1, "{files:?}");
    }

    #[test]
    fn of_many_that_make_a_key_at_once_all_get_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        let keys: Vec<RootKey> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8)
                .map(|entropy| {
                    scope.spawn({
                        let path = &path;
                        move || RootKey::load_or_create(path, [entropy; 32]).unwrap()
                    })
                })
                .collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| key.bytes() == keys[0].bytes()));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_fix_named() {
        let directory = tempfile::tempdir().unwrap();
        for open in [0o640, 0o604, 0o644, 0o666] {
            let path = file_with(directory.path(), &STANDARD.encode([7; 32]), open);
            let error = RootKey::load_or_create(&path, [8; 32]).unwrap_err();
            assert!(matches!(error, RootKeyError::TooOpen { .. }), "{error}");
            assert!(
                error.to_string().contains(&format!("chmod 600 {}", path.display())),
                "{error}"
            );
        }
        let path = file_with(directory.path(), &STANDARD.encode([7; 32]), 0o400);
        assert!(RootKey::load_or_create(&path, [8; 32]).is_ok());
    }

    #[test]
    fn a_file_of_another_length_or_no_base64_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        for (text, expected) in [
            (STANDARD.encode([7; 31]), "31 bytes"),
            ("???".into(), "not base64"),
            (String::new(), "0 bytes"),
        ] {
            let path = file_with(directory.path(), &text, 0o600);
            let error = RootKey::load_or_create(&path, [8; 32]).unwrap_err();
            let RootKeyError::File { source, .. } = error else {
                panic!("{error}")
            };
            assert!(source.to_string().contains(expected), "{source}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_missing_directory_and_a_dangling_link_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing/root.key");
        assert!(matches!(
            RootKey::load_or_create(&missing, [7; 32]),
            Err(RootKeyError::Io { .. })
        ));
        let link = directory.path().join("link.key");
        symlink(directory.path().join("nowhere"), &link).unwrap();
        assert!(RootKey::load_or_create(&link, [7; 32]).is_err());
    }

    #[test]
    fn a_text_is_read_with_the_white_space_around_it() {
        let text = format!("  {}\n", STANDARD.encode([9; 32]));
        assert_eq!(RootKey::from_base64(&text).unwrap().bytes(), &[9; 32]);
    }

    #[test]
    fn a_root_key_does_not_show_itself() {
        assert_eq!(format!("{:?}", RootKey(Zeroizing::new([7; 32]))), "RootKey(..)");
    }
}
