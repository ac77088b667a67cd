//! The root key, for those who keep it elsewhere than in the data directory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::secret::Secret;
use super::sources::{ConfigError, Sources};

/// The keys of this file; none has a flag, since a flag is visible to other users of the machine.
pub const KEYS: &[&str] = &["root_key"];

/// The root key, for those who keep it elsewhere than in the data directory.
#[derive(Debug, Clone)]
pub struct Vault {
    /// 32 bytes in base64; none: the file in the data directory, made at the first start.
    pub root_key: Option<Secret>,
}

impl Vault {
    pub(super) fn read(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let root_key = sources.find("root_key", |text| match STANDARD.decode(text) {
            Ok(bytes) if bytes.len() == 32 => Ok(Secret::new(text)),
            _ => Err("must be 32 bytes in base64, as `openssl rand -base64 32` prints them".to_owned()),
        })?;
        Ok(Self { root_key })
    }
}
