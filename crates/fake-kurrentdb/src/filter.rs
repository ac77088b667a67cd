//! Which records of the whole log a reader wants to see.

use regex::Regex;
use tonic::Status;

use crate::log::Record;
use crate::wire::event_store::client::streams::read_req::options;
use crate::wire::event_store::client::streams::read_req::options::filter_options::{
    Expression, Filter as Wanted, Window,
};

/// Records that a subscription looks at between two checkpoints, unless it says otherwise.
const WINDOW: u64 = 32;

pub struct Filter {
    looks_at: LooksAt,
    test: Test,
    /// Records looked at between two checkpoints.
    pub interval: u64,
}

enum LooksAt {
    Nothing,
    Stream,
    Kind,
}

enum Test {
    Matches(Regex),
    BeginsWith(Vec<String>),
}

impl Filter {
    pub fn new(asked: Option<options::FilterOption>) -> Result<Self, Status> {
        let Some(options::FilterOption::Filter(asked)) = asked else {
            return Ok(Self {
                looks_at: LooksAt::Nothing,
                test: Test::BeginsWith(Vec::new()),
                interval: WINDOW,
            });
        };
        let window = match asked.window {
            Some(Window::Max(max)) => max.into(),
            Some(Window::Count(_)) => WINDOW,
            None => return Err(Status::invalid_argument("a filter needs a window")),
        };
        let (looks_at, expression) = match asked.filter {
            Some(Wanted::StreamIdentifier(expression)) => (LooksAt::Stream, expression),
            Some(Wanted::EventType(expression)) => (LooksAt::Kind, expression),
            None => return Err(Status::invalid_argument("a filter says what it looks at")),
        };
        Ok(Self {
            looks_at,
            test: Test::new(expression)?,
            interval: window * u64::from(asked.checkpoint_interval_multiplier),
        })
    }

    pub fn allows(&self, record: &Record) -> bool {
        match self.looks_at {
            LooksAt::Nothing => true,
            LooksAt::Stream => self.test.holds(&record.stream),
            LooksAt::Kind => self.test.holds(&record.event.kind),
        }
    }
}

impl Test {
    fn new(expression: Expression) -> Result<Self, Status> {
        if expression.regex.is_empty() {
            return Ok(Self::BeginsWith(expression.prefix));
        }
        let regex = Regex::new(&expression.regex);
        regex
            .map(Self::Matches)
            .map_err(|error| Status::invalid_argument(error.to_string()))
    }

    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Matches(regex) => regex.is_match(text),
            Self::BeginsWith(prefixes) => prefixes.iter().any(|prefix| text.starts_with(prefix)),
        }
    }
}
