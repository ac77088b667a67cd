//! Texts made comparable with keywords, where their words begin and end, and the way back to the original words.

use unicode_segmentation::UnicodeSegmentation;

/// A snippet holds about so many characters on either side of the keyword.
const AROUND: usize = 70;

/// [`domain::keyword::fold`] into a buffer that is used again, quick for texts of ASCII alone.
pub fn fold_into(text: &str, folded: &mut String) {
    folded.clear();
    if !text.is_ascii() {
        folded.push_str(&domain::keyword::fold(text));
        return;
    }
    folded.reserve(text.len());
    let mut gap = false;
    for byte in text.bytes() {
        if matches!(byte, 9..=13 | b' ') {
            gap = true;
            continue;
        }
        if gap && !folded.is_empty() {
            folded.push(' ');
        }
        gap = false;
        folded.push(char::from(byte.to_ascii_lowercase()));
    }
}

/// Whether the match at `start..end` stands for itself: no word goes on over either of its edges.
pub fn is_whole(text: &str, start: usize, end: usize) -> bool {
    // Markdown's emphasis, `_such as this_`: underscores between the match and the outside of any word are no part of
    // it, unlike those that join it to another word.
    let (Some(before), Some(after)) = (text.get(..start), text.get(end..)) else {
        return false;
    };
    let outer_start = before.trim_end_matches('_').len();
    let outer_end = text.len() - after.trim_start_matches('_').len();
    let emphasised = |edge, outer| edge != outer && is_boundary(text, outer);
    (is_boundary(text, start) || emphasised(start, outer_start))
        && (is_boundary(text, end) || emphasised(end, outer_end))
}

/// Letters, digits and underscores hold together; between others there is a boundary, and also between two letters
/// of a script that is written without spaces, as Unicode's annex 29 has it.
fn is_boundary(text: &str, at: usize) -> bool {
    let (Some(before), Some(after)) = (text.get(..at), text.get(at..)) else {
        return false;
    };
    let (Some(last), Some(next)) = (before.chars().next_back(), after.chars().next()) else {
        return true;
    };
    if last.is_ascii() && next.is_ascii() {
        let word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        return !(word(last) && word(next));
    }
    [last, next]
        .iter()
        .collect::<String>()
        .split_word_bounds()
        .nth(1)
        .is_some()
}

/// The words around the match, which stands at `start..end` of the folded form of `text`: in the original spelling,
/// white space drawn together, an ellipsis where something was left out.
pub fn snippet(text: &str, start: usize, end: usize) -> String {
    let from = origin(text, start);
    let to = origin(text, end).max(from);
    let (before, rest) = text.split_at_checked(from).unwrap_or(("", text));
    let (found, after) = rest.split_at_checked(to - from).unwrap_or((rest, ""));
    let begin = before.char_indices().rev().nth(AROUND).map(|(at, _)| at);
    let finish = after.char_indices().nth(AROUND).map(|(at, _)| at);
    let before = before.get(begin.unwrap_or(0)..).unwrap_or(before);
    let after = after.get(..finish.unwrap_or(after.len())).unwrap_or(after);
    let cut = [before, found, after].concat();
    let words = cut.split_whitespace().collect::<Vec<_>>().join(" ");
    match (begin.is_some(), finish.is_some()) {
        (false, false) => words,
        (true, false) => format!("…{words}"),
        (false, true) => format!("{words}…"),
        (true, true) => format!("…{words}…"),
    }
}

/// Where in `text` the place `at` of its folded form comes from. Folding may lengthen and shorten, so the place is
/// searched for: the longest beginning of the text whose folded form does not go beyond it.
fn origin(text: &str, at: usize) -> usize {
    let mut folded = String::new();
    let mut reach = |to: usize| {
        fold_into(text.get(..to).unwrap_or(text), &mut folded);
        folded.len()
    };
    let (mut low, mut high) = (0, text.len());
    while low < high {
        let middle = text.ceil_char_boundary(usize::midpoint(low, high) + usize::from(high - low == 1));
        if reach(middle) <= at {
            if middle == low {
                break;
            }
            low = middle;
        } else {
            high = text.floor_char_boundary(middle - 1);
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_way_of_folding_gives_what_the_domain_gives() {
        let mut folded = String::from("left over");
        for text in [
            "",
            "  Plain\r\n\t TEXT\u{b}x  ",
            "Straße\u{a0}X",
            "a\u{1c}b",
            "ＦＵＬＬ width",
        ] {
            fold_into(text, &mut folded);
            assert_eq!(folded, domain::keyword::fold(text), "{text:?}");
        }
    }

    #[test]
    fn words_end_where_a_reader_sees_them_end() {
        for (text, found, whole) in [
            ("use docker now", "docker", true),
            ("docker", "docker", true),
            ("dockers", "docker", false),
            ("mydocker", "docker", false),
            ("docker_compose", "docker", false),
            ("my_docker_image", "docker", false),
            ("my__docker", "docker", false),
            ("_docker_compose", "docker", false),
            ("_docker_", "docker", true),
            ("use __docker__, please", "docker", true),
            ("(_use docker_)", "docker", true),
            ("é_docker_", "docker", false),
            ("docker_é", "docker", false),
            ("docker-compose docker.io", "docker", true),
            ("in c++ or", "c++", true),
            ("asp.net core", ".net", true),
            (".network", ".net", false),
            ("ärger", "rger", false),
            ("docker\u{20dd}", "docker", false),
            ("データベースとDocker", "docker", true),
            ("非対応です", "対応", true),
        ] {
            let folded = domain::keyword::fold(text);
            let start = folded.find(found).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(is_whole(&folded, start, start + found.len()), whole, "{text}");
        }
    }

    fn snippet_of(text: &str, keyword: &str) -> String {
        let folded = domain::keyword::fold(text);
        let start = folded.find(&domain::keyword::fold(keyword)).unwrap();
        snippet(text, start, start + domain::keyword::fold(keyword).len())
    }

    #[test]
    fn a_snippet_keeps_the_original_spelling_and_tells_what_was_left_out() {
        assert_eq!(snippet_of("We  run\nDocker   here", "docker"), "We run Docker here");
        assert_eq!(snippet_of("  \n\tDOCKER!", "docker"), "DOCKER!");
        assert_eq!(snippet_of("Große Straße 5", "strasse"), "Große Straße 5");
        let long = format!("{} Straße {}", "ß".repeat(300), "é".repeat(300));
        let cut = snippet_of(&long, "STRASSE");
        assert!(
            cut.starts_with("…ß") && cut.ends_with("é…") && cut.contains(" Straße "),
            "{cut}"
        );
        assert!((140..=165).contains(&cut.chars().count()), "{cut}");
    }

    #[test]
    fn the_way_back_is_found_through_white_space_and_longer_letters() {
        let text = "  İstanbul \u{3000}\n ﬁne   print";
        let folded = domain::keyword::fold(text);
        let at = folded.find("print").unwrap();
        assert!(text.get(origin(text, at)..).unwrap().trim_start().starts_with("print"));
        assert_eq!(origin(text, folded.len()), text.len());
    }
}
