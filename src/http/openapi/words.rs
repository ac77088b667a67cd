//! The texts of the contract as schemas: ids, names, times and closed lists, each under the name that clients see.

use std::borrow::Cow;

use domain::{
    Attribution, Collector, Event, RepoRelation, ScanTarget, SignalKind, WebhookEventType, WebhookKind, WebhookStatus,
};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::deliver::replay;

macro_rules! schemas {
    ($($(#[doc = $doc:literal])+ $name:ident => $schema:expr;)+) => {$(
        $(#[doc = $doc])+
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let description = [$($doc.trim()),+].join(" ");
                $schema.schema_type(Type::String).description(Some(description)).build().into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+};
}

schemas! {
    /// A lead's id.
    LeadId => id("^lead_[0-7][0-9A-HJKMNP-TV-Z]{25}$", "lead_01J8ZQ4N3M8YV7T6S5R4Q3P2N1");
    /// A tracked repository's id.
    RepoId => id("^repo_[0-7][0-9A-HJKMNP-TV-Z]{25}$", "repo_01J8ZQ4N3M8YV7T6S5R4Q3P2N1");
    /// A tracked keyword's id.
    KeywordId => id("^kw_[0-7][0-9A-HJKMNP-TV-Z]{25}$", "kw_01J8ZQ4N3M8YV7T6S5R4Q3P2N1");
    /// A webhook endpoint's id.
    WebhookEndpointId => id("^wh_[0-7][0-9A-HJKMNP-TV-Z]{25}$", "wh_01J8ZQ4N3M8YV7T6S5R4Q3P2N1");
    /// An account's id.
    AccountId => id("^acct_[0-7][0-9A-HJKMNP-TV-Z]{25}$", "acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1");
    /// An API key's id.
    ApiKeyId => id("^key_[0-7][0-9A-HJKMNP-TV-Z]{25}$", "key_01J8ZQ4N3M8YV7T6S5R4Q3P2N1");
    /// A recorded event's id.
    EventId => id("^evt_[0-7][0-9A-HJKMNP-TV-Z]{25}$", "evt_01J8ZQ4N3M8YV7T6S5R4Q3P2N1");
    /// What an event is about: the account itself, or one of its things by its natural key.
    StreamName => id(
        "^(account-acct_[0-7][0-9A-HJKMNP-TV-Z]{25}|(repo|keyword|lead|webhook)-acct_[0-7][0-9A-HJKMNP-TV-Z]{25}-[^\\x00-\\x1f\\x7f-\\x9f]+)$",
        "account-acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1",
    );
    /// What kind of fact an event is.
    EventType => list(Event::TYPES.iter().map(|(name, _)| *name));
    /// The form of an exported file.
    ExportFormat => list(["csv", "ndjson"].into_iter());
    /// A few words that tell keys apart.
    Label => id("^[^\\s\\x00-\\x1f\\x7f-\\x9f]([^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f])?$", "the CRM")
        .min_length(Some(1))
        .max_length(Some(128));
    /// A repository on GitHub, `owner/name` by GitHub's own rules. Letter case does not count.
    RepoName => id(
        "^[A-Za-z0-9_][A-Za-z0-9_-]{0,38}/(?!\\.{1,2}$)(?!.*\\.[gG][iI][tT]$)[A-Za-z0-9._-]{1,100}$",
        "acme-corp/rival-sdk",
    );
    /// A phrase of 2 to 256 characters after trimming, with a letter or a digit and no control characters. Matched without
    /// regard to letter case, at word boundaries.
    Keyword => id("^[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f]$", "lead scoring")
        .min_length(Some(2))
        .max_length(Some(256));
    /// A moment in UTC.
    Time => time("2026-04-24T10:31:00Z");
    /// Where deliveries go: `https` and a public address, unless the host allows others.
    EndpointUrl => ObjectBuilder::new()
        .format(Some(SchemaFormat::Custom("uri".to_owned())))
        .max_length(Some(2048))
        .examples(["https://hooks.example.com/gitleads"]);
    /// A day in UTC.
    Date => ObjectBuilder::new()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)))
        .examples(["2013-02-04"]);
    /// What kind of act a signal was.
    SignalType => list(SignalKind::ALL.iter().map(|word| word.as_str()));
    /// Which source brought a signal.
    SignalCollector => list(Collector::ALL.iter().map(|word| word.as_str()));
    /// By which rule a file is somebody's: they wrote the newest commit that touched it, or the repository is theirs.
    SignalAttribution => list(Attribution::ALL.iter().map(|word| word.as_str()));
    /// What a repository is to the account.
    RepoType => list(RepoRelation::ALL.iter().map(|word| word.as_str()));
    /// A signing secret: 16 to 128 characters, of white space the blank alone, and no control characters.
    OwnSecret => id(
        "^[^\\x00-\\x1f\\x7f-\\x9f\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]{16,128}$",
        "no more than an example"
    )
        .min_length(Some(16))
        .max_length(Some(128));
    /// Where a keyword is looked for.
    KeywordScanTarget => list(ScanTarget::ALL.iter().map(|word| word.as_str()));
    /// What a webhook endpoint hears of.
    WebhookEvent => list(WebhookEventType::ALL.iter().map(|word| word.as_str()));
    /// What reads the deliveries of an endpoint: a program, or the people of a channel of Slack's or Discord's.
    EndpointKind => list(WebhookKind::ALL.iter().map(|word| word.as_str()));
    /// Whether an endpoint gets deliveries.
    EndpointStatus => list(WebhookStatus::ALL.iter().map(|word| word.as_str()));
    /// Where in the account's log an endpoint begins: `now`, `beginning`, or a moment in the past.
    StartFrom => ObjectBuilder::new().examples(["now"]);
    /// How a delivery stands. `erased`: nothing more is sent of the person.
    DeliveryStatus => list(domain::DeliveryStatus::ALL.iter().map(|word| word.as_str()));
    /// Why an attempt failed, such as `dns`, `connect`, `tls`, `timeout`, `status`.
    DeliveryFailure => ObjectBuilder::new().examples(["timeout"]);
    /// How a replay stands.
    ReplayStatus => list(replay::State::ALL.iter().map(|state| state.as_str()));
    /// A replay's id.
    WebhookReplayId => id("^rpl_[0-7][0-9A-HJKMNP-TV-Z]{25}$", "rpl_01J8ZQ4N3M8YV7T6S5R4Q3P2N1");
    /// How far the customer got with a lead, or that its person was erased.
    LeadStatus => list(domain::LeadStatus::ALL.iter().map(|word| word.as_str()).chain(["erased"]));
    /// How far the customer got with a lead.
    EditedLeadStatus => list(domain::LeadStatus::ALL.iter().map(|word| word.as_str()));
    /// A login on GitHub, a lead's id, or `id:` and the number of a person on GitHub.
    WhoIsMeant => id("^[A-Za-z0-9_][A-Za-z0-9_:-]{0,38}$", "ada-example");
    /// How a source works, as the log has it.
    SourceStandingState => list(domain::SourceState::ALL.iter().map(|word| word.as_str()));
    /// Why a source is in its state.
    SourceReason => list(domain::SourceReason::ALL.iter().map(|word| word.as_str()));
    /// How a source was read last.
    SourceState => list(["waiting", "ok", "limited", "denied", "not_found", "failed"].into_iter());
}

fn id(pattern: &str, example: &str) -> ObjectBuilder {
    ObjectBuilder::new().pattern(Some(pattern)).examples([example])
}

fn time(example: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples([example])
}

fn list(words: impl Iterator<Item = &'static str>) -> ObjectBuilder {
    ObjectBuilder::new().enum_values(Some(words))
}
