//! Tests of `GET /costs` by tag and of `GET /costs/focus`: the same sums, in other columns.

use crate::helpers::{bearer, get, request_of};
use inventiv_testkit::{Database, Fault, World};
use serde_json::{Value, json};
use std::collections::HashMap;

/// A world with two instances, of which one has tags and a name that needs quotes, that ran over midnight.
async fn world(db: Database) -> (World, String, String) {
    let w = World::new(db).await;
    w.orchestrator.refresh_catalogue().await.unwrap();
    let mut tagged = request_of("L40S-1-48G", Some("Qwen/Qwen2.5-7B-Instruct"));
    tagged["tags"] = json!(["team=search", "x", "x"]);
    tagged["name"] = json!("a \"b\", <c>");
    let tagged = w.create(tagged).await;
    let plain = w.create(request_of("L4-1-24G", None)).await;
    w.until_status(&tagged, "ready").await;
    w.until_status(&plain, "ready").await;
    w.advance_ms(30 * 3_600 * 1_000);
    w.tick().await;
    w.settle().await;
    (w, tagged, plain)
}

async fn costs(w: &World, query: &str) -> Value {
    let (status, costs) = w.call("GET", &format!("/costs?from=2026-01-01T00:00:00Z&{query}"), None).await;
    assert_eq!(status, 200, "{costs:#}");
    costs
}

fn micros(costs: &Value) -> HashMap<String, i64> {
    let items = costs["items"].as_array().unwrap();
    items.iter().map(|i| (i["key"].as_str().unwrap().to_owned(), i["micros"].as_i64().unwrap())).collect()
}

#[tokio::test]
async fn an_instance_counts_under_each_of_its_tags_and_once_in_the_total() {
    for db in Database::both() {
        let (w, tagged, plain) = world(db).await;
        let (by_instance, by_tag) = (costs(&w, "group_by=instance").await, costs(&w, "group_by=tag").await);
        let (instances, tags) = (micros(&by_instance), micros(&by_tag));
        assert_eq!(
            (tags["team=search"], tags["x"], tags[""]),
            (instances[&tagged], instances[&tagged], instances[&plain])
        );
        assert_eq!(tags.len(), 3);
        assert_eq!(by_tag["totals"], by_instance["totals"]);
        let one = costs(&w, &format!("group_by=tag&instance={plain}")).await;
        assert_eq!(micros(&one), HashMap::from([(String::new(), instances[&plain])]));
    }
}

/// A decimal number in millionths.
fn in_micros(text: &str) -> i64 {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    whole.parse::<i64>().unwrap() * 1_000_000 + format!("{rest:0<6}").parse::<i64>().unwrap()
}

#[tokio::test]
async fn an_export_has_a_row_for_each_resource_and_day_and_the_same_sum() {
    // The days are those of UTC, whenever the period begins.
    for (db, from) in Database::both().into_iter().zip(["00:00:00", "14:48:00"].into_iter().cycle()) {
        let (w, tagged, _) = world(db).await;
        let token = bearer();
        let path = format!("/costs/focus?from=2026-01-01T{from}Z");
        let answer = get(&w.api, &path, &[("authorization", &token)]).await;
        assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "text/csv; charset=utf-8"));
        let mut reader = csv::Reader::from_reader(answer.body.as_slice());
        let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        // What version 1.2 demands, and the names that 1.3 gave to the provider.
        for column in [
            "BilledCost",
            "BillingAccountId",
            "BillingAccountName",
            "BillingCurrency",
            "BillingPeriodEnd",
            "BillingPeriodStart",
            "ChargeCategory",
            "ChargeClass",
            "ChargeDescription",
            "ChargePeriodEnd",
            "ChargePeriodStart",
            "ContractedCost",
            "EffectiveCost",
            "InvoiceIssuerName",
            "ListCost",
            "PricingQuantity",
            "PricingUnit",
            "ProviderName",
            "PublisherName",
            "ServiceCategory",
            "ServiceName",
            "HostProviderName",
            "ServiceProviderName",
            "ResourceId",
            "SkuId",
            "Tags",
            "x_InstanceId",
        ] {
            assert!(header.contains(&column.to_owned()), "{column}: {header:?}");
        }
        let rows: Vec<HashMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
        let by_day = costs(&w, "group_by=day").await;
        let sum: i64 = rows.iter().map(|r| in_micros(&r["BilledCost"])).sum();
        assert_eq!(sum, by_day["totals"][0]["micros"].as_i64().unwrap());
        let mut days: HashMap<String, i64> = HashMap::new();
        for row in &rows {
            let (from, to) = (&row["ChargePeriodStart"], &row["ChargePeriodEnd"]);
            *days.entry(from[..10].to_owned()).or_default() += in_micros(&row["BilledCost"]);
            assert!(from < to && (from[..10] == to[..10] || to.ends_with("T00:00:00Z")), "{row:?}");
            assert_eq!(row["BillingPeriodStart"][8..], *"01T00:00:00Z", "{row:?}");
        }
        assert_eq!(days, micros(&by_day), "the rows of a day are what it cost");
        let of: Vec<_> = rows.iter().filter(|r| r["x_InstanceId"] == tagged).collect();
        let kinds: std::collections::BTreeSet<&str> = of.iter().map(|r| r["ServiceCategory"].as_str()).collect();
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["Compute", "Networking", "Storage"]);
        for row in of {
            assert_eq!(
                (row["ResourceName"].as_str(), row["Tags"].as_str()),
                ("a \"b\", <c>", r#"{"team":"search","x":""}"#)
            );
        }
        // Without rows, there is a header all the same.
        let path = "/costs/focus?from=2025-01-01T00:00:00Z&to=2025-02-01T00:00:00Z";
        let empty = get(&w.api, path, &[("authorization", &token)]).await;
        let empty = String::from_utf8(empty.body).unwrap();
        assert_eq!(empty.trim_end().split(',').collect::<Vec<_>>(), header);
        for wrong in ["group_by=day", "from=2027-01-01T00:00:00Z", "from=2020-01-01T00:00:00Z", "colour=red"] {
            assert_eq!(w.call("GET", &format!("/costs/focus?{wrong}"), None).await.0, 422, "{wrong}");
        }
    }
}

/// A product catalogue that is out of order.
fn no_answer() -> Fault {
    Fault::Answer { status: 500, content_type: "application/json", body: "{}".to_owned() }
}

#[tokio::test]
async fn prices_of_block_storage_are_those_of_the_product_catalogue() {
    for db in Database::both() {
        let w = World::new(db).await;
        let listed = async |sku: &str| {
            let (_, prices) = w.call("GET", "/prices", None).await;
            let row = prices["items"].as_array().unwrap().iter().find(|p| p["sku"] == sku && p["zone"] == "fr-par-2");
            let row = row.unwrap_or_else(|| panic!("{sku}: {prices:#}")).clone();
            (row["hourly_nanos"].as_i64().unwrap(), row["unit"].clone(), row["source"].as_str().unwrap().to_owned())
        };
        let catalogue = |nanos| (nanos, json!("GB"), "the provider's product catalogue".to_owned());
        assert_eq!(listed("block/5000").await, catalogue(129_999));
        assert_eq!(listed("block/15000").await, catalogue(177_000));
        assert_eq!(listed("snapshot/block").await, catalogue(44_000));
        assert_eq!(listed("snapshot/local").await.0, 49_000);
        // What was read stays while there is no answer.
        w.wire.fail("GET", "/product-catalog/", 100, no_answer());
        w.advance_ms(7_200_000);
        w.orchestrator.refresh_catalogue().await.unwrap();
        assert_eq!(listed("block/5000").await, catalogue(129_999));
        w.wire.heal();
        let id = w.create(request_of("L40S-1-48G", Some("Qwen/Qwen2.5-7B-Instruct"))).await;
        w.until_status(&id, "ready").await;
        let shown = w.show(&id).await;
        let price = |gb: i64| {
            let of = shown["storages"].as_array().unwrap().iter().find(|v| v["size_gb"] == gb);
            of.unwrap_or_else(|| panic!("{gb}: {shown:#}"))["hourly_micros"].clone()
        };
        // Boot and data by the product catalogue; scratch is part of the server's price.
        assert_eq!((price(20), price(200), price(1_600)), (json!(2_600), json!(26_000), json!(0)));
        assert_eq!(shown["storage_hourly_micros"], 28_600);
        w.terminate(&id).await;
        w.until_status(&id, "terminated").await;
        let ended = w.show(&id).await;
        assert!(ended["storages"].as_array().unwrap().iter().all(|v| v["hourly_micros"].is_null()), "{ended:#}");
    }
}
