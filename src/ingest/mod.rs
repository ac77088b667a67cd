//! From public activity to recorded signals: one door for polls, GitHub's webhooks and archives.

pub mod activity;

pub use activity::{Act, Activity, Actor, ActorKind};
