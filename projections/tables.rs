//! The tables that a schema text names, and the same text for tables beside them; checkpoints and rebuild use it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use database::Statement;

/// What the name of a table beside the live one ends in.
const BESIDE: &str = "__next";

/// The tables of a schema, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables(BTreeSet<String>);

impl Tables {
    /// The tables that the `CREATE TABLE` statements of the text make.
    pub fn of(schema: &str) -> Self {
        let names = schema.split("CREATE TABLE ").skip(1);
        let names = names.filter_map(|rest| rest.split_whitespace().next());
        Self(names.map(str::to_owned).collect())
    }

    /// Drops the tables, as far as they exist.
    pub fn drop_live(&self) -> impl Iterator<Item = Statement> + '_ {
        self.0.iter().map(|name| drop(name))
    }

    /// Drops the tables beside, as far as they exist.
    pub fn drop_beside(&self) -> impl Iterator<Item = Statement> + '_ {
        self.0.iter().map(|name| drop(&format!("{name}{BESIDE}")))
    }

    /// Gives the tables beside the names of the live ones, which are gone by then.
    pub fn put_in_place(&self) -> impl Iterator<Item = Statement> + '_ {
        let rename = |name: &String| format!("ALTER TABLE {name}{BESIDE} RENAME TO {name}");
        self.0.iter().map(move |name| Statement::sql(rename(name), Vec::new()))
    }

    /// The statement, for the tables beside.
    pub fn beside(&self, statement: Statement) -> Statement {
        match statement {
            Statement::Sql { text, params } => Statement::Sql {
                text: Cow::Owned(self.beside_text(&text)),
                params,
            },
            Statement::Guard { text, params } => Statement::Guard {
                text: Cow::Owned(self.beside_text(&text)),
                params,
            },
            Statement::Insert {
                into,
                on_conflict,
                rows,
            } => Statement::Insert {
                into: lasting(self.beside_text(into)),
                on_conflict: lasting(self.beside_text(on_conflict)),
                rows,
            },
        }
    }

    /// The text with every word that is a table's name made that of the table beside. No column is named like a table
    /// and no text holds a table's name in quotes: the tests hold every schema to it.
    pub fn beside_text(&self, text: &str) -> String {
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let mut renamed = String::with_capacity(text.len() + BESIDE.len());
        let mut rest = text;
        while !rest.is_empty() {
            let (word, tail) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
            renamed.push_str(word);
            if self.0.contains(word) {
                renamed.push_str(BESIDE);
            }
            let (gap, tail) = tail.split_at(tail.find(is_word).unwrap_or(tail.len()));
            renamed.push_str(gap);
            rest = tail;
        }
        renamed
    }
}

fn drop(name: &str) -> Statement {
    Statement::sql(format!("DROP TABLE IF EXISTS {name}"), Vec::new())
}

/// The text for as long as the process lives, as [`Statement::Insert`] wants it: the folds' few texts, each kept once.
fn lasting(text: String) -> &'static str {
    static KEPT: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept.get(text.as_str()) {
        return known;
    }
    let text: &'static str = text.leak();
    kept.insert(text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_names_its_tables() {
        let tables = Tables::of("-- fold 1\nCREATE TABLE a (\n x BIGINT);\n\nCREATE TABLE a_b (\n y BIGINT);");
        assert_eq!(tables.0.iter().collect::<Vec<_>>(), ["a", "a_b"]);
    }

    #[test]
    fn only_whole_words_become_the_table_beside() {
        let tables = Tables::of("CREATE TABLE leads (x BIGINT); CREATE TABLE usage (x BIGINT)");
        assert_eq!(
            tables.beside_text("UPDATE leads SET leads_seen = usage.x, é = 1"),
            "UPDATE leads__next SET leads_seen = usage__next.x, é = 1"
        );
    }

    #[test]
    fn no_projection_has_a_column_named_like_one_of_its_tables_or_quotes_in_its_schema() {
        for projection in crate::all() {
            let tables = Tables::of(projection.schema());
            let code: String = projection
                .schema()
                .lines()
                .filter(|line| !line.starts_with("--"))
                .collect();
            for name in &tables.0 {
                let words = code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                assert_eq!(words.filter(|word| word == name).count(), 1, "{name}");
            }
            assert!(!code.contains(['\'', '"']), "{}", projection.name());
        }
    }

    #[test]
    fn no_two_projections_share_a_table() {
        let mut seen = BTreeSet::new();
        for projection in crate::all() {
            let tables = Tables::of(projection.schema());
            assert!(tables.0.contains(projection.name()), "{}", projection.name());
            for name in &tables.0 {
                assert!(seen.insert(name.clone()), "{name}");
            }
        }
    }
}
