//! Keywords put together into searches: as many as GitHub takes in one query. Used by the searches and by the plan.
//!
//! A query has at most 256 characters and five operators
//! (<https://docs.github.com/rest/search/search#limitations-on-query-length>): six keywords with OR between them. What is
//! found for which of them our own matcher says.

/// Keywords in a query at most: five operators stand between six.
pub const MOST: usize = 6;
/// Characters of a query that keywords may take; the rest is for where and since when to look.
const ROOM: usize = 180;

/// The part of a query that looks for any of the phrases, and how many of them it took. At least one is taken: of a phrase
/// that is too long by itself, its beginning is looked for.
pub fn pack<'a>(phrases: impl IntoIterator<Item = &'a str>) -> (String, usize) {
    let (mut query, mut taken) = (String::new(), 0);
    for phrase in phrases.into_iter().take(MOST) {
        let quoted = quoted(phrase);
        let joint = if query.is_empty() { "" } else { " OR " };
        let length = query.chars().count() + joint.len() + quoted.chars().count();
        if taken > 0 && length > ROOM {
            break;
        }
        query.push_str(joint);
        query.push_str(&quoted);
        taken += 1;
    }
    (query, taken)
}

/// How many packs so many phrases make.
pub fn count<'a>(phrases: impl IntoIterator<Item = &'a str>) -> u64 {
    let phrases: Vec<&str> = phrases.into_iter().collect();
    let (mut rest, mut packs) = (phrases.as_slice(), 0);
    while !rest.is_empty() {
        let (_, taken) = pack(rest.iter().copied());
        rest = rest.get(taken.max(1)..).unwrap_or_default();
        packs += 1;
    }
    packs
}

/// The phrase in quotation marks, so that its words are looked for in their order. A mark inside would end it.
fn quoted(phrase: &str) -> String {
    let plain: String = phrase
        .chars()
        .map(|c| if c == '"' || c == '\\' { ' ' } else { c })
        .collect();
    let mut words = String::new();
    for word in plain.split_whitespace() {
        let joint = usize::from(!words.is_empty());
        if !words.is_empty() && words.chars().count() + joint + word.chars().count() > ROOM - 2 {
            break;
        }
        if joint == 1 {
            words.push(' ');
        }
        words.extend(word.chars().take(ROOM - 2));
    }
    format!("\"{words}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_keywords_stand_in_a_query_with_five_operators() {
        let phrases = ["docker", "event sourcing", "c++", "d", "e", "f", "g"];
        let (query, taken) = pack(phrases);
        assert_eq!(
            (query.as_str(), taken),
            (r#""docker" OR "event sourcing" OR "c++" OR "d" OR "e" OR "f""#, 6)
        );
        assert_eq!(count(phrases), 2);
    }

    #[test]
    fn a_query_stays_short_whatever_is_looked_for() {
        let long = "lang und länger ".repeat(16);
        let unbroken = "ß".repeat(256);
        let phrases = [long.as_str(), "docker", unbroken.as_str(), "a", "b"];
        let mut rest = &phrases[..];
        let mut packs = 0;
        while !rest.is_empty() {
            let (query, taken) = pack(rest.iter().copied());
            assert!(query.chars().count() <= ROOM && taken > 0, "{query}");
            rest = &rest[taken..];
            packs += 1;
        }
        assert_eq!((packs, count(phrases)), (4, 4));
    }

    #[test]
    fn a_keyword_cannot_end_its_own_quotation() {
        let (query, _) = pack([r#"say "no" \ now"#]);
        assert_eq!(query, r#""say no now""#);
    }

    #[test]
    fn nothing_makes_no_pack() {
        assert_eq!(count([]), 0);
    }
}
