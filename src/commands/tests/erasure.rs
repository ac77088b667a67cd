//! Edits of leads and erasures: what is sealed, what is appended once, and what a crash in between leaves to be repaired.

use domain::LeadStatus;
use domain::event::LeadUpdated;
use domain::lead::LeadRefusal;

use super::*;

fn edit(status: Option<LeadStatus>, notes: NotesEdit) -> LeadEdit {
    LeadEdit { status, notes }
}

fn noted(text: &str) -> NotesEdit {
    NotesEdit::Write(text.to_owned())
}

/// A writer whose log knows one person.
async fn writer_with_ada() -> (Writer, PersonRef, tempfile::TempDir) {
    let (writer, folder) = writer().await;
    record_signals(&writer, account(), vec![star(1, "acme/sdk")], Allowance::Unlimited)
        .await
        .unwrap();
    let person = writer.vault.person_ref(account(), 1);
    (writer, person, folder)
}

/// What the newest event says, its notes opened.
async fn last_edit(writer: &Writer, person: PersonRef) -> (LeadStatus, Option<String>) {
    let last = events(writer).await.pop().unwrap();
    let Event::LeadUpdated(LeadUpdated { status, notes, .. }) = &last.event else {
        panic!("{last:?}")
    };
    let keys = writer.vault.keys(account(), &[person]).await.unwrap();
    let notes = notes.as_ref();
    (*status, notes.map(|notes| keys.open(person, last.id, notes).unwrap()))
}

#[tokio::test]
async fn an_edit_says_the_whole_state_and_keeps_what_it_does_not_name() {
    let (writer, person, _folder) = writer_with_ada().await;
    let update = async |status, notes| {
        let edit = edit(status, notes);
        let edited = update_lead(&writer, account(), person, &edit).await.unwrap().value;
        assert_eq!((edited.status, edited.notes), last_edit(&writer, person).await);
    };
    update(Some(LeadStatus::Contacted), noted("met Ada")).await;
    assert_eq!(
        last_edit(&writer, person).await,
        (LeadStatus::Contacted, Some("met Ada".into()))
    );
    update(Some(LeadStatus::Replied), NotesEdit::Keep).await;
    assert_eq!(
        last_edit(&writer, person).await,
        (LeadStatus::Replied, Some("met Ada".into()))
    );
    update(None, NotesEdit::Clear).await;
    assert_eq!(last_edit(&writer, person).await, (LeadStatus::Replied, None));
    let stored = events(&writer).await;
    let stored: Vec<_> = stored.iter().map(|recorded| recorded.event.encode().unwrap()).collect();
    assert!(!stored.concat().contains("met Ada"));
}

#[tokio::test]
async fn an_edit_that_changes_nothing_is_no_event() {
    let (writer, person, _folder) = writer_with_ada().await;
    let same = edit(Some(LeadStatus::Contacted), noted("met Ada"));
    let first = update_lead(&writer, account(), person, &same).await.unwrap();
    assert!(first.created);
    for nothing in [
        same,
        edit(None, noted("met Ada")),
        edit(Some(LeadStatus::Contacted), NotesEdit::Keep),
    ] {
        let again = update_lead(&writer, account(), person, &nothing).await.unwrap();
        assert!(!again.created && again.position == first.position);
        assert!(again.value == first.value);
    }
    assert_eq!(names(&writer).await, ["LeadCaptured", "LeadUpdated"]);
}

#[tokio::test]
async fn a_person_is_erased_once_and_then_takes_no_edit_and_no_signal() {
    let (writer, person, _folder) = writer_with_ada().await;
    let erased = erase_person(&writer, account(), person).await.unwrap();
    assert_eq!(erase_person(&writer, account(), person).await.unwrap(), erased);
    let refused = update_lead(&writer, account(), person, &edit(None, noted("late"))).await;
    assert!(matches!(refused, Err(CommandError::Refused(LeadRefusal::Erased))));
    let came = record_signals(&writer, account(), vec![star(1, "acme/cli")], Allowance::Unlimited)
        .await
        .unwrap();
    assert_eq!((came.erased, came.captured, came.joined), (1, 0, 0));
    release_leads(&writer, account(), &[person]).await.unwrap();
    assert_eq!(names(&writer).await, ["LeadCaptured", "LeadErased"]);
}

#[tokio::test]
async fn an_erasure_that_broke_off_after_the_key_is_made_up_for_by_the_same_call() {
    let (writer, person, _folder) = writer_with_ada().await;
    writer.vault.destroy(account(), person).await.unwrap();
    let refused = update_lead(&writer, account(), person, &edit(None, noted("late"))).await;
    assert!(matches!(refused, Err(CommandError::Refused(LeadRefusal::Erased))));
    assert_eq!(writer.vault.unfinished_erasures().await.unwrap(), [(account(), person)]);
    erase_person(&writer, account(), person).await.unwrap();
    assert_eq!(names(&writer).await, ["LeadCaptured", "LeadErased"]);
    assert_eq!(writer.vault.unfinished_erasures().await.unwrap(), []);
}

#[tokio::test]
async fn an_erasure_that_broke_off_after_the_key_is_brought_to_its_end_by_the_task() {
    let (writer, person, _folder) = writer_with_ada().await;
    let stranger = writer.vault.person_ref(account(), 2);
    for gone in [person, stranger] {
        writer.vault.destroy(account(), gone).await.unwrap();
    }
    let finished = async {
        while !writer.vault.unfinished_erasures().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = crate::erasures::run(&writer, Position::START) => ended.unwrap(),
        () = finished => {}
    }
    assert_eq!(names(&writer).await, ["LeadCaptured", "LeadErased"]);
}

#[tokio::test]
async fn a_process_that_still_has_the_key_at_hand_records_nothing_of_an_erased_person() {
    let (writer, person, folder) = writer_with_ada().await;
    // Another process on the same log and keys.
    let store = Sqlite::open(&folder.path().join("gitleads.db"), Durability::Full).unwrap();
    let root = RootKey::load_or_create(&folder.path().join("root.key"), [7; 32]).unwrap();
    let other = Writer {
        log: writer.log.clone(),
        vault: Arc::new(Vault::new(Arc::new(store), &root)),
        clock: writer.clock.clone(),
    };
    erase_person(&other, account(), person).await.unwrap();
    assert!(writer.vault.keys(account(), &[person]).await.unwrap().has(person));
    let came = record_signals(&writer, account(), vec![star(1, "acme/cli")], Allowance::Unlimited)
        .await
        .unwrap();
    assert_eq!(came.erased, 1);
    assert_eq!(
        enrich_lead(&writer, account(), person, observed("Ada", 10))
            .await
            .unwrap(),
        None
    );
    assert_eq!(names(&writer).await, ["LeadCaptured", "LeadErased"]);
}
