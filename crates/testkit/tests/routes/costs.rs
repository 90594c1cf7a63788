//! Tests of `GET /costs` by tag and of `GET /costs/focus`: the same sums, in other columns.

use crate::helpers::{bearer, get, request_of};
use inventiv_testkit::{Database, World};
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
