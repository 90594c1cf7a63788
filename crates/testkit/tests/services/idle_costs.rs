//! What a service costs while nobody asks it.

use crate::stage::{Stage, is_ready_with, replica, request};
use inventiv_orchestrator::Clock;
use inventiv_store::{Counted, Usage, UsageKey};
use inventiv_testkit::Database;
use serde_json::{Value, json};

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn the_hours_in_which_a_replica_answered_nothing_are_idle() {
    for database in Database::both() {
        let mut stage = Stage::new(database).await;
        let id = stage.create(request(1, 1)).await["id"].as_str().unwrap().to_owned();
        let one = stage.until(10, "it answers", |s| is_ready_with(s, 1)).await;
        // The next whole hour, in which it is asked; then two in which it is not.
        let begin = UsageKey::hour_of(stage.w.clock.now()) + HOUR_MS * 1_000;
        stage.w.advance_ms((begin - stage.w.clock.now().0) / 1_000 + 3 * HOUR_MS);
        let at = |hours: i64| inventiv_core::time::Timestamp(begin + hours * HOUR_MS * 1_000).to_string();
        let costs = async |from: i64, to: i64| {
            let path = format!("/costs?group_by=service&from={}&to={}", at(from), at(to));
            let (status, costs) = stage.w.call("GET", &path, None).await;
            assert_eq!(status, 200, "{costs}");
            costs["items"].as_array().unwrap().iter().find(|c| c["key"] == json!(id)).unwrap().clone()
        };
        let idle = costs(0, 3).await;
        assert!(idle["micros"].as_i64() > Some(0));
        assert_eq!(idle["idle_micros"], idle["micros"], "nobody ever asked: {idle}");

        let key = UsageKey {
            hour: begin,
            key_id: "key-1".to_owned(),
            service_id: id.clone(),
            instance_id: replica(&one, 0),
            model: "m".to_owned(),
        };
        let usage = Usage { requests: 1, prompt_tokens: 10, completion_tokens: 10, ..Usage::default() };
        let counted = Counted {
            usage: vec![(key.clone(), usage), (UsageKey { key_id: "key-2".into(), ..key }, usage)],
            ..Counted::default()
        };
        stage.gateway.add_counted("gateway", &counted, stage.w.clock.now()).await.unwrap();
        let (first, rest, all) = (costs(0, 1).await, costs(1, 3).await, costs(0, 3).await);
        let of = |c: &Value, name: &str| c[name].as_i64().unwrap();
        assert_eq!((of(&first, "idle_micros"), of(&first, "tokens")), (0, 40), "{first}");
        assert_eq!(of(&rest, "idle_micros"), of(&rest, "micros"), "{rest}");
        assert!((of(&all, "idle_micros") - of(&rest, "micros")).abs() <= 3, "{all} {rest}");
        // A period may begin within an hour.
        let part = stage
            .w
            .call("GET", &format!("/costs?group_by=service&from={}", at(0).replace(":00:00", ":30:00")), None)
            .await
            .1;
        let part = part["items"].as_array().unwrap().iter().find(|c| c["key"] == json!(id)).unwrap().clone();
        assert!((of(&part, "idle_micros") - of(&rest, "micros")).abs() <= 3, "{part} {rest}");
        stage.end().await;
    }
}
