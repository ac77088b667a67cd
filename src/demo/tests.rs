//! The subscriber tells genuine deliveries from others, and shows both as text.

use super::*;
use crate::deliver::sign::Secret;

#[tokio::test]
async fn the_page_shows_what_arrived_and_whether_it_is_genuine() {
    let secret = Secret::generate([7; 32]);
    let receiver = Receiver::start(secret.clone()).await.unwrap();
    let http = script::client().unwrap();
    let body = r#"{"event":"lead.created","timestamp":"2026-03-01T10:00:00Z","data":{"name":"Ada <b>Example</b>","github_username":"ada-example"}}"#;
    let library = standardwebhooks::Webhook::new(secret.as_str()).unwrap();
    let genuine = library.sign("msg_1", 1_772_359_200, body.as_bytes()).unwrap();
    for (signature, status) in [(genuine, 204), ("v1,AAAA".to_owned(), 401), (String::new(), 401)] {
        let request = http.post(receiver.hook()).body(body);
        let request = request
            .header("webhook-id", "msg_1")
            .header("webhook-timestamp", "1772359200")
            .header("webhook-signature", signature);
        assert_eq!(request.send().await.unwrap().status().as_u16(), status);
    }
    let page = http.get(receiver.page()).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("3 webhooks received"), "{page}");
    assert_eq!(page.matches("✓ verified").count(), 1);
    assert_eq!(page.matches("✗ not genuine").count(), 2);
    assert!(page.contains("Ada &lt;b&gt;Example&lt;/b&gt;") && !page.contains("<b>Example"));
}

#[test]
fn everybody_is_invented_and_has_a_turn() {
    let mut acted: Vec<usize> = (0..5).collect();
    for turn in world::turns() {
        let (world::Turn::Star(who) | world::Turn::Issue(who)) = turn;
        acted.push(who);
    }
    for number in 0..14 {
        assert!(acted.contains(&number), "{number}");
        assert!(world::person(number).login.ends_with("-example"));
    }
}
