//! Stories of whoever watches over the server: what a collector of traces hears, and what a scrape shows.

use crate::harness::home::Home;
use crate::harness::receiver::Receiver;
use crate::harness::server::Server;

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(haystack, needle).is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_is_told_of_requests_as_part_of_the_callers_trace_and_a_scrape_counts_them() {
    let home = Home::on_sqlite();
    let collector = Receiver::start(200).await;
    let server = Server::start(&home, None, &["--otlp-endpoint", collector.url()]);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answer = server
        .ask_with("GET", "/v1/leads", None, &[("traceparent", trace)])
        .await;
    assert_eq!(answer.status, 200);
    let scraped = server.ask("GET", "/metrics", None, None).await.body;
    let counted = "gitleads_http_requests_total{method=\"GET\",route=\"/v1/leads\",status=\"200\"} 1";
    assert!(scraped.contains(counted), "{scraped}");
    assert!(server.terminate());
    let id = [
        0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c,
    ];
    let told = collector.received();
    assert!(
        told.iter()
            .any(|told| contains(&told.body, b"GET /v1/leads") && contains(&told.body, &id))
    );
}
