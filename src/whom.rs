//! Whom a text names: a login, the id of the person's lead, or `id:` and the number by which GitHub knows the person. The API and
//! the command line find the people by it whom they show or erase.

use database::Database;
use domain::event::{LeadCaptured, LeadWithheld};
use domain::{AccountId, Event, PersonRef, StreamId};
use event_log::Recorded;
use projections::leads;
use projections::people::{self, PersonRow};

use crate::commands::Writer;

/// What stands before a number: no login has a colon.
const BY_NUMBER: &str = "id:";

/// The person of the account that `named` says. None: nobody is held whom it could mean, or they were erased.
pub async fn find(
    writer: &Writer,
    views: &dyn Database,
    account: AccountId,
    named: &str,
) -> anyhow::Result<Option<PersonRow>> {
    // A login has no such end behind an underscore: an enterprise's short code has eight characters at most.
    if let Ok(lead_id) = named.parse() {
        let found = leads::find_withheld_too(views, account, lead_id).await?;
        let person = found.map(|found| found.lead.person);
        return Ok(person.map(|person| PersonRow { person, lead_id }));
    }
    let Some(number) = named.strip_prefix(BY_NUMBER) else {
        let login = writer.vault.login_key(account, named);
        return Ok(people::find(views, account, login).await?);
    };
    // Number parsing would also take a sign.
    let digits = Some(number).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(number) = digits.and_then(|digits| digits.parse().ok()) else {
        return Ok(None);
    };
    let person = writer.vault.person_ref(account, number);
    let streams = writer.log.read_streams(&[StreamId::lead(account, person)]).await?;
    Ok(streams.first().and_then(|history| lead_of(person, history)))
}

fn lead_of(person: PersonRef, history: &[Recorded]) -> Option<PersonRow> {
    if history
        .iter()
        .any(|recorded| matches!(recorded.event, Event::LeadErased(_)))
    {
        return None;
    }
    history.iter().find_map(|recorded| match recorded.event {
        Event::LeadCaptured(LeadCaptured { lead_id, .. }) | Event::LeadWithheld(LeadWithheld { lead_id, .. }) => {
            Some(PersonRow { person, lead_id })
        }
        _ => None,
    })
}
