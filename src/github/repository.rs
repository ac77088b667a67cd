//! What a repository is called by now, for those who have no token to ask for many at once.

use domain::RepoName;
use serde::Deserialize;

#[derive(Deserialize)]
struct Repository {
    full_name: RepoName,
}

/// The path of a repository by a name that it has or had.
pub fn path(repo: &RepoName) -> String {
    format!("/repos/{repo}")
}

/// Its name; none: the body is no repository.
pub fn read_name(body: &[u8]) -> Option<RepoName> {
    let repository = serde_json::from_slice::<Repository>(body).ok()?;
    Some(repository.full_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_full_one() {
        let name = read_name(br#"{"id":1,"name":"sdk","full_name":"new-owner/sdk","private":false}"#);
        assert_eq!(name, Some("new-owner/sdk".parse().unwrap()));
        assert_eq!(read_name(br#"{"message":"Not Found"}"#), None);
    }
}
