//! The places that settings come from, in their order, and how a fault in one of them is told: key, place, reason.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A setting has a value that it cannot have.
    #[error("{key}, from {origin}: {fault}")]
    Invalid {
        /// The key in the TOML file.
        key: &'static str,
        /// Where the value stands.
        origin: Origin,
        /// What is wrong with it.
        fault: String,
    },
    /// The file has a key that no setting has.
    #[error("{key}, from {origin}: no such key; the keys are {known}")]
    UnknownKey {
        /// The key, as it stands there.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// Every key there is.
        known: String,
    },
    /// The file is no TOML.
    #[error("{origin}: {fault}")]
    Syntax {
        /// Where it goes wrong.
        origin: Origin,
        /// How.
        fault: String,
    },
    /// The file cannot be read.
    #[error("the configuration file {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag(String),
    /// A variable of the environment.
    Variable(String),
    /// A line of the TOML file.
    Line(PathBuf, usize),
    /// This program.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "the flag {name}"),
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// All places, asked in the order flag, variable, file.
pub struct Sources<'a> {
    flags: BTreeMap<&'static str, String>,
    variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The TOML file; empty if there is none.
    pub file: File,
}

impl<'a> Sources<'a> {
    /// Flags and environment, and no file yet.
    pub fn new(
        flags: impl Iterator<Item = (&'static str, String)>,
        variable: &'a dyn Fn(&str) -> Option<OsString>,
    ) -> Self {
        Self {
            flags: flags.collect(),
            variable,
            file: File::default(),
        }
    }

    /// The variable of a key, unless it is empty.
    pub fn variable(&self, key: &str) -> Option<OsString> {
        (self.variable)(&variable_name(key)).filter(|value| !value.is_empty())
    }

    /// The setting of a key, from the first place that has one, as `parse` reads it.
    pub fn find<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((text, origin)) = self.text(key)? else {
            return Ok(None);
        };
        let parsed = parse(&text);
        parsed
            .map(Some)
            .map_err(|fault| ConfigError::Invalid { key, origin, fault })
    }

    /// As [`Sources::find`]; the default is read by the same rules as any other value.
    pub fn value<T>(
        &self,
        key: &'static str,
        default: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let (text, origin) = self.text(key)?.unwrap_or((default.to_owned(), Origin::Default));
        parse(&text).map_err(|fault| ConfigError::Invalid { key, origin, fault })
    }

    fn text(&self, key: &'static str) -> Result<Option<(String, Origin)>, ConfigError> {
        if let Some(text) = self.flags.get(key) {
            let name = format!("--{}", key.replace('_', "-"));
            return Ok(Some((text.clone(), Origin::Flag(name))));
        }
        if let Some(value) = self.variable(key) {
            let origin = Origin::Variable(variable_name(key));
            return match value.into_string() {
                Ok(text) => Ok(Some((text, origin))),
                Err(_) => Err(ConfigError::Invalid {
                    key,
                    origin,
                    fault: "must be UTF-8".into(),
                }),
            };
        }
        let Some(value) = self.file.find(key) else {
            return Ok(None);
        };
        let origin = self.file.origin(value);
        match &value.text {
            Some(text) => Ok(Some((text.clone(), origin))),
            None => Err(ConfigError::Invalid {
                key,
                origin,
                fault: "must be a text, a number, true or false".into(),
            }),
        }
    }
}

fn variable_name(key: &str) -> String {
    format!("GITLEADS_{}", key.to_ascii_uppercase())
}

/// A TOML file, its values as text: flags, variables and file are read by the same rules.
#[derive(Default)]
pub struct File {
    path: PathBuf,
    text: String,
    values: BTreeMap<String, Value>,
}

/// What stands at a key of the file.
pub struct Value {
    line: usize,
    /// The scalar as text; none for tables, arrays and dates.
    text: Option<String>,
}

impl File {
    /// Reads a file; its keys must be among `known`.
    pub fn read(path: &Path, known: &[&[&str]]) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, text, known)
    }

    fn parse(path: &Path, text: String, known: &[&[&str]]) -> Result<Self, ConfigError> {
        let table = DeTable::parse(&text).map_err(|error| syntax(path, &text, &error, ""))?;
        let mut values = BTreeMap::new();
        for (key, value) in table.get_ref() {
            let line = line_of(&text, key.span().start);
            if !known.iter().any(|keys| keys.contains(&key.get_ref().as_ref())) {
                return Err(ConfigError::UnknownKey {
                    key: key.get_ref().to_string(),
                    origin: Origin::Line(path.to_owned(), line),
                    known: known.concat().join(", "),
                });
            }
            let text = scalar(value.get_ref());
            values.insert(key.get_ref().to_string(), Value { line, text });
        }
        Ok(Self {
            path: path.to_owned(),
            values,
            text,
        })
    }

    /// What stands at a key.
    pub fn find(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// Where that stands.
    pub fn origin(&self, value: &Value) -> Origin {
        Origin::Line(self.path.clone(), value.line)
    }

    /// The whole file as `T`, which picks what it knows; for settings that are tables.
    pub fn tables<T: serde::de::DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let faulty = |error: &toml::de::Error, key: &str| syntax(&self.path, &self.text, error, key);
        let document = toml::Deserializer::parse(&self.text).map_err(|error| faulty(&error, ""))?;
        serde_path_to_error::deserialize(document)
            .map_err(|error| faulty(error.inner(), &format!("{}: ", error.path())))
    }
}

/// `key` stands before the fault: empty, or the key and what parts it from the fault.
fn syntax(path: &Path, text: &str, error: &toml::de::Error, key: &str) -> ConfigError {
    let line = line_of(text, error.span().map_or(0, |span| span.start));
    ConfigError::Syntax {
        origin: Origin::Line(path.to_owned(), line),
        fault: format!("{key}{}", error.message()),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}
