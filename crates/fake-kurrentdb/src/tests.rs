//! The stand-in as the real client sees it.
