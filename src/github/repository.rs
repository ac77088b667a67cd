//! One repository, for those who cannot ask for many at once: without a token, or while GraphQL does not answer.

use domain::RepoName;
use serde::Deserialize;

/// A repository.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Repository {
    /// Its name by now.
    pub full_name: RepoName,
    /// How many stars it has, if that is told.
    #[serde(rename = "stargazers_count", default)]
    pub stars: Option<u64>,
    /// Whether only some may see it, of whom the token is one, if that is told.
    #[serde(rename = "private", default)]
    pub is_private: Option<bool>,
}

/// The path of a repository by a name that it has or had.
pub fn path(repo: &RepoName) -> String {
    format!("/repos/{repo}")
}

/// The repository; none: the body is none.
pub fn read(body: &[u8]) -> Option<Repository> {
    serde_json::from_slice(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_full_one() {
        let told = read(br#"{"id":1,"name":"sdk","full_name":"new-owner/sdk","private":true,"stargazers_count":7}"#);
        let repository = Repository {
            full_name: "new-owner/sdk".parse().unwrap(),
            stars: Some(7),
            is_private: Some(true),
        };
        assert_eq!(told, Some(repository));
        assert_eq!(read(br#"{"message":"Not Found"}"#), None);
    }
}
