//! Placeholder.

/// Placeholder.
pub struct Vault;
