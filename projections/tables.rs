//! The tables that a schema text names, and the same text for another making of them; checkpoints and rebuild use it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use database::Statement;

/// Which making of a projection's rows something belongs to. Tables and the rows that speak of them are named by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The one that is read.
    Live,
    /// The one that is being made beside it.
    Next,
    /// The one that was read before, kept until it is told to go.
    Old,
    /// What is of no more use and is being removed.
    Gone,
    /// Where the live one stands for the moment of being exchanged for the old one.
    Aside,
}

impl Slot {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::Next => "__next",
            Self::Old => "__old",
            Self::Gone => "__gone",
            Self::Aside => "__aside",
        }
    }

    /// The name there of what is called so where it is live.
    pub fn of(self, name: &str) -> String {
        format!("{name}{}", self.suffix())
    }
}

/// The tables of a schema, by name, each with the columns of its primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables(BTreeMap<String, Vec<String>>);

impl Tables {
    /// The tables that the `CREATE TABLE` statements of the text make.
    pub fn of(schema: &str) -> Self {
        let code: Vec<&str> = schema
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"))
            .collect();
        let code = code.join("\n");
        let bodies = code.split("CREATE TABLE ").skip(1);
        let tables = bodies.filter_map(|body| Some((body.split_whitespace().next()?.to_owned(), primary_key(body))));
        Self(tables.collect())
    }

    /// Each table's name and the columns of its primary key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(name, key)| (name.as_str(), key.as_slice()))
    }

    /// Drops the tables, as far as they exist.
    pub fn drop(&self, slot: Slot) -> impl Iterator<Item = Statement> + '_ {
        let text = move |name| format!("DROP TABLE IF EXISTS {}", slot.of(name));
        self.0.keys().map(move |name| Statement::sql(text(name), Vec::new()))
    }

    /// Moves the tables from one slot to another, where there are none.
    pub fn rename(&self, from: Slot, to: Slot) -> impl Iterator<Item = Statement> + '_ {
        let text = move |name| format!("ALTER TABLE {} RENAME TO {}", from.of(name), to.of(name));
        self.0.keys().map(move |name| Statement::sql(text(name), Vec::new()))
    }

    /// The schema's text, for the tables of that slot.
    pub fn create(&self, schema: &str, slot: Slot) -> Statement {
        Statement::sql(self.text_in(schema, slot), Vec::new())
    }

    /// The same, for whichever of the tables do not exist.
    pub fn create_missing(&self, schema: &str, slot: Slot) -> Statement {
        let text = schema.replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ");
        Statement::sql(self.text_in(&text, slot), Vec::new())
    }

    /// Makes the further indexes, if there are any. Their names end in the generation's number: they keep them when
    /// the tables are renamed, and every index of a database has its own.
    pub fn index(&self, indexes: &str, slot: Slot, generation: u64) -> Option<Statement> {
        let text = self.text_in(indexes, slot);
        let mut parts = text.split("INDEX ");
        let before = parts.next().unwrap_or_default().to_owned();
        let parts = parts.map(|part| {
            let (name, rest) = part.split_once(' ').unwrap_or((part, ""));
            format!("INDEX {name}_g{generation} {rest}")
        });
        let numbered: String = std::iter::once(before).chain(parts).collect();
        (!indexes.is_empty()).then(|| Statement::sql(numbered, Vec::new()))
    }

    /// The statement, for the tables of that slot.
    pub fn statement_in(&self, statement: Statement, slot: Slot) -> Statement {
        if slot == Slot::Live {
            return statement;
        }
        match statement {
            Statement::Sql { text, params } => Statement::Sql {
                text: Cow::Owned(self.text_in(&text, slot)),
                params,
            },
            Statement::Guard { text, params } => Statement::Guard {
                text: Cow::Owned(self.text_in(&text, slot)),
                params,
            },
            Statement::Insert {
                into,
                on_conflict,
                rows,
            } => Statement::Insert {
                into: lasting(self.text_in(into, slot)),
                on_conflict: lasting(self.text_in(on_conflict, slot)),
                rows,
            },
        }
    }

    /// The text with every word that is a table's name made that of the slot's. No column is named like a table and no
    /// text holds a table's name in quotes: the tests hold every schema to it.
    fn text_in(&self, text: &str, slot: Slot) -> String {
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let mut renamed = String::with_capacity(text.len() + slot.suffix().len());
        let mut rest = text;
        while !rest.is_empty() {
            let (word, tail) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
            renamed.push_str(word);
            if self.0.contains_key(word) {
                renamed.push_str(slot.suffix());
            }
            let (gap, tail) = tail.split_at(tail.find(is_word).unwrap_or(tail.len()));
            renamed.push_str(gap);
            rest = tail;
        }
        renamed
    }
}

/// The columns of `PRIMARY KEY (a, b)`, or the one whose own line ends in it.
fn primary_key(body: &str) -> Vec<String> {
    let Some((before, after)) = body.split_once("PRIMARY KEY") else {
        return Vec::new();
    };
    let listed = after
        .trim_start()
        .strip_prefix('(')
        .and_then(|list| list.split_once(')'));
    if let Some((columns, _)) = listed {
        return columns.split(',').map(|column| column.trim().to_owned()).collect();
    }
    let line = before.rsplit(['\n', '(', ',']).find(|line| !line.trim().is_empty());
    let column = line.and_then(|line| line.split_whitespace().next());
    column.map(str::to_owned).into_iter().collect()
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
    fn a_schema_names_its_tables_and_their_keys() {
        let schema = "-- fold 1; CREATE TABLE no\nCREATE TABLE a (\n x BIGINT NOT NULL PRIMARY KEY,\n z TEXT);\n\n\
                      CREATE TABLE a_b (\n y BIGINT,\n z TEXT,\n PRIMARY KEY (y, z)\n);";
        let tables = Tables::of(schema);
        let found: Vec<_> = tables.iter().map(|(name, key)| (name, key.join("+"))).collect();
        assert_eq!(found, [("a", "x".to_owned()), ("a_b", "y+z".to_owned())]);
    }

    #[test]
    fn only_whole_words_become_the_table_of_the_slot() {
        let tables = Tables::of("CREATE TABLE leads (x BIGINT); CREATE TABLE usage (x BIGINT)");
        assert_eq!(
            tables.text_in("UPDATE leads SET leads_seen = usage.x, é = 1", Slot::Next),
            "UPDATE leads__next SET leads_seen = usage__next.x, é = 1"
        );
    }

    #[test]
    fn the_indexes_of_two_generations_have_different_names() {
        let tables = Tables::of("CREATE TABLE leads (x BIGINT)");
        let indexes = "-- why\nCREATE INDEX by_x ON leads (x);\nCREATE UNIQUE INDEX by_y ON leads (y) WHERE y = 1;";
        assert_eq!(
            tables.index(indexes, Slot::Next, 3),
            Some(Statement::sql(
                "-- why\nCREATE INDEX by_x_g3 ON leads__next (x);\n\
                 CREATE UNIQUE INDEX by_y_g3 ON leads__next (y) WHERE y = 1;",
                Vec::new()
            ))
        );
        assert_eq!(tables.index("", Slot::Next, 3), None);
    }

    #[test]
    fn every_table_has_a_key_and_no_column_is_named_like_a_table_or_stands_in_quotes() {
        for projection in crate::all() {
            let tables = Tables::of(projection.schema());
            let code: String = projection
                .schema()
                .lines()
                .filter(|line| !line.starts_with("--"))
                .collect();
            for (name, key) in tables.iter() {
                let words = code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                assert_eq!(words.filter(|word| *word == name).count(), 1, "{name}");
                assert!(!key.is_empty(), "{name}");
            }
            assert!(!code.contains(['\'', '"']), "{}", projection.name());
        }
    }

    #[test]
    fn no_two_projections_share_a_table() {
        let mut seen = BTreeSet::new();
        for projection in crate::all() {
            let tables = Tables::of(projection.schema());
            assert!(tables.0.contains_key(projection.name()), "{}", projection.name());
            for (name, _) in tables.iter() {
                assert!(seen.insert(name.to_owned()), "{name}");
            }
        }
    }
}
