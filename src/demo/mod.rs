//! What `gitleads demo` has around a real server: invented people on a GitHub of its own, and a subscriber with a page.

pub mod receiver;
pub mod script;
pub mod world;

pub use receiver::Receiver;
pub use script::Script;

#[cfg(test)]
mod tests;
