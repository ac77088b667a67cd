//! Hourly files of the public timeline, as GH Archive keeps them, turned into activities. Used by the backfill.

pub mod glance;
pub mod lines;
pub mod scan;

pub use scan::{Batch, Scan, Tally, scan};
