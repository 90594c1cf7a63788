//! Costs, from the request to the last proof, against an integral over what exists in the cloud from second to second.
//!
//! What the cloud shows and what is recorded differ by the time until something is observed: what begins is dated back to
//! its beginning, and what ends counts until its proof. So a ledger is never below the integral, and not far above it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_testkit::{Database, World};
use serde_json::{Value, json};
use sqlx::Row;
use std::collections::BTreeMap;

const SERVER_NANOS: i128 = 1_469_916_000;
const BLOCK_GB_NANOS: i128 = 130_000;
const ADDRESS_NANOS: i128 = 5_000_000;

fn request(retained: bool) -> Value {
    json!({"zone": "fr-par-2", "instance_type": "L40S-1-48G", "model_id": "Qwen/Qwen2.5-7B-Instruct",
        "engine": {"kind": "none"}, "delete_on_terminate": !retained})
}

/// What exists in the cloud, added up from second to second, by kind: units and seconds.
#[derive(Default, Debug)]
struct Integral(BTreeMap<&'static str, i128>);

impl Integral {
    fn add(&mut self, w: &World) {
        let state = w.emulator.state();
        let all = |key: &str| state[key].as_array().unwrap().clone();
        let on: Vec<Value> = all("servers").into_iter().filter(|s| s["state"] != "stopped").collect();
        let mut sum = |kind, units: i128| *self.0.entry(kind).or_default() += units;
        sum("server", on.len() as i128);
        let addresses = on.iter().map(|s| s["public_ips"].as_array().map_or(0, Vec::len));
        sum("address", addresses.sum::<usize>() as i128);
        let blocks = all("volumes").into_iter().filter(|v| v["volume_type"] == "sbs_volume");
        sum("volume", blocks.map(|v| i128::from(v["size"].as_i64().unwrap() / 1_000_000_000)).sum());
    }

    /// In millionths of a euro.
    fn micros(&self, kind: &str) -> i64 {
        let nanos = match kind {
            "server" => SERVER_NANOS,
            "address" => ADDRESS_NANOS,
            _ => BLOCK_GB_NANOS,
        };
        i64::try_from(self.0.get(kind).copied().unwrap_or_default() * nanos / 3_600_000).unwrap()
    }
}

/// A row of the ledger that has ended: resource, kind and beginning; then end, class, name of the price and quantity.
type Ended = BTreeMap<(String, String, i64), (i64, String, String, i64)>;

/// The rows that have ended. Those without length cost nothing, and those that are unconfirmed are in no sum.
async fn ended(w: &World) -> Ended {
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&w.database_url).await.unwrap();
    let query = "SELECT * FROM charges WHERE ends_at > starts_at AND class <> 'unconfirmed'";
    let rows = sqlx::query(query).fetch_all(&pool).await.unwrap();
    let row = |r: &sqlx::any::AnyRow| {
        let key = (r.get("resource_id"), r.get("kind"), r.get("starts_at"));
        (key, (r.get("ends_at"), r.get("class"), r.get("sku"), r.get("quantity")))
    };
    rows.iter().map(row).collect()
}

/// A world in which every second is added up.
struct Watched {
    w: World,
    integral: Integral,
    began: String,
}

impl Watched {
    async fn new(database: Database) -> Self {
        let w = World::new(database).await;
        w.orchestrator.refresh_catalogue().await.unwrap();
        let began = inventiv_types::Time(inventiv_orchestrator::Clock::now(&*w.clock)).to_string();
        Self { w, integral: Integral::default(), began }
    }

    async fn turn(&mut self) {
        self.integral.add(&self.w);
        self.w.tick().await;
    }

    async fn turns(&mut self, n: u32) {
        for _ in 0..n {
            self.turn().await;
        }
    }

    async fn until(&mut self, id: &str, status: &str) {
        for _ in 0..3_600 {
            if self.w.show(id).await["status"] == status {
                return;
            }
            self.turn().await;
        }
        panic!("{id} is not {status}: {:#}", self.w.show(id).await);
    }

    async fn costs(&self, query: &str) -> Value {
        let path = format!("/costs?from={}{}{query}", self.began, if query.is_empty() { "" } else { "&" });
        let (status, costs) = self.w.call("GET", &path, None).await;
        assert_eq!(status, 200, "{costs}");
        costs
    }

    /// Compares the ledger with the integral; each of `ends` resources may count for so many seconds more.
    async fn check(&self, ends: i64, lag_s: i64) {
        let costs = self.costs("group_by=kind").await;
        let items = costs["items"].as_array().unwrap();
        for (kind, hourly_nanos) in
            [("server", SERVER_NANOS), ("address", ADDRESS_NANOS), ("volume", 200 * BLOCK_GB_NANOS)]
        {
            let item = items.iter().find(|i| i["key"] == kind);
            let (said, is) = (item.map_or(0, |i| i["micros"].as_i64().unwrap()), self.integral.micros(kind));
            // The cloud takes an address back when a server begins to stop, and the server counts until it has.
            let lag_s = if kind == "address" { 40 } else { lag_s };
            let slack = i64::try_from(hourly_nanos * i128::from(ends * lag_s) / 3_600_000).unwrap();
            // A sample stands for a whole second.
            let second = i64::try_from(hourly_nanos * i128::from(ends) / 3_600_000).unwrap() + 1;
            assert!(said >= is - second, "{kind}: {said} is less than {is}: {costs:#}");
            assert!(said <= is + slack + second, "{kind}: {said} is more than {is} + {slack}: {costs:#}");
        }
        assert_eq!(costs["unpriced"], json!([]));
        let sum: i64 = items.iter().map(|i| i["micros"].as_i64().unwrap()).sum();
        assert_eq!(costs["totals"][0]["micros"], sum);
        for by in ["instance", "service", "model", "zone", "sku", "class", "resource", "day"] {
            let grouped = self.costs(&format!("group_by={by}")).await;
            let of = |i: &Value| i["micros"].as_i64().unwrap();
            let grouped_sum: i64 = grouped["items"].as_array().unwrap().iter().map(of).sum();
            // By day, a row is cut at midnight, and each piece is cut to whole seconds: up to a second of each of three servers.
            assert!((grouped_sum - sum).abs() <= if by == "day" { 1_300 } else { 0 }, "{by}: {grouped_sum}, not {sum}");
        }
    }
}

#[tokio::test]
async fn a_life_costs_what_existed_in_the_cloud() {
    for database in Database::both() {
        let mut s = Watched::new(database).await;
        let id = s.w.create(request(false)).await;
        s.until(&id, "ready").await;
        s.turns(300).await;
        // A reboot begins nothing.
        s.w.call("POST", &format!("/instances/{id}/reboot"), None).await;
        s.turns(300).await;
        s.check(4, 3).await;
        let forecast = s.w.call("GET", "/costs/forecast", None).await.1;
        let hourly = forecast["currencies"][0]["hourly_micros"].as_i64().unwrap();
        let shown = s.w.show(&id).await;
        let of = |field: &str| shown[field].as_i64().unwrap();
        assert_eq!(hourly, of("hourly_micros") + of("storage_hourly_micros") + 5_000, "{forecast:#}");
        // Stopped: the volumes alone.
        s.w.call("POST", &format!("/instances/{id}/stop"), None).await;
        s.until(&id, "stopped").await;
        s.turns(900).await;
        s.check(4, 3).await;
        let forecast = s.w.call("GET", "/costs/forecast", None).await.1;
        assert_eq!(forecast["currencies"][0]["hourly_micros"], shown["storage_hourly_micros"], "{forecast:#}");
        s.w.call("POST", &format!("/instances/{id}/start"), None).await;
        s.until(&id, "ready").await;
        s.turns(300).await;
        s.w.terminate(&id).await;
        s.until(&id, "terminated").await;
        s.turns(600).await;
        s.check(4, 3).await;
        let forecast = s.w.call("GET", "/costs/forecast", None).await.1;
        assert_eq!(forecast["currencies"][0]["hourly_micros"], 0, "{forecast:#}");
        assert_eq!(s.costs("").await["totals"], s.costs(&format!("instance={id}")).await["totals"]);
    }
}

#[tokio::test]
async fn a_retained_volume_costs_until_it_is_released() {
    for database in Database::both() {
        retained(Watched::new(database).await).await;
    }
}

async fn retained(mut s: Watched) {
    let id = s.w.create(request(true)).await;
    s.until(&id, "ready").await;
    s.w.terminate(&id).await;
    s.until(&id, "terminated").await;
    s.turns(1_200).await;
    let classes = s.costs("group_by=class").await;
    let retained = classes["items"].as_array().unwrap().iter().find(|i| i["key"] == "retained").unwrap();
    assert!(retained["micros"].as_i64().unwrap() >= 200 * 130 / 3, "twenty minutes of 200 GB: {classes:#}");
    let volume =
        s.w.show(&id).await["storages"].as_array().unwrap().iter().find(|v| v["status"] == "retained").cloned();
    let volume = volume.unwrap()["id"].as_str().unwrap().to_owned();
    let body = json!({"delete_on_terminate": true});
    let (status, released) = s.w.call("PATCH", &format!("/volumes/{volume}"), Some(body)).await;
    assert_eq!(status, 200, "{released}");
    for _ in 0..600 {
        s.turn().await;
    }
    assert_eq!(s.w.left(), (0, 0, 0));
    let forecast = s.w.call("GET", "/costs/forecast", None).await.1;
    assert_eq!(forecast["currencies"][0]["hourly_micros"], 0, "{forecast:#}");
    s.check(4, 3).await;
}

#[tokio::test]
async fn random_lives_with_crashes_and_third_parties_cost_what_existed() {
    let databases = Database::both();
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed as u64);
        let mut s = Watched::new(databases[seed % databases.len()]).await;
        let (mut ids, mut past) = (Vec::new(), Ended::new());
        for _ in 0..40 {
            match random.u8(0..10) {
                0..3 if ids.len() < 3 => ids.push(s.w.create(request(false)).await),
                3 => s.w = s.w.restarted().await,
                4..9 if !ids.is_empty() => {
                    let id = &ids[random.usize(0..ids.len())];
                    let actions = ["stop", "start", "reboot"];
                    // It may be refused, as it is not in the right status.
                    s.w.call("POST", &format!("/instances/{id}/{}", random.choice(actions).unwrap()), None).await;
                }
                _ => {}
            }
            s.turns(random.u32(1..120)).await;
            let now = ended(&s.w).await;
            for (row, was) in &past {
                assert_eq!(now.get(row), Some(was), "seed {seed}: {row:?} has changed");
            }
            past = now;
        }
        assert!(ids.is_empty() || !past.is_empty(), "seed {seed}");
        for id in &ids {
            s.w.terminate(id).await;
        }
        for id in &ids {
            s.until(id, "terminated").await;
        }
        assert_eq!(s.w.left(), (0, 0, 0), "seed {seed}");
        s.check(20, 3).await;
    }
}

#[tokio::test]
async fn a_price_that_changes_counts_from_then_on_alone() {
    for database in Database::both() {
        let mut s = Watched::new(database).await;
        let id = s.w.create(request(false)).await;
        s.until(&id, "ready").await;
        s.turns(100).await;
        let of_server = async |s: &Watched| {
            let costs = s.costs("group_by=sku").await;
            let items = costs["items"].as_array().unwrap().clone();
            items.iter().find(|i| i["key"] == "server/L40S-1-48G").unwrap()["micros"].as_i64().unwrap()
        };
        let before = of_server(&s).await;
        let account = format!("scaleway:{}", inventiv_testkit::PROJECT);
        let price = inventiv_store::NewPrice {
            zone: "fr-par-2".into(),
            sku: "server/L40S-1-48G".into(),
            hourly_nanos: 3_600_000_000,
            currency: "EUR".into(),
            source: "test".into(),
        };
        let now = inventiv_orchestrator::Clock::now(&*s.w.clock);
        s.w.store.record_prices(&account, &[price], now).await.unwrap();
        assert_eq!(of_server(&s).await, before, "what is past keeps its price");
        s.w.advance_ms(1_000_000);
        assert_eq!(of_server(&s).await, before + 1_000_000, "a thousand seconds at 3.60 EUR/h");
        let (_, prices) = s.w.call("GET", "/prices?past=true&zone=fr-par-2", None).await;
        let of = prices["items"].as_array().unwrap().iter().filter(|p| p["sku"] == "server/L40S-1-48G").count();
        assert_eq!(of, 2, "{prices:#}");
    }
}

#[tokio::test]
async fn a_volume_that_a_third_party_grows_costs_more_from_then_on() {
    for database in Database::both() {
        let mut s = Watched::new(database).await;
        let id = s.w.create(request(false)).await;
        s.until(&id, "ready").await;
        s.turns(1_000).await;
        let shown = s.w.show(&id).await;
        let data = shown["storages"].as_array().unwrap().iter().find(|v| v["size_gb"] == 200).unwrap();
        let path = format!("/block/v1/zones/fr-par-2/volumes/{}", data["provider_volume_id"].as_str().unwrap());
        s.w.third_party("PATCH", &path, Some(json!({"size": 600_000_000_000_i64})));
        for _ in 0..1_000 {
            s.integral.add(&s.w);
            s.w.resync().await;
        }
        s.check(3, 3).await;
        s.w.terminate(&id).await;
        s.until(&id, "terminated").await;
        s.check(5, 3).await;
    }
}

#[tokio::test]
async fn a_server_that_a_third_party_turns_off_for_a_while_costs_nothing_meanwhile() {
    for database in Database::both() {
        let mut s = Watched::new(database).await;
        let id = s.w.create(request(false)).await;
        s.until(&id, "ready").await;
        let server = s.w.show(&id).await["provider_instance_id"].as_str().unwrap().to_owned();
        let path = format!("/instance/v1/zones/fr-par-2/servers/{server}/action");
        for action in ["poweroff", "poweron"] {
            s.w.third_party("POST", &path, Some(json!({"action": action})));
            for _ in 0..1_500 {
                s.integral.add(&s.w);
                s.w.resync().await;
            }
            s.check(5, 3).await;
        }
    }
}

#[tokio::test]
async fn what_a_version_without_a_ledger_ended_costs_nothing_any_more() {
    for database in Database::both() {
        let mut s = Watched::new(database).await;
        let id = s.w.create(request(false)).await;
        s.until(&id, "ready").await;
        s.w.terminate(&id).await;
        s.until(&id, "terminated").await;
        let spent = async |s: &Watched| s.costs("group_by=kind").await["totals"][0]["micros"].as_i64().unwrap();
        let ended = spent(&s).await;
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&s.w.database_url).await.unwrap();
        sqlx::query("UPDATE charges SET ends_at = NULL WHERE class = 'ending'").execute(&pool).await.unwrap();
        s.turns(600).await;
        assert!(spent(&s).await > ended);
        s.w.orchestrator.refresh_catalogue().await.unwrap();
        assert_eq!(spent(&s).await, ended);
    }
}

#[tokio::test]
async fn wrong_queries_are_refused_with_what_to_do() {
    let s = Watched::new(Database::Sqlite).await;
    for (query, field) in [
        ("from=2099-01-01T00:00:00Z", "from"),
        ("from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
        ("group_by=colour", "group_by"),
        ("account=nobody", "account"),
        ("from=yesterday", "from"),
        ("until=2026-01-01T00:00:00Z", "until"),
    ] {
        let (status, problem) = s.w.call("GET", &format!("/costs?{query}"), None).await;
        assert!((400..=422).contains(&status) && problem.to_string().contains(field), "{query}: {status} {problem}");
    }
    let (status, _) = s.w.call("GET", "/costs?instance=nobody", None).await;
    assert_eq!(status, 404);
    let (status, nothing) = s.w.call("GET", "/costs", None).await;
    assert_eq!((status, &nothing["totals"], &nothing["items"]), (200, &json!([]), &json!([])));
}
