//! A person's public profile over REST, with the languages of their own repositories. Used by the enrichment.
//!
//! Asked for by the numeric id, so that a renamed login is followed.

use std::collections::{BTreeMap, HashMap};

use domain::{Profile, ProfileField, Provenance, Timestamp};
use serde::Deserialize;

use super::client::{Answer, Client};

/// How many languages a profile names.
const TOP: usize = 5;
/// Repositories looked at for languages, those pushed to last: with a token, and without one (60 requests an hour).
const REPOS_WITH_TOKEN: usize = 10;
const REPOS_WITHOUT_TOKEN: usize = 3;

/// What a look-up came to.
#[derive(Debug)]
pub enum Looked {
    /// The profile as it is now.
    Found {
        /// The profile.
        profile: Box<Profile>,
        /// Whether the languages could be found out; if not, the profile names none.
        languages_known: bool,
        /// For asking again whether anything changed; none if something is still to be found out.
        etag: Option<String>,
    },
    /// Nothing changed since the `ETag`.
    Same,
    /// The person has left GitHub, or hides.
    Gone,
    /// Not now.
    Later(Timestamp),
    /// GitHub does not show this person to us, with that status.
    Denied(u16),
    /// No answer that can be used, and others would get none either; the reason names no person.
    Failed(String),
}

#[derive(Deserialize)]
struct User {
    login: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    bio: Option<String>,
    #[serde(default)]
    company: Option<String>,
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    followers: Option<u64>,
    #[serde(default)]
    public_repos: Option<u64>,
    #[serde(default)]
    created_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Repo {
    #[serde(default)]
    full_name: Option<String>,
    #[serde(default)]
    fork: bool,
}

/// Looks the person up; with an `ETag` only if something changed since.
pub async fn look_up(client: &Client, user_id: u64, etag: Option<&str>, now: Timestamp) -> Looked {
    let path = format!("/user/{user_id}");
    let (user, etag) = match ask::<User>(client, &path, etag).await {
        Ok((user, etag)) => (user, etag),
        Err(looked) => return looked,
    };
    // Somebody who became an organisation is no person any more.
    if user.kind.as_deref().is_some_and(|kind| kind != "User") {
        return Looked::Gone;
    }
    let repos = format!("/users/{}/repos?type=owner&sort=pushed&per_page=30", user.login);
    let languages = match languages(client, &repos).await {
        Ok(languages) => Some(languages),
        Err(Looked::Later(until)) => return Looked::Later(until),
        Err(_) => None,
    };
    let languages_known = languages.is_some();
    let mut profile = profile(user, languages.unwrap_or_default());
    let source = |path: &str| Provenance {
        source: "github_rest".to_owned(),
        url: client.address(path),
        observed_at: now,
    };
    profile.provenance = provenance(&profile, &source(&path), &source(&repos));
    Looked::Found {
        profile: Box::new(profile),
        languages_known,
        // Otherwise the languages would stay unknown for as long as the rest does not change.
        etag: etag.filter(|_| languages_known),
    }
}

async fn ask<T: for<'de> Deserialize<'de>>(
    client: &Client,
    path: &str,
    etag: Option<&str>,
) -> Result<(T, Option<String>), Looked> {
    match client.get(path, etag).await {
        Answer::Fresh(fresh) => match serde_json::from_slice(&fresh.body) {
            Ok(value) => Ok((value, fresh.etag)),
            // What serde says may quote the value, and with it the person.
            Err(error) => Err(Looked::Failed(format!(
                "an unexpected shape, line {} column {}",
                error.line(),
                error.column()
            ))),
        },
        Answer::NotModified { .. } => Err(Looked::Same),
        Answer::Limited { until } => Err(Looked::Later(until)),
        Answer::NotFound => Err(Looked::Gone),
        Answer::Denied(status) => Err(Looked::Denied(status.as_u16())),
        Answer::Moved => Err(Looked::Failed("moved to another host".to_owned())),
        Answer::Invalid(status) => Err(Looked::Failed(format!("answered {}", status.as_u16()))),
        Answer::Failed(reason) => Err(Looked::Failed(reason)),
    }
}

/// The languages of the person's own repositories that were pushed to last, most bytes first.
async fn languages(client: &Client, repos: &str) -> Result<Vec<String>, Looked> {
    let (repos, _) = ask::<Vec<Repo>>(client, repos, None).await?;
    let most = if client.has_token() {
        REPOS_WITH_TOKEN
    } else {
        REPOS_WITHOUT_TOKEN
    };
    let own = repos
        .into_iter()
        .filter(|repo| !repo.fork)
        .filter_map(|repo| repo.full_name);
    let mut bytes: HashMap<String, u64> = HashMap::new();
    for repo in own.take(most) {
        match ask::<HashMap<String, u64>>(client, &format!("/repos/{repo}/languages"), None).await {
            Ok((languages, _)) => {
                for (language, count) in languages {
                    *bytes.entry(language).or_default() += count;
                }
            }
            // One that went away or is blocked takes nothing from the others.
            Err(Looked::Gone | Looked::Denied(_)) => {}
            Err(looked) => return Err(looked),
        }
    }
    Ok(top(bytes))
}

/// The languages with most bytes.
pub(super) fn top(bytes: HashMap<String, u64>) -> Vec<String> {
    let mut ranked: Vec<(String, u64)> = bytes.into_iter().collect();
    ranked.sort_by(|(name, count), (other_name, other)| other.cmp(count).then_with(|| name.cmp(other_name)));
    ranked.into_iter().take(TOP).map(|(language, _)| language).collect()
}

/// The text, unless there is nothing in it.
pub(super) fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn profile(user: User, top_languages: Vec<String>) -> Profile {
    Profile {
        login: user.login,
        name: filled(user.name),
        email: filled(user.email),
        bio: filled(user.bio),
        company: filled(user.company),
        location: filled(user.location),
        followers: user.followers,
        public_repos: user.public_repos,
        account_created_at: user.created_at,
        top_languages,
        provenance: BTreeMap::new(),
    }
}

/// Where each field that has a value comes from.
fn provenance(profile: &Profile, user: &Provenance, repos: &Provenance) -> BTreeMap<ProfileField, Provenance> {
    let empty = Profile::default();
    let known = profile.changed_fields(&empty).into_iter();
    known
        .map(|field| match field {
            ProfileField::TopLanguages => (field, repos.clone()),
            _ => (field, user.clone()),
        })
        .collect()
}
