//! The bill: lines, filters, pages, and what is refused.

use crate::ask;
use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, Options};
use serde_json::{Value, json};

const CHARGES: &str = "/billing/v2beta1/charges";

fn volume(e: &Emulator, name: &str, gb: i64, iops: i64) -> String {
    let body =
        json!({"name": name, "project_id": e.project(), "perf_iops": iops, "from_empty": {"size": gb * 1_000_000_000}});
    let (status, made) = ask(e, "POST", "/block/v1/zones/fr-par-2/volumes", Some(body));
    assert_eq!(status, 200, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

fn names(bill: &Value) -> Vec<&str> {
    bill["charges"].as_array().unwrap().iter().filter_map(|c| c["resource_name"].as_str()).collect()
}

#[test]
fn a_bill_has_a_line_for_each_resource_and_can_be_cut_filtered_and_read_in_pages() {
    let e = Emulator::new(Options { clock: ClockMode::Manual, ..Options::default() });
    let begin = e.now_us();
    let slow = volume(&e, "slow", 100, 5_000);
    e.advance_ms(1_800_000);
    volume(&e, "fast", 100, 15_000);
    e.advance_ms(1_800_000);
    let project = e.project();
    let bill = |more: &str| {
        let (status, bill) = ask(&e, "GET", &format!("{CHARGES}?project_ids={project}{more}"), None);
        assert_eq!(status, 200, "{more}: {bill}");
        bill
    };
    let all = bill("");
    assert_eq!(names(&all), ["slow", "fast"]);
    let first = &all["charges"][0];
    assert_eq!((&first["resource_id"], &first["project_id"]), (&json!(slow), &json!(project)));
    assert_eq!(first["sku"], "/storage/block/volume-low-latency-5k/fr-par-2");
    // 100 GB for an hour, and for half an hour.
    assert_eq!(first["price"], json!({"currency_code": "EUR", "units": 0, "nanos": 12_999_900}));
    assert_eq!(all["charges"][1]["price"]["nanos"], 8_850_000);
    // Cut to the first half of the hour; without cutting, what is longer is left out.
    let middle = jiff::Timestamp::from_microsecond(begin + 1_800_000_000).unwrap();
    let half = format!("&end_date_before={middle}");
    assert_eq!(names(&bill(&half)), Vec::<&str>::new());
    let cut = bill(&format!("{half}&clamp_to_time_range=true"));
    assert_eq!((names(&cut), &cut["charges"][0]["price"]["nanos"]), (vec!["slow"], &json!(6_499_950)));
    assert_eq!(names(&bill(&format!("&resource_ids={slow}"))), ["slow"]);
    assert_eq!(names(&bill("&order_by=start_date_desc")), ["fast", "slow"]);
    let page = bill("&page_size=1");
    assert_eq!((names(&page), &page["next_page_token"]), (vec!["slow"], &json!("1")));
    let page = bill("&page_size=1&page_token=1");
    assert_eq!((names(&page), &page["next_page_token"]), (vec!["fast"], &Value::Null));
    let other = ask(&e, "GET", &format!("{CHARGES}?project_ids=00000000-0000-4000-8000-000000000000"), None).1;
    assert_eq!(names(&other), Vec::<&str>::new());
    for wrong in [
        "",
        "?page_size=1",
        "?project_ids=a&page_size=101",
        "?project_ids=a&page_token=x",
        "?project_ids=a&end_date_before=x",
    ] {
        assert_eq!(ask(&e, "GET", &format!("{CHARGES}{wrong}"), None).0, 400, "{wrong}");
    }
    let journal = ask(&e, "GET", "/_emulator/journal", None).1;
    assert_eq!(journal["entries"].as_array().unwrap().last().unwrap()["not_evidenced"], true);
}
