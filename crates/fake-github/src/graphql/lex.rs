//! The words of a GraphQL document.

/// A word and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    pub token: Token,
    pub line: usize,
    pub column: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// One of `!$&()[]{}:=@|`, or `...` as a full stop.
    Sign(char),
    Name(String),
    Int(i64),
    Float(f64),
    Text(String),
}

/// What is left to read, and where that is.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
}

/// All words, or what could not be read.
pub(super) fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut reader = Reader {
        rest: text,
        line: 1,
        column: 1,
    };
    let mut words = Vec::new();
    loop {
        reader.skip(|one| one.is_whitespace() || one == ',' || one == '\u{feff}');
        if reader.rest.starts_with('#') {
            reader.skip(|one| one != '\n');
            continue;
        }
        let Some(first) = reader.rest.chars().next() else {
            return Ok(words);
        };
        let (line, column) = (reader.line, reader.column);
        let token = reader.token(first)?;
        words.push(Word { token, line, column });
    }
}

impl Reader<'_> {
    fn token(&mut self, first: char) -> Result<Token, String> {
        if self.rest.starts_with("...") {
            self.take(3);
            return Ok(Token::Sign('.'));
        }
        if "!$&()[]{}:=@|".contains(first) {
            self.take(1);
            return Ok(Token::Sign(first));
        }
        if first == '"' {
            return self.text();
        }
        let is_part = |one: char| one.is_ascii_alphanumeric() || "_-+.".contains(one);
        let word: String = self.rest.chars().take_while(|one| is_part(*one)).collect();
        if first.is_ascii_alphabetic() || first == '_' {
            let name: String = word
                .chars()
                .take_while(|one| one.is_ascii_alphanumeric() || *one == '_')
                .collect();
            self.take(name.len());
            return Ok(Token::Name(name));
        }
        let integer = word.parse().map(Token::Int).ok();
        let number = integer.or_else(|| word.parse().map(Token::Float).ok());
        let token = number.ok_or_else(|| format!("{first:?} at [{}, {}]", self.line, self.column))?;
        self.take(word.len());
        Ok(token)
    }

    fn text(&mut self) -> Result<Token, String> {
        let unended = format!("a string without an end at [{}, {}]", self.line, self.column);
        if self.rest.starts_with("\"\"\"") {
            self.take(3);
            let end = self.rest.find("\"\"\"").ok_or(unended)?;
            let text = self.rest.get(..end).unwrap_or_default().trim().to_owned();
            self.take(end + 3);
            return Ok(Token::Text(text));
        }
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, one)| {
            let ends = *one == '"' && !escaped;
            escaped = *one == '\\' && !escaped;
            ends
        });
        let (end, _) = end.ok_or(unended)?;
        // Its escapes are JSON's.
        let literal = self.rest.get(..=end).unwrap_or_default();
        let text = serde_json::from_str(literal).map_err(|_| format!("the string {literal}"))?;
        self.take(end + 1);
        Ok(Token::Text(text))
    }

    fn skip(&mut self, while_: impl Fn(char) -> bool) {
        let end = self.rest.find(|one| !while_(one)).unwrap_or(self.rest.len());
        self.take(end);
    }

    fn take(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        for one in taken.chars() {
            if one == '\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else {
                self.column += 1;
            }
        }
        self.rest = rest;
    }
}
