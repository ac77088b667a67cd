//! How our streams are named on the server, and how the server tells them from all others.

use domain::StreamId;
use domain::stream::{Category, InvalidStreamId};
use kurrentdb::SubscriptionFilter;

use crate::Scope;

/// An account, as it stands in a name.
const ACCOUNT: &str = "acct_[0-7][0-9A-HJKMNP-TV-Z]{25}";
/// Records that the server looks at before it comes up for air.
const WINDOW: u32 = 1_024;

/// Streams have the names that the domain gives them. Tests that share a server put a prefix of their own before them.
#[derive(Debug, Default)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    #[cfg(test)]
    pub(super) const fn with_prefix(prefix: String) -> Self {
        Self { prefix }
    }

    /// The stream's name on the server.
    pub(super) fn of(&self, stream: &StreamId) -> String {
        format!("{}{stream}", self.prefix)
    }

    /// The stream that has this name.
    pub(super) fn stream<'name>(&self, name: &'name str) -> Result<&'name str, InvalidStreamId> {
        name.strip_prefix(&self.prefix).ok_or(InvalidStreamId)
    }

    /// Lets exactly our streams through: neither the server's own nor those that another application names alike.
    pub(super) fn filter(&self, scope: Scope) -> SubscriptionFilter {
        SubscriptionFilter::on_stream_name()
            .max(WINDOW)
            .regex(self.pattern(scope))
    }

    fn pattern(&self, scope: Scope) -> String {
        let account = match scope {
            Scope::All => ACCOUNT.to_owned(),
            Scope::Account(account) => account.to_string(),
        };
        let keyed = Category::ALL.iter().filter(|category| **category != Category::Account);
        let keyed: Vec<&str> = keyed.map(|category| category.as_str()).collect();
        let (prefix, own, keyed) = (&self.prefix, Category::Account, keyed.join("|"));
        format!("^{prefix}({own}-{account}|({keyed})-{account}-.+)$")
    }
}
