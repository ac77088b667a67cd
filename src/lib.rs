//! The application: drivers around the one writer, composed in [`app`] and kept running by [`serve`].

pub mod app;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod control;
pub mod deliver;
pub mod demo;
#[cfg(test)]
mod engines;
pub mod erasures;
pub mod gharchive;
pub mod github;
pub mod http;
pub mod ingest;
pub mod lease;
pub mod metrics;
pub mod project;
mod retry_after;
pub mod serve;
pub mod storage;
pub mod telemetry;
pub mod tls;
pub mod transfer;
pub mod verify;
pub mod whom;
