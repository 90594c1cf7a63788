//! Tests of delivery: retries with the same id, giving up, claims, and receivers that do not answer.

use crate::receiver::Receiver;
use crate::{deliveries, notifier, webhook};
use inventiv_testkit::{Database, World};
use serde_json::{Value, json};

async fn test(w: &World, webhook: &str) -> Value {
    let (status, queued) = w.call("POST", &format!("/webhooks/{webhook}/test"), None).await;
    assert_eq!((status, &queued["status"]), (202, &json!("pending")), "{queued}");
    queued
}

#[tokio::test]
async fn a_refused_message_is_sent_again_later_with_the_same_id() {
    for database in Database::both() {
        let w = World::new(database).await;
        let to = Receiver::start().await;
        let secret = webhook(&w, "on-call", &to, &["orphan.found"]).await;
        let queued = test(&w, "on-call").await;
        to.answer(&[500, 302]);
        let n = notifier(&w, &w.store);
        // The pause after each attempt, in milliseconds, with a little less and a little more.
        for (attempts, pause) in [(1, 5_000), (2, 30_000)] {
            assert_eq!(n.deliver().await.unwrap(), 1);
            let shown = deliveries(&w, "on-call").await;
            assert_eq!(
                (&shown[0]["attempts"], &shown[0]["status"]),
                (&json!(attempts), &json!("pending")),
                "{shown:?}"
            );
            w.advance_ms(pause - 100);
            assert_eq!(n.deliver().await.unwrap(), 0, "not yet");
            w.advance_ms(200);
        }
        assert_eq!(n.deliver().await.unwrap(), 1);
        let got = to.take();
        assert_eq!(got.iter().map(|m| m.id()).collect::<Vec<_>>(), vec![queued["id"].as_str().unwrap(); 3]);
        assert!(got.iter().all(|m| m.is_signed_with(&secret)));
        assert_eq!(got[0].json()["type"], "test");
        let shown = deliveries(&w, "on-call").await;
        let last = &shown[0];
        assert_eq!(
            (&last["status"], &last["attempts"], &last["error"]),
            (&json!("delivered"), &json!(3), &Value::Null)
        );
        assert!(last["delivered_at"].is_string() && last["next_at"].is_null(), "{last}");
    }
}

#[tokio::test]
async fn a_receiver_that_never_accepts_is_given_up_and_one_that_is_gone_at_once() {
    for database in Database::both() {
        let w = World::new(database).await;
        let (never, gone) = (Receiver::start().await, Receiver::start().await);
        never.answer(&[503; 20]);
        gone.answer(&[410]);
        webhook(&w, "never", &never, &[]).await;
        webhook(&w, "gone", &gone, &[]).await;
        test(&w, "never").await;
        test(&w, "gone").await;
        let n = notifier(&w, &w.store);
        for _ in 0..620 {
            n.deliver().await.unwrap();
            w.advance_ms(100_000);
        }
        assert_eq!((never.take().len(), gone.take().len()), (10, 1));
        for (name, says) in [("never", "503"), ("gone", "410")] {
            let shown = deliveries(&w, name).await;
            assert_eq!(shown[0]["status"], "given_up", "{shown:?}");
            assert!(shown[0]["error"].as_str().unwrap().contains(says), "{shown:?}");
        }
    }
}

#[tokio::test]
async fn a_message_that_a_dead_process_has_claimed_is_sent_by_another_one_after_a_minute() {
    for database in Database::both() {
        let w = World::new(database).await;
        let to = Receiver::start().await;
        webhook(&w, "on-call", &to, &[]).await;
        test(&w, "on-call").await;
        let now = (w.settings().now)();
        let due = w.store.due_deliveries(now).await.unwrap();
        assert!(w.store.claim_delivery(&due[0], now.plus_ms(60_000)).await.unwrap());
        assert!(!w.store.claim_delivery(&due[0], now.plus_ms(60_000)).await.unwrap(), "one process has it");
        let n = notifier(&w, &w.store);
        assert_eq!(n.deliver().await.unwrap(), 0);
        w.advance_ms(60_100);
        assert_eq!((n.deliver().await.unwrap(), to.take().len()), (1, 1));
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_reported_without_the_secret_part_of_its_url() {
    let w = World::new(Database::Sqlite).await;
    // A port that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://user:PASSW0RD@127.0.0.1:{port}/T0KEN?key=K3Y");
    let (status, created) = w.call("POST", "/webhooks", Some(json!({"name": "closed", "url": url}))).await;
    assert_eq!((status, &created["url"]), (201, &json!(format!("http://127.0.0.1:{port}"))), "{created}");
    test(&w, "closed").await;
    assert_eq!(notifier(&w, &w.store).deliver().await.unwrap(), 1);
    let shown = deliveries(&w, "closed").await;
    let error = shown[0]["error"].as_str().unwrap();
    assert!(error.contains("refused"), "{error}");
    for secret in ["T0KEN", "PASSW0RD", "K3Y"] {
        assert!(!shown[0].to_string().contains(secret), "{error}");
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_holds_up_its_own_messages_only() {
    let w = World::new(Database::Sqlite).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    assert_eq!(w.call("POST", "/webhooks", Some(json!({"name": "silent", "url": url}))).await.0, 201);
    let to = Receiver::start().await;
    webhook(&w, "good", &to, &[]).await;
    test(&w, "silent").await;
    for _ in 0..3 {
        test(&w, "good").await;
    }
    let n = notifier(&w, &w.store);
    let runs = tokio::spawn(async move { n.run(tokio_util::sync::CancellationToken::new()).await });
    // It accepts the connection, and says nothing.
    let (_connection, _) = silent.accept().await.unwrap();
    let mut got = 0;
    let arrived = async {
        while got < 3 {
            got += to.take().len();
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), arrived).await.unwrap();
    assert_eq!(deliveries(&w, "silent").await[0]["error"], Value::Null, "it still waits");
    runs.abort();
}

#[tokio::test]
async fn messages_of_a_deleted_webhook_go_with_it() {
    for database in Database::both() {
        let w = World::new(database).await;
        let to = Receiver::start().await;
        webhook(&w, "on-call", &to, &[]).await;
        test(&w, "on-call").await;
        assert_eq!(w.call("DELETE", "/webhooks/on-call", None).await.0, 204);
        assert_eq!((notifier(&w, &w.store).deliver().await.unwrap(), to.take().len()), (0, 0));
        assert_eq!(w.call("DELETE", "/webhooks/on-call", None).await.0, 404);
        assert_eq!(w.call("POST", "/webhooks/on-call/test", None).await.0, 404);
    }
}
