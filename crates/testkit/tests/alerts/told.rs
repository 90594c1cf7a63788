//! Tests of what is told: once, by one of several processes, again only after a while, and not too much at once.

use crate::receiver::Receiver;
use crate::{alerts, notifier, short_lived, webhook};
use inventiv_store::{Store, WriteHook, WritePhase};
use inventiv_testkit::{Database, World};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const MINUTE_MS: i64 = 60_000;

#[tokio::test]
async fn two_processes_tell_an_alert_once_and_sign_it() {
    for database in Database::both() {
        let w = World::new(database).await;
        let to = Receiver::start().await;
        let secret = webhook(&w, "on-call", &to, &[]).await;
        let (one, two) = (notifier(&w, &w.store), notifier(&w, &Store::open(&w.database_url).await.unwrap()));
        let id = short_lived(&w, 300).await;
        let (a, b) = tokio::join!(one.watch(), two.watch());
        a.and(b).unwrap();
        let (a, b) = tokio::join!(one.deliver(), two.deliver());
        assert_eq!(a.unwrap() + b.unwrap(), 1);
        let got = to.take();
        let message = got.first().unwrap();
        assert_eq!((got.len(), message.is_signed_with(&secret)), (1, true));
        let body = message.json();
        assert_eq!((&body["type"], &body["data"]["about"]), (&json!("instance.ends_soon"), &json!(id)), "{body}");
        assert!(body["data"]["text"].as_str().unwrap().contains("inventiv instance extend"), "{body}");
        one.watch().await.unwrap();
        assert_eq!((one.deliver().await.unwrap(), alerts(&w).await), (0, vec!["info instance.ends_soon".to_owned()]));
        // It ends, and that is told, too.
        w.until_status(&id, "ready").await;
        w.advance_ms(5 * MINUTE_MS);
        w.orchestrator.end_expired().await.unwrap();
        two.watch().await.unwrap();
        two.deliver().await.unwrap();
        let texts = to.texts();
        assert!(texts.len() == 1 && texts[0].contains("was ended: its time was over at"), "{texts:?}");
        assert_eq!(alerts(&w).await, ["info instance.ended"]);
    }
}

/// A process that stops for ever before or after a write, and says so.
async fn dying(w: &World, dies_at: usize) -> (Arc<tokio::sync::Notify>, inventiv_notify::Notifier) {
    let (hook, died) = inventiv_testkit::dies_at(dies_at);
    let process = notifier(w, &Store::open(&w.database_url).await.unwrap().with_write_hook(hook));
    (died, process)
}

#[tokio::test]
async fn a_process_that_dies_at_any_write_neither_loses_nor_doubles_an_alert() {
    for database in Database::both() {
        for dies_at in 0..6 {
            let w = World::new(database).await;
            let to = Receiver::start().await;
            webhook(&w, "on-call", &to, &[]).await;
            short_lived(&w, 300).await;
            let (died, process) = dying(&w, dies_at).await;
            let life = tokio::spawn(async move {
                process.watch().await.unwrap();
                process.deliver().await.unwrap();
            });
            died.notified().await;
            life.abort();
            let other = notifier(&w, &w.store);
            for _ in 0..3 {
                other.watch().await.unwrap();
                other.deliver().await.unwrap();
                w.advance_ms(2 * MINUTE_MS);
            }
            let got = to.take();
            let ids: std::collections::BTreeSet<_> = got.iter().map(crate::receiver::Message::id).collect();
            // If it died before the outcome was recorded, the message is sent again, with its id.
            let wanted = if dies_at == 4 { 2 } else { 1 };
            assert_eq!((got.len(), ids.len()), (wanted, 1), "{database:?} {dies_at}");
        }
    }
}

#[tokio::test]
async fn of_limits_each_step_is_told_once_and_a_flapping_one_is_not_told_again() {
    for database in Database::both() {
        let w = World::new(database).await;
        w.orchestrator.refresh_catalogue().await.unwrap();
        let (to, orphans_only) = (Receiver::start().await, Receiver::start().await);
        webhook(&w, "all", &to, &[]).await;
        webhook(&w, "orphans", &orphans_only, &["orphan.found"]).await;
        let n = notifier(&w, &w.store);
        let round = async || {
            n.watch().await.unwrap();
            n.deliver().await.unwrap();
            to.texts()
        };
        w.call("PUT", "/limits", Some(json!({"instances": 2}))).await;
        assert_eq!(round().await, Vec::<String>::new());
        let body = || json!({"zone": "fr-par-2", "instance_type": "L4-1-24G", "engine": {"kind": "none"}});
        let first = w.create(body()).await;
        assert!(round().await.concat().starts_with("50 % of the limit of 2 instances"));
        let second = w.create(body()).await;
        assert!(round().await.concat().starts_with("the limit of 2 instances is reached"));
        assert_eq!(alerts(&w).await, ["critical limit.used"], "the lower step is implied");
        w.terminate(&second).await;
        w.until_status(&second, "terminated").await;
        assert_eq!(round().await, Vec::<String>::new(), "a falling use tells nothing");
        assert_eq!(alerts(&w).await, ["info limit.used"]);
        let third = w.create(body()).await;
        assert_eq!(round().await, Vec::<String>::new(), "it was told some minutes ago");
        w.terminate(&third).await;
        w.until_status(&third, "terminated").await;
        round().await;
        w.advance_ms(16 * MINUTE_MS);
        w.create(body()).await;
        assert!(round().await.concat().starts_with("the limit of 2 instances is reached"));
        w.terminate(&first).await;
        assert_eq!(orphans_only.take().len(), 0);
    }
}

#[tokio::test]
async fn many_alerts_at_once_are_told_by_a_few_messages() {
    for database in Database::both() {
        let w = World::new(database).await;
        let to = Receiver::start().await;
        webhook(&w, "on-call", &to, &[]).await;
        for _ in 0..25 {
            short_lived(&w, 300).await;
        }
        let n = notifier(&w, &w.store);
        n.watch().await.unwrap();
        while n.deliver().await.unwrap() > 0 {}
        let texts = to.texts();
        assert_eq!(texts.len(), 21, "{texts:#?}");
        let summary = "5 more alerts of this kind began at the same time: inventiv alert list";
        assert_eq!(texts.iter().filter(|text| *text == summary).count(), 1, "{texts:#?}");
        assert_eq!(alerts(&w).await.len(), 25);
        n.watch().await.unwrap();
        assert_eq!(n.deliver().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_process_that_dies_amid_many_alerts_loses_none() {
    let w = World::new(Database::Sqlite).await;
    let to = Receiver::start().await;
    webhook(&w, "on-call", &to, &[]).await;
    for _ in 0..25 {
        short_lived(&w, 300).await;
    }
    // Each alert is opened in one write, which has two phases.
    for dies_at in [10, 39, 40, 41, 45] {
        let w = w.restored(w.backup().await).await;
        let (died, process) = dying(&w, dies_at).await;
        let life = tokio::spawn(async move { process.watch().await });
        died.notified().await;
        life.abort();
        let other = notifier(&w, &w.store);
        other.watch().await.unwrap();
        while other.deliver().await.unwrap() > 0 {}
        let texts = to.texts();
        let (summaries, each): (Vec<_>, Vec<_>) =
            texts.iter().partition(|text| text.contains("more alerts of this kind"));
        let told: std::collections::BTreeSet<_> = each.iter().collect();
        // Those that the last summary counts, and those that were told.
        let counted = summaries.last().map_or(0, |text| text.split(' ').next().unwrap().parse::<usize>().unwrap());
        assert!(told.len() == each.len() && told.len() + counted >= 25, "{dies_at}: {} {summaries:?}", told.len());
    }
}

#[tokio::test]
async fn what_runs_by_itself_tells_and_sends() {
    let w = World::new(Database::Sqlite).await;
    let to = Receiver::start().await;
    webhook(&w, "on-call", &to, &[]).await;
    short_lived(&w, 300).await;
    let (n, stop) = (notifier(&w, &w.store), tokio_util::sync::CancellationToken::new());
    let runs = tokio::spawn({
        let stop = stop.clone();
        async move { n.run(stop).await }
    });
    let arrived = async {
        while to.take().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), arrived).await.unwrap();
    stop.cancel();
    runs.await.unwrap();
}

#[tokio::test]
async fn a_process_that_is_late_to_open_an_alert_sends_nothing() {
    for database in Database::both() {
        let w = World::new(database).await;
        let to = Receiver::start().await;
        webhook(&w, "on-call", &to, &[]).await;
        short_lived(&w, 300).await;
        let (held, go) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        let hook: WriteHook = Arc::new({
            let (held, go) = (held.clone(), go.clone());
            move |phase: WritePhase| {
                let (held, go) = (held.clone(), go.clone());
                Box::pin(async move {
                    if phase == WritePhase::Before {
                        held.notify_one();
                        go.notified().await;
                    }
                })
            }
        });
        let late = notifier(&w, &Store::open(&w.database_url).await.unwrap().with_write_hook(hook));
        let runs = tokio::spawn(async move { late.watch().await });
        held.notified().await;
        let other = notifier(&w, &w.store);
        other.watch().await.unwrap();
        go.notify_one();
        runs.await.unwrap().unwrap();
        while other.deliver().await.unwrap() > 0 {}
        assert_eq!(to.take().len(), 1);
    }
}
