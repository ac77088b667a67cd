//! Hourly files of the public timeline, as GH Archive keeps them, turned into activities. Used by the backfill.

pub mod fetch;
pub mod glance;
pub mod hour;
pub mod lines;
pub mod scan;

pub use fetch::{Archive, Fetched, GH_ARCHIVE};
pub use hour::ArchiveHour;
pub use scan::{Batch, Scan, Tally, scan};
