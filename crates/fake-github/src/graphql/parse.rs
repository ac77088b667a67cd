//! The grammar of GraphQL's executable documents: operations, fragments, selections, arguments, variables.

use serde_json::{Value, json};

use super::document::{Directive, Document, Field, Fragment, Input, Operation, Selection, Variable};
use super::lex::{Token, Word, words};

impl Document {
    /// Reads a document; the error says what was not expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            words: words(text)?,
            next: 0,
        };
        let mut document = Self::default();
        while parser.peek().is_some() {
            if parser.takes_name("fragment") {
                let name = parser.name()?;
                parser.expect_name("on")?;
                let on = Some(parser.name()?);
                let selection = parser.selection()?;
                document.fragments.insert(name, Fragment { on, selection });
            } else {
                document.operations.push(parser.operation()?);
            }
        }
        Ok(document)
    }
}

struct Parser {
    words: Vec<Word>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.words.get(self.next).map(|word| &word.token)
    }

    fn is_sign(&self, sign: char) -> bool {
        self.peek() == Some(&Token::Sign(sign))
    }

    fn takes(&mut self, sign: char) -> bool {
        let found = self.is_sign(sign);
        self.next += usize::from(found);
        found
    }

    fn takes_name(&mut self, name: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Name(found)) if found == name);
        self.next += usize::from(found);
        found
    }

    fn unexpected<T>(&self) -> Result<T, String> {
        Err(match self.words.get(self.next) {
            Some(word) => format!("{:?} at [{}, {}]", word.token, word.line, word.column),
            None => "the end of the document".to_owned(),
        })
    }

    fn expect(&mut self, sign: char) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { self.unexpected() }
    }

    fn expect_name(&mut self, name: &str) -> Result<(), String> {
        if self.takes_name(name) {
            Ok(())
        } else {
            self.unexpected()
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let Some(Token::Name(name)) = self.peek().cloned() else {
            return self.unexpected();
        };
        self.next += 1;
        Ok(name)
    }

    fn operation(&mut self) -> Result<Operation, String> {
        if self.is_sign('{') {
            return Ok(Operation {
                kind: "query".to_owned(),
                name: None,
                variables: Vec::new(),
                selection: self.selection()?,
            });
        }
        let kind = match self.peek() {
            Some(Token::Name(kind)) if ["query", "mutation", "subscription"].contains(&kind.as_str()) => self.name()?,
            _ => return self.unexpected(),
        };
        let name = match self.peek() {
            Some(Token::Name(_)) => Some(self.name()?),
            _ => None,
        };
        let mut variables = Vec::new();
        if self.takes('(') {
            while !self.takes(')') {
                variables.push(self.variable()?);
            }
        }
        self.directives()?;
        let selection = self.selection()?;
        Ok(Operation {
            kind,
            name,
            variables,
            selection,
        })
    }

    fn variable(&mut self) -> Result<Variable, String> {
        self.expect('$')?;
        let name = self.name()?;
        self.expect(':')?;
        let needed = self.type_is_needed()?;
        let default = if self.takes('=') { Some(self.input()?) } else { None };
        Ok(Variable { name, needed, default })
    }

    fn type_is_needed(&mut self) -> Result<bool, String> {
        if self.takes('[') {
            self.type_is_needed()?;
            self.expect(']')?;
        } else {
            self.name()?;
        }
        Ok(self.takes('!'))
    }

    fn selection(&mut self) -> Result<Vec<Selection>, String> {
        self.expect('{')?;
        let mut selection = vec![self.selected()?];
        while !self.takes('}') {
            selection.push(self.selected()?);
        }
        Ok(selection)
    }

    fn selected(&mut self) -> Result<Selection, String> {
        if !self.takes('.') {
            return Ok(Selection::Field(self.field()?));
        }
        let on = if self.takes_name("on") {
            Some(self.name()?)
        } else if let Some(Token::Name(_)) = self.peek() {
            let name = self.name()?;
            return Ok(Selection::Spread(name, self.directives()?));
        } else {
            None
        };
        let directives = self.directives()?;
        let selection = self.selection()?;
        Ok(Selection::Inline(Fragment { on, selection }, directives))
    }

    fn field(&mut self) -> Result<Field, String> {
        let (line, column) = self
            .words
            .get(self.next)
            .map_or((0, 0), |word| (word.line, word.column));
        let key = self.name()?;
        let name = if self.takes(':') { self.name()? } else { key.clone() };
        let arguments = self.arguments()?;
        let directives = self.directives()?;
        let selection = if self.is_sign('{') {
            self.selection()?
        } else {
            Vec::new()
        };
        Ok(Field {
            key,
            name,
            arguments,
            directives,
            selection,
            line,
            column,
        })
    }

    fn arguments(&mut self) -> Result<Vec<(String, Input)>, String> {
        if self.takes('(') {
            self.pairs(')')
        } else {
            Ok(Vec::new())
        }
    }

    fn pairs(&mut self, end: char) -> Result<Vec<(String, Input)>, String> {
        let mut pairs = Vec::new();
        while !self.takes(end) {
            let name = self.name()?;
            self.expect(':')?;
            pairs.push((name, self.input()?));
        }
        Ok(pairs)
    }

    fn directives(&mut self) -> Result<Vec<Directive>, String> {
        let mut directives = Vec::new();
        while self.takes('@') {
            let name = self.name()?;
            let arguments = self.arguments()?;
            directives.push(Directive { name, arguments });
        }
        Ok(directives)
    }

    fn input(&mut self) -> Result<Input, String> {
        if self.takes('$') {
            return Ok(Input::Variable(self.name()?));
        }
        if self.takes('[') {
            let mut inputs = Vec::new();
            while !self.takes(']') {
                inputs.push(self.input()?);
            }
            return Ok(Input::List(inputs));
        }
        if self.takes('{') {
            return Ok(Input::Object(self.pairs('}')?));
        }
        let value = match self.peek() {
            Some(Token::Int(number)) => json!(number),
            Some(Token::Float(number)) => json!(number),
            Some(Token::Text(text)) => json!(text),
            Some(Token::Name(name)) => match name.as_str() {
                "true" => json!(true),
                "false" => json!(false),
                "null" => Value::Null,
                // The words of enumerations.
                word => json!(word),
            },
            _ => return self.unexpected(),
        };
        self.next += 1;
        Ok(Input::Value(value))
    }
}
