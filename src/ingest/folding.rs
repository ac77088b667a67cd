//! Texts made comparable with keywords, where their words begin and end, and the way back to the original words.

use unicode_segmentation::UnicodeSegmentation;

/// A snippet holds about so many characters on either side of the keyword.
const AROUND: usize = 70;

/// ASCII is folded so many bytes at a time.
const BLOCK: usize = 16;

/// [`domain::keyword::fold`] into a buffer that is used again, quick wherever the text is ASCII. What is in the buffer
/// then is UTF-8, but not proven to be: most texts hold no keyword, and nobody asks any more.
pub fn fold_into(text: &str, folded: &mut Vec<u8>) {
    folded.clear();
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        // A piece that needs more than ASCII begins with the last character before it, which an accent may belong to.
        let foreign = (!rest.is_ascii()).then(|| rest.bytes().position(|byte| !byte.is_ascii()));
        let plain = foreign.flatten().map_or(rest.len(), |at| at.saturating_sub(1));
        let (ahead, behind) = rest.split_at_checked(plain).unwrap_or((rest, ""));
        fold_ascii(ahead.as_bytes(), folded);
        let from = usize::from(first.is_ascii());
        let end = behind.bytes().skip(from).position(|byte| byte.is_ascii());
        let end = end.map_or(behind.len(), |end| from + end);
        let (piece, next) = behind.split_at_checked(end).unwrap_or((behind, ""));
        for character in domain::keyword::fold_characters(piece) {
            let gap = folded.last().is_none_or(|last| *last == b' ');
            match character.is_whitespace() {
                true if gap => {}
                true => folded.push(b' '),
                false => folded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        rest = next;
    }
    if folded.last() == Some(&b' ') {
        folded.pop();
    }
}

/// Appends ASCII in lower case, one space for every run of white space and none at the start.
fn fold_ascii(text: &[u8], folded: &mut Vec<u8>) {
    let mut gap = folded.last().is_none_or(|last| *last == b' ');
    folded.reserve(text.len());
    // Each block is seen beside the same bytes moved on by one, so that every byte is beside the one before it.
    let (first, rest) = text.split_at_checked(1).unwrap_or_default();
    draw_together(first, &mut gap, folded);
    let (befores, _) = text.as_chunks::<BLOCK>();
    let (blocks, rest) = rest.as_chunks::<BLOCK>();
    for (before, block) in befores.iter().zip(blocks) {
        if needs_drawing_together(before, block) {
            draw_together(block, &mut gap, folded);
        } else {
            folded.extend_from_slice(&block.map(|byte| byte.to_ascii_lowercase()));
            gap = block.last() == Some(&b' ');
        }
    }
    draw_together(rest, &mut gap, folded);
}

/// Whether there may be other white space than single spaces, asked of all bytes at once.
fn needs_drawing_together(before: &[u8; BLOCK], block: &[u8; BLOCK]) -> bool {
    let mut found = 0;
    for (before, byte) in before.iter().zip(block) {
        let doubled = u8::from(*byte == b' ') & u8::from(*before <= b' ');
        found |= doubled | u8::from(is_control_space(*byte));
    }
    found != 0
}

/// Appends at most a block in lower case. `gap` tells whether white space stands in front of it, and then whether it ends
/// in white space.
fn draw_together(block: &[u8], gap: &mut bool, folded: &mut Vec<u8>) {
    let mut drawn = [0; BLOCK];
    let mut at = 0;
    for byte in block {
        let (is_space, follows) = (is_control_space(*byte) || *byte == b' ', *gap);
        if let Some(place) = drawn.get_mut(at) {
            *place = if is_space { b' ' } else { byte.to_ascii_lowercase() };
        }
        // What is one space too many is written over by what follows.
        at += usize::from(!(is_space & follows));
        *gap = is_space;
    }
    folded.extend_from_slice(drawn.get(..at).unwrap_or_default());
}

/// A tab, a line break and their like.
const fn is_control_space(byte: u8) -> bool {
    byte.wrapping_sub(9) < 5
}

/// Whether the match at `start..end` of a folded text stands for itself: no word goes on over either of its edges.
pub fn is_whole(text: &[u8], start: usize, end: usize) -> bool {
    // Markdown's emphasis, `_such as this_`: underscores between the match and the outside of any word are no part of
    // it, unlike those that join it to another word.
    let (Some(before), Some(after)) = (text.get(..start), text.get(end..)) else {
        return false;
    };
    let underscores = |byte: &&u8| **byte == b'_';
    let outer_start = start - before.iter().rev().take_while(underscores).count();
    let outer_end = end + after.iter().take_while(underscores).count();
    let emphasised = |edge, outer| edge != outer && is_boundary(text, outer);
    (is_boundary(text, start) || emphasised(start, outer_start))
        && (is_boundary(text, end) || emphasised(end, outer_end))
}

/// Letters, digits and underscores hold together; between others there is a boundary, and also between two letters
/// of a script that is written without spaces, as Unicode's annex 29 has it.
fn is_boundary(text: &[u8], at: usize) -> bool {
    let (Some(before), Some(after)) = (text.get(..at), text.get(at..)) else {
        return false;
    };
    let (Some(last), Some(next)) = (before.last(), after.first()) else {
        return true;
    };
    if last.is_ascii() && next.is_ascii() {
        let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        return !(word(last) && word(next));
    }
    // The characters on both sides: from the byte that begins the one to that which ends the other.
    let begins = |byte: &u8| !(0x80..0xc0).contains(byte);
    let from = before.iter().rposition(begins).unwrap_or(at);
    let length = after.iter().skip(1).position(begins).map_or(after.len(), |end| end + 1);
    let sides = text.get(from..at + length).unwrap_or_default();
    let sides = std::str::from_utf8(sides).unwrap_or_default();
    sides.split_word_bounds().nth(1).is_some()
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
    let mut folded = Vec::new();
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
        let mut folded = b"left over".to_vec();
        for text in [
            "",
            "  Plain\r\n\t TEXT\u{b}x  ",
            "Straße\u{a0}X",
            "a\u{1c}b",
            "ＦＵＬＬ width",
            "Sixteen at once. ",
            " Sixteen at once  and SIXTEEN\r\n\r\nmore,@[`{ so that blocks  end in a space ",
        ] {
            fold_into(text, &mut folded);
            assert_eq!(folded, domain::keyword::fold(text).as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn folding_in_pieces_gives_what_folding_the_whole_gives() {
        let pieces = [
            "a", "E", " ", "\n\t", "e\u{301}", "\u{301}", "İ", "ß", "\u{212a}", "\u{3000}", "가", "\u{11a8}", "ς",
            "😀", "’", "\u{345}", "ﬃ", "\u{1f88}", "Å", "\u{327}",
        ];
        let mut folded = Vec::new();
        for first in pieces {
            for second in pieces {
                for third in pieces {
                    let text = [second, first, second, third, first].concat();
                    fold_into(&text, &mut folded);
                    assert_eq!(folded, domain::keyword::fold(&text).as_bytes(), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn white_space_is_drawn_together_wherever_in_a_block_it_stands() {
        let mut folded = Vec::new();
        for gap in [" ", "  ", "\n", " \t", "\r\n \u{b}\u{c}"] {
            for ahead in 0..2 * BLOCK {
                for between in 0..=BLOCK {
                    let text = format!("{}{gap}{}{gap}", "A".repeat(ahead), "b_".repeat(between));
                    fold_into(&text, &mut folded);
                    assert_eq!(folded, domain::keyword::fold(&text).as_bytes(), "{text:?}");
                }
            }
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
            assert_eq!(is_whole(folded.as_bytes(), start, start + found.len()), whole, "{text}");
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
