//! The bill, resource by resource, from the FinOps API.
//!
//! No recording shows it. The path, its parameters and its fields are those of the provider's official SDKs (2026-06). The
//! names of what is billed are from public programs that read real bills, and are only used to tell kinds apart: what has an
//! unknown name is of another kind, and is never left out.

use super::Scaleway;
use super::lenient::Field;
use super::wire::Amount;
use crate::error::Error;
use crate::http::encode;
use inventiv_core::bill::{BillKind, BillLine};
use inventiv_core::error::Effect;
use inventiv_core::time::Timestamp;
use serde::Deserialize;

/// How many lines a page has, at most.
const PAGE: usize = 100;
/// How many pages are read, at most.
const PAGES_MAX: usize = 500;

#[derive(Debug, Deserialize)]
struct Page {
    charges: Vec<Row>,
    #[serde(default)]
    next_page_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row {
    resource_id: Field<String>,
    resource_name: Field<String>,
    sku: Field<String>,
    price: Field<Amount>,
    end_date: Field<String>,
}

impl Scaleway {
    /// Every line of the bill of the account's project, cut to a period.
    pub(super) async fn list_bill(&self, from: Timestamp, to: Timestamp) -> Result<Vec<BillLine>, Error> {
        let project = encode(&self.account.project_id);
        let (from, to) = (from.to_string(), to.to_string());
        let query = format!(
            "project_ids={project}&start_date_after={}&end_date_before={}&clamp_to_time_range=true&order_by=start_date_asc\
             &page_size={PAGE}",
            encode(&from),
            encode(&to)
        );
        let (mut lines, mut token) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let after = if token.is_empty() { String::new() } else { format!("&page_token={}", encode(&token)) };
            let page: Page = self.read(format!("/billing/v2beta1/charges?{query}{after}")).await?.decode()?;
            for row in page.charges {
                let wrong = |what: &str| Error::unavailable(Effect::None, format!("a line of the bill has no {what}"));
                lines.push(line(row).map_err(wrong)?);
            }
            match page.next_page_token.filter(|next| !next.is_empty()) {
                None => return Ok(lines),
                Some(next) if next == token => break,
                Some(next) => token = next,
            }
        }
        Err(Error::unavailable(Effect::None, "the bill does not end".to_owned()))
    }
}

/// A line; an error names what cannot be read, because a sum without it would be wrong.
fn line(row: Row) -> Result<BillLine, &'static str> {
    let money = row.price.known().ok_or("readable price")?;
    let sku = row.sku.known().unwrap_or_default();
    Ok(BillLine {
        resource_id: row.resource_id.known().unwrap_or_default(),
        resource_name: row.resource_name.known().unwrap_or_default(),
        kind: kind(&sku),
        sku,
        micros: money.micros().ok_or("price that can be added")?,
        currency: money.currency_code,
        until: row.end_date.known().and_then(|text| Timestamp::parse(&text)),
    })
}

/// The kind of what is billed, from its name.
fn kind(sku: &str) -> BillKind {
    let has = |wanted: &[&str]| sku.split(['/', '_', '-']).any(|word| wanted.contains(&word));
    if has(&["snapshot", "snapshots"]) {
        BillKind::Snapshot
    } else if has(&["ip", "ips", "ipv4", "ipv6", "ipam"]) {
        BillKind::Address
    } else if sku.starts_with("/storage/block/") {
        BillKind::Volume
    } else if sku.starts_with("/instance/server/") || sku.starts_with("/compute/") {
        BillKind::Server
    } else {
        BillKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_name_of_what_is_billed_tells_its_kind() {
        for (sku, wanted) in [
            ("/instance/server/l4_1_24g/fr-par-2", BillKind::Server),
            ("/compute/h100_1_80g/run_par2", BillKind::Server),
            ("/storage/block/volume-low-latency-5k/fr-par-2", BillKind::Volume),
            ("/storage/block/snapshot/fr-par-2", BillKind::Snapshot),
            ("/instance/ip/fr-par-2", BillKind::Address),
            ("/network/flexible_ip/fr-par-2", BillKind::Address),
            ("/storage/object/standard/fr-par", BillKind::Other),
            ("/containers/registry/fr-par", BillKind::Other),
            ("", BillKind::Other),
        ] {
            assert_eq!(kind(sku), wanted, "{sku}");
        }
    }

    #[test]
    fn a_line_is_read_exactly_or_refused() {
        let read = |row: serde_json::Value| line(serde_json::from_value(row).unwrap());
        let price = |units: i64, nanos: i64| json!({"currency_code": "EUR", "units": units, "nanos": nanos});
        let all = json!({
            "resource_id": "a", "resource_name": "n", "sku": "/instance/server/l4_1_24g/fr-par-2", "price": price(2, 500_000_000),
            "start_date": "2026-11-01T00:00:00Z", "end_date": "2026-11-02T00:00:00Z", "invoice_id": null, "more": 1,
        });
        let shown = read(all).unwrap();
        assert_eq!((shown.micros, shown.kind, shown.currency.as_str()), (2_500_000, BillKind::Server, "EUR"));
        assert_eq!(shown.until, Timestamp::parse("2026-11-02T00:00:00Z"));
        for (money, micros) in [
            (price(0, 499), Ok(0)),
            (price(0, 500), Ok(1)),
            (price(-1, -500_000_000), Ok(-1_500_000)),
            (price(i64::MAX, 0), Err("price that can be added")),
            (json!(null), Err("readable price")),
            (json!({"units": 1}), Err("readable price")),
            (json!("1 EUR"), Err("readable price")),
        ] {
            assert_eq!(read(json!({"price": money})).map(|l| l.micros), micros, "{money}");
        }
    }
}
