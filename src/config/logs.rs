//! What is logged to standard error, and how.

use tracing::level_filters::LevelFilter;

use super::sources::{ConfigError, Sources};

/// The keys of this file.
pub const KEYS: &[&str] = &["log_format", "log_level"];

/// What is logged, and how.
#[derive(Debug, Clone, Copy)]
pub struct Logs {
    /// For people or for machines.
    pub format: LogFormat,
    /// Up to which level.
    pub level: LevelFilter,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The same as flags.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// How log lines are written: text or json [default: text]
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// What is logged: off, error, warn, info, debug or trace [default: info]
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl Flags {
    pub(super) fn given(&self) -> [(&'static str, Option<String>); 2] {
        [
            ("log_format", self.log_format.clone()),
            ("log_level", self.log_level.clone()),
        ]
    }
}

impl Logs {
    pub(super) fn read(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            format: sources.value("log_format", "text", |text| match text {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err("must be text or json".to_owned()),
            })?,
            level: sources.value("log_level", "info", |text| match text {
                "off" => Ok(LevelFilter::OFF),
                "error" => Ok(LevelFilter::ERROR),
                "warn" => Ok(LevelFilter::WARN),
                "info" => Ok(LevelFilter::INFO),
                "debug" => Ok(LevelFilter::DEBUG),
                "trace" => Ok(LevelFilter::TRACE),
                _ => Err("must be off, error, warn, info, debug or trace".to_owned()),
            })?,
        })
    }
}
