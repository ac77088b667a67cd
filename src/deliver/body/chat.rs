//! Messages for people: the bodies of one or several events as a channel of Slack's or Discord's takes them. Nothing in them
//! can ping anybody, and nothing that people wrote is read as mark-up.

use std::fmt::Write as _;

use bytes::Bytes;
use domain::{LeadStatus, SignalKind, WebhookEventType, WebhookKind};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Unrenderable;

/// How many events one message tells at most: as many embeds as Discord takes.
pub const MOST: usize = 10;

/// Characters of a text block: Slack takes 3,000 (Block Kit reference, "section").
const SLACK_TEXT: usize = 2_900;

/// Characters of all embeds of a message: Discord takes 6,000 (developer documentation, "Embed limits"), and 256 of a title.
const DISCORD_EMBEDS: usize = 5_900;
const DISCORD_TITLE: usize = 250;

/// Characters of what people wrote that a message quotes, and of each fact beside it.
const QUOTE: usize = 300;
const FACT: usize = 80;

/// A longer address is shown nowhere: it would be cut off.
const LONGEST_URL: usize = 300;

/// What a message needs of a body.
#[derive(Deserialize)]
struct Brief {
    event: WebhookEventType,
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    id: Option<String>,
    signal_type: Option<SignalKind>,
    signal_source: String,
    github_username: String,
    github_profile_url: String,
    name: Option<String>,
    company: Option<String>,
    location: Option<String>,
    followers: Option<u64>,
    keyword: Option<String>,
    url: Option<String>,
    snippet: Option<String>,
    status: Option<LeadStatus>,
    tracked_repo: Option<TrackedRepo>,
    tracked_keyword: Option<TrackedKeyword>,
    collector: String,
    state: String,
    reason: String,
}

#[derive(Deserialize)]
struct TrackedRepo {
    full_name: String,
}

#[derive(Deserialize)]
struct TrackedKeyword {
    keyword: String,
}

/// Writes a character so that it is no mark-up, knowing the one that follows it.
type Escape = fn(char, Option<char>, &mut String);

/// Where nothing is read as mark-up.
const PLAIN: Escape = |character, _, to| to.push(character);

/// The text of a notification. Slack has no escape for what makes letters bold and names emoji: nothing may touch such a sign.
const SLACK: Escape = |character, next, to| match character {
    '&' => to.push_str("&amp;"),
    '<' => to.push_str("&lt;"),
    '>' => to.push_str("&gt;"),
    '*' | '_' | '~' | '`' => to.extend(['\u{200b}', character, '\u{200b}']),
    ':' if names_emoji(next) => to.extend([':', '\u{200b}']),
    other => to.push(other),
};

const DISCORD: Escape = |character, next, to| match character {
    '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '[' | ']' | '(' | ')' | '#' => to.extend(['\\', character]),
    // An at sign that no name follows is none.
    '@' => to.extend(['@', '\u{200b}']),
    ':' if names_emoji(next) => to.extend([':', '\u{200b}']),
    other => to.push(other),
};

/// Whether a name of an emoji can begin so, after its colon.
fn names_emoji(next: Option<char>) -> bool {
    next.is_some_and(|next| next.is_alphanumeric() || matches!(next, '_' | '+' | '-'))
}

/// What begins a quoted line of Discord's.
const QUOTED: &str = "> ";

/// The bodies, rendered for programs, as the endpoint's kind takes them: a program gets the one there is, a channel one message
/// of all. At most [`MOST`] bodies of a message are told; the others are counted.
pub fn shaped(kind: WebhookKind, bodies: &[Bytes]) -> Result<Bytes, Unrenderable> {
    let message = match kind {
        WebhookKind::Webhook => return bodies.first().cloned().ok_or(Unrenderable::Incomplete),
        WebhookKind::Slack => slack,
        WebhookKind::Discord => discord,
    };
    let briefs = bodies.iter().map(|body| serde_json::from_slice(body));
    let briefs: Vec<Brief> = briefs.collect::<Result<_, _>>().map_err(Unrenderable::Json)?;
    serde_json::to_vec(&message(&briefs))
        .map(Into::into)
        .map_err(Unrenderable::Json)
}

fn slack(briefs: &[Brief]) -> Value {
    let (told, others) = briefs.split_at(briefs.len().min(MOST));
    let mut blocks: Vec<Value> = told.iter().map(slack_block).collect();
    if !others.is_empty() {
        let text = format!("… and {} more", others.len());
        blocks.push(json!({"type": "rich_text", "elements": [slack_line("rich_text_section", &text)]}));
    }
    // What a notification shows.
    let text = within(&summary(briefs), SLACK_TEXT, SLACK);
    json!({"text": text, "blocks": blocks, "unfurl_links": false, "unfurl_media": false})
}

/// One event as rich text: its texts are shown as they are, whatever stands in them (Block Kit reference, "rich text").
fn slack_block(brief: &Brief) -> Value {
    let title = within(&title(brief), FACT * 3, PLAIN);
    let headline = match link(&brief.data) {
        Some(url) => json!({"type": "link", "url": url, "text": title, "style": {"bold": true}}),
        None => json!({"type": "text", "text": title, "style": {"bold": true}}),
    };
    let mut elements = vec![json!({"type": "rich_text_section", "elements": [headline]})];
    elements.extend(quote(&brief.data).map(|line| slack_line("rich_text_quote", &line)));
    elements.extend(facts(&brief.data).map(|line| slack_line("rich_text_section", &line)));
    json!({"type": "rich_text", "elements": elements})
}

fn slack_line(kind: &str, text: &str) -> Value {
    json!({"type": kind, "elements": [{"type": "text", "text": within(text, SLACK_TEXT, PLAIN)}]})
}

fn discord(briefs: &[Brief]) -> Value {
    let (told, others) = briefs.split_at(briefs.len().min(MOST));
    let share = DISCORD_EMBEDS / told.len().max(1);
    let embeds: Vec<Value> = told
        .iter()
        .map(|brief| {
            let title = within(&title(brief), DISCORD_TITLE.min(share / 2), DISCORD);
            let room = share.saturating_sub(title.chars().count());
            let details = details(&brief.data, room);
            let description = details.trim_start();
            match link(&brief.data) {
                Some(url) => json!({"title": title, "url": url, "description": description}),
                None => json!({"title": title, "description": description}),
            }
        })
        .collect();
    let allowed_mentions = json!({"parse": []});
    if others.is_empty() {
        return json!({"embeds": embeds, "allowed_mentions": allowed_mentions});
    }
    let content = format!("… and {} more", others.len());
    json!({"content": content, "embeds": embeds, "allowed_mentions": allowed_mentions})
}

/// What a notification says of all of them.
fn summary(briefs: &[Brief]) -> String {
    match briefs {
        [one] => title(one),
        several => format!("{} news from GitLeads", several.len()),
    }
}

/// One line that says what happened.
fn title(brief: &Brief) -> String {
    let data = &brief.data;
    let login = data.github_username.as_str();
    let who = match data.name.as_deref().filter(|name| !name.trim().is_empty()) {
        Some(name) => format!("{} ({login})", cut(name.trim(), FACT)),
        None => login.to_owned(),
    };
    match brief.event {
        WebhookEventType::LeadCreated => format!("{who} {}", act(data)),
        WebhookEventType::LeadSignalAdded => format!("Again: {who} {}", act(data)),
        WebhookEventType::LeadEnriched => format!("More is known of {who}"),
        WebhookEventType::LeadUpdated => match data.status {
            // An edit does not say which part of the lead it was about.
            Some(status) => format!("{who} was edited: {status}"),
            None => format!("{who} was edited"),
        },
        WebhookEventType::LeadErased => format!("The person of {} was erased", data.id.as_deref().unwrap_or("a lead")),
        WebhookEventType::SourceDegraded => source(data),
        WebhookEventType::WebhookTest => "GitLeads reaches this channel".to_owned(),
    }
}

/// Which source does not work, and why.
fn source(data: &Data) -> String {
    let repo = data.tracked_repo.as_ref().map(|repo| repo.full_name.clone());
    let keyword = || Some(format!("“{}”", cut(&data.tracked_keyword.as_ref()?.keyword, FACT)));
    let fed = repo.or_else(keyword).unwrap_or_else(|| "a source".to_owned());
    let [collector, state, reason] = [&data.collector, &data.state, &data.reason].map(|word| word.replace('_', " "));
    format!("{fed}: the {collector} is {state} ({reason})")
}

/// What the person did.
fn act(data: &Data) -> String {
    let keyword = || cut(data.keyword.as_deref().unwrap_or("a keyword"), FACT);
    let place = match data.signal_type {
        None | Some(SignalKind::Stargazer) => return format!("starred {}", data.signal_source),
        Some(SignalKind::KeywordIssue) => "an issue",
        Some(SignalKind::KeywordPr) => "a pull request",
        Some(SignalKind::KeywordCode) => "code",
        Some(SignalKind::KeywordDiscussion) => "a discussion",
    };
    format!("wrote “{}” in {place} of {}", keyword(), data.signal_source)
}

/// What the person wrote, as one line: a line break would end a quote.
fn quote(data: &Data) -> Option<String> {
    let line = data
        .snippet
        .as_deref()?
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    Some(cut(&line, QUOTE)).filter(|line| !line.is_empty())
}

/// Who the person is.
fn facts(data: &Data) -> Option<String> {
    let followers = data.followers.map(|followers| format!("{followers} followers"));
    let facts = [data.company.clone(), data.location.clone(), followers];
    let facts: Vec<String> = facts.into_iter().flatten().map(|fact| cut(&fact, FACT)).collect();
    Some(facts.join(" · ")).filter(|facts| !facts.is_empty())
}

/// What stands below the line of an embed, in `room` characters at most.
fn details(data: &Data, room: usize) -> String {
    let mut text = String::new();
    if let Some(line) = quote(data) {
        let room = room.saturating_sub(QUOTED.len() + 1) / 2;
        let _ = write!(text, "\n{QUOTED}{}", within(&line, room, DISCORD));
    }
    if let Some(facts) = facts(data) {
        let room = room.saturating_sub(text.chars().count() + 1);
        let _ = write!(text, "\n{}", within(&facts, room, DISCORD));
    }
    text
}

/// Where the line leads: what the person wrote, or else who they are.
fn link(data: &Data) -> Option<&str> {
    let urls = [data.url.as_deref(), Some(data.github_profile_url.as_str())];
    let is_safe = |url: &&str| {
        url.starts_with("https://")
            && url.len() <= LONGEST_URL
            && url
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"<>|\"\\".contains(&byte))
    };
    urls.into_iter().flatten().find(is_safe)
}

/// The text's first characters, with an ellipsis where more were.
fn cut(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(characters.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

/// The text, escaped, in at most so many characters; no escape is cut in two.
fn within(text: &str, characters: usize, escape: Escape) -> String {
    let (mut written, mut length) = (String::new(), 0);
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let mut escaped = String::new();
        if character.is_control() {
            escaped.push(' ');
        } else {
            escape(character, rest.peek().copied(), &mut escaped);
        }
        length += escaped.chars().count();
        if length >= characters {
            written.push('…');
            break;
        }
        written.push_str(&escaped);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(event: &str, data: &Value) -> Bytes {
        json!({"event": event, "type": event, "id": "evt_1", "data": data})
            .to_string()
            .into()
    }

    fn star(name: &str) -> Value {
        json!({
            "id": "lead_1", "signal_type": "stargazer", "signal_source": "acme/sdk", "name": name,
            "github_username": "ada", "github_profile_url": "https://github.com/ada", "followers": 12,
            "company": "Example & Sons", "location": null, "top_languages": [],
        })
    }

    fn comment(snippet: &str, url: &str) -> Value {
        json!({
            "id": "lead_1", "signal_type": "keyword_issue", "signal_source": "acme/sdk", "keyword": "event sourcing",
            "url": url, "snippet": snippet, "github_username": "ada", "github_profile_url": "https://github.com/ada",
        })
    }

    fn message(kind: WebhookKind, bodies: &[Bytes]) -> Value {
        serde_json::from_slice(&shaped(kind, bodies).unwrap()).unwrap()
    }

    #[test]
    fn a_program_gets_the_body_as_it_is() {
        let body = body("lead.created", &star("Ada"));
        assert_eq!(shaped(WebhookKind::Webhook, std::slice::from_ref(&body)).unwrap(), body);
        assert!(matches!(
            shaped(WebhookKind::Webhook, &[]),
            Err(Unrenderable::Incomplete)
        ));
    }

    #[test]
    fn slack_reads_a_line_with_a_link_and_the_facts_below() {
        let message = message(WebhookKind::Slack, &[body("lead.created", &star("Ada Example"))]);
        assert_eq!(message["text"], "Ada Example (ada) starred acme/sdk");
        let headline = json!({
            "type": "link", "url": "https://github.com/ada", "text": "Ada Example (ada) starred acme/sdk",
            "style": {"bold": true},
        });
        let facts = json!({"type": "text", "text": "Example & Sons · 12 followers"});
        let expected = json!({"type": "rich_text", "elements": [
            {"type": "rich_text_section", "elements": [headline]},
            {"type": "rich_text_section", "elements": [facts]},
        ]});
        assert_eq!(message["blocks"], json!([expected]));
    }

    #[test]
    fn discord_reads_an_embed_and_pings_nobody() {
        let told = comment("see @everyone *now* :wave:", "https://github.com/acme/sdk/issues/1");
        let message = message(WebhookKind::Discord, &[body("lead.signal_added", &told)]);
        assert_eq!(message["allowed_mentions"], json!({"parse": []}));
        assert_eq!(
            message["embeds"],
            json!([{
                "title": "Again: ada wrote “event sourcing” in an issue of acme/sdk",
                "url": "https://github.com/acme/sdk/issues/1",
                "description": "> see @\u{200b}everyone \\*now\\* :\u{200b}wave:",
            }])
        );
    }

    #[test]
    fn what_people_wrote_is_no_mark_up_and_no_mention() {
        let told = comment("<!channel> *bold* :wave: a\nb", "https://github.com/x|y>z");
        let message = message(WebhookKind::Slack, &[body("lead.created", &told)]);
        let elements = &message["blocks"][0]["elements"];
        assert_eq!(elements[0]["elements"][0]["url"], "https://github.com/ada");
        // Rich text is shown as it is.
        let quoted = json!({"type": "text", "text": "<!channel> *bold* :wave: a b"});
        assert_eq!(elements[1], json!({"type": "rich_text_quote", "elements": [quoted]}));
    }

    #[test]
    fn a_notification_of_slack_s_has_no_mark_up_in_it() {
        let message = message(
            WebhookKind::Slack,
            &[body("lead.created", &star("*Ada* :wave: <!here> & co"))],
        );
        let star = "\u{200b}*\u{200b}";
        let name = format!("{star}Ada{star} :\u{200b}wave: &lt;!here&gt; &amp; co");
        assert_eq!(message["text"], format!("{name} (ada) starred acme/sdk"));
    }

    #[test]
    fn every_event_has_a_line() {
        let lines = [
            ("lead.enriched", star("Ada"), "More is known of Ada (ada)"),
            (
                "lead.updated",
                json!({"github_username": "ada", "status": "contacted"}),
                "ada was edited: contacted",
            ),
            (
                "lead.erased",
                json!({"id": "lead_1", "erased_at": "x"}),
                "The person of lead_1 was erased",
            ),
            (
                "webhook.test",
                json!({"endpoint_id": "wh_1"}),
                "GitLeads reaches this channel",
            ),
            (
                "source.degraded",
                json!({
                    "tracked_repo": {"id": "repo_1", "full_name": "acme/sdk"}, "tracked_keyword": null,
                    "collector": "stargazer_list", "state": "restricted", "reason": "forbidden", "since": "x",
                }),
                "acme/sdk: the stargazer list is restricted (forbidden)",
            ),
            (
                "source.degraded",
                json!({
                    "tracked_repo": null, "tracked_keyword": {"id": "kw_1", "keyword": "docker"},
                    "collector": "issue_search", "state": "unavailable", "reason": "no_answer", "since": "x",
                }),
                "“docker”: the issue search is unavailable (no answer)",
            ),
        ];
        for (event, data, line) in lines {
            let message = message(WebhookKind::Slack, &[body(event, &data)]);
            let headline = &message["blocks"][0]["elements"][0]["elements"][0];
            assert_eq!(headline["text"], line);
        }
    }

    #[test]
    fn the_largest_message_keeps_within_the_limits() {
        let wide = |letter: &str| letter.repeat(3_000);
        for letter in ["&", "*", "@", "é"] {
            let told = json!({
                "signal_type": "keyword_pr", "signal_source": wide(letter), "keyword": wide(letter),
                "snippet": wide(letter), "name": wide(letter), "company": wide(letter), "location": wide(letter),
                "followers": u64::MAX, "github_username": wide(letter), "github_profile_url": wide(letter),
            });
            let bodies = vec![body("lead.created", &told); 60];
            let slack = message(WebhookKind::Slack, &bodies);
            let blocks = slack["blocks"].as_array().unwrap();
            assert_eq!(blocks.len(), MOST + 1);
            assert_eq!(blocks[MOST]["elements"][0]["elements"][0]["text"], "… and 50 more");
            let count = |value: &Value| value.as_str().unwrap_or_default().chars().count();
            assert!(count(&slack["text"]) <= 3_000);
            let texts = blocks.iter().flat_map(|block| block["elements"].as_array().unwrap());
            assert!(
                texts
                    .map(|part| count(&part["elements"][0]["text"]))
                    .all(|length| (1..=500).contains(&length))
            );
            let discord = message(WebhookKind::Discord, &bodies);
            let embeds = discord["embeds"].as_array().unwrap();
            assert_eq!(embeds.len(), MOST);
            assert!(embeds.iter().all(|embed| count(&embed["title"]) <= 256));
            let all: usize = embeds
                .iter()
                .map(|embed| count(&embed["title"]) + count(&embed["description"]))
                .sum();
            assert!(all <= 6_000, "{all}");
        }
    }
}
