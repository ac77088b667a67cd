//! Why a command did not happen: refused by the rules, or storage stood in the way.

use event_log::{AppendError, ReadError};
use vault::VaultError;

/// `R` is the refusal of the aggregate that was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<R: std::error::Error + 'static> {
    /// The rules say no.
    #[error(transparent)]
    Refused(R),
    /// Others kept changing the same stream; nothing was written.
    #[error("too many changes at once; nothing was written")]
    Contended,
    /// The log is full of waiting writes; nothing was written.
    #[error("the log is busy; nothing was written")]
    Busy,
    /// The log could not be written.
    #[error("the log could not be written")]
    Append(#[source] AppendError),
    /// The log could not be read.
    #[error("the log could not be read")]
    Read(#[from] ReadError),
    /// Personal data could not be sealed or opened.
    #[error("the vault failed")]
    Vault(#[from] VaultError),
    /// A value could not be sealed or opened.
    #[error("a sealed value could not be used")]
    Sealed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl<R: std::error::Error + 'static> CommandError<R> {
    /// The same, refused by one of several aggregates.
    pub(super) fn within<S: std::error::Error + From<R> + 'static>(self) -> CommandError<S> {
        match self {
            Self::Refused(refusal) => CommandError::Refused(refusal.into()),
            Self::Contended => CommandError::Contended,
            Self::Busy => CommandError::Busy,
            Self::Append(error) => CommandError::Append(error),
            Self::Read(error) => CommandError::Read(error),
            Self::Vault(error) => CommandError::Vault(error),
            Self::Sealed(error) => CommandError::Sealed(error),
        }
    }
}
