//! `inventiv bill`: what the provider bills, against what the ledger counted.

use crate::args::{BillArgs, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, Columns, opt, text};
use inventiv_core::bill::{BillFinding, BillKind};
use inventiv_types::{Bill, BillSum, BilledResource, OfMonth};

const SUMS: Columns<BillSum> = Columns {
    name: |s| s.kind.to_string(),
    narrow: &[
        ("kind", |s| s.kind.to_string()),
        ("billed", |s| output::decimal(s.billed_micros)),
        ("counted", |s| output::decimal(s.counted_micros)),
        ("difference", |s| difference(s.billed_micros, s.counted_micros)),
        ("currency", |s| text(&s.currency)),
    ],
    wide: &[],
};

const RESOURCES: Columns<BilledResource> = Columns {
    name: |r| text(&r.provider_id),
    narrow: &[
        ("finding", |r| r.finding.to_string()),
        ("kind", |r| r.kind.to_string()),
        ("id at the provider", |r| text(&r.provider_id)),
        ("billed", |r| output::decimal(r.billed_micros)),
        ("counted", |r| output::decimal(r.counted_micros)),
        ("currency", |r| text(&r.currency)),
    ],
    wide: &[
        ("name", |r| text(&r.name)),
        ("resource", |r| opt(r.resource_id.as_ref())),
        ("instance", |r| opt(r.instance_id.as_ref())),
    ],
};

pub(crate) async fn run(args: BillArgs, output: Output) -> Result<(), Failure> {
    let client = Client::connect(&args.connection)?.patient();
    let query = OfMonth { month: args.month, account: args.account.name() };
    let bill: Bill = client.get("/bill", &query).await?;
    match output {
        Output::Json | Output::Yaml => output::value(output, &output::json(&bill)),
        Output::Name => shown(&bill, args.all).iter().for_each(|r| output::print(&text(&r.provider_id))),
        Output::Table | Output::Wide => output::print(&table(&bill, args.all, output)),
    }
    if bill.not_counted > 0 {
        return Err(Failure::left_behind(format!(
            "{} resource(s) with a name of this control plane are billed and were never counted; `inventiv audit` says \
             whether they still exist",
            bill.not_counted
        )));
    }
    Ok(())
}

fn shown(bill: &Bill, all: bool) -> Vec<&BilledResource> {
    bill.resources.iter().filter(|r| all || r.finding != BillFinding::Agrees).collect()
}

fn table(bill: &Bill, all: bool, output: Output) -> String {
    let mut parts = Vec::new();
    if !bill.sums.is_empty() {
        parts.push(output::table(output, &bill.sums, &SUMS));
    }
    let rows: Vec<BilledResource> = shown(bill, all).into_iter().cloned().collect();
    if !rows.is_empty() {
        parts.push(output::table(output, &rows, &RESOURCES));
    }
    let until = bill.billed_until.map_or("nothing is billed yet".to_owned(), |t| format!("billed until {}", t.0));
    let mut lines = vec![format!(
        "{} to {}, {until}, without VAT. The bill and the ledger agree about {} resource(s) to a cent or one per cent.",
        bill.from.0, bill.to.0, bill.agreed
    )];
    if bill.more_resources > 0 {
        lines.push(format!("{} more resource(s) are not listed.", bill.more_resources));
    }
    if bill.sums.iter().any(|s| s.kind == BillKind::Address) {
        lines.push("Addresses are compared in sum only, with those of others in the project.".to_owned());
    }
    for other in &bill.others {
        let amount = output::decimal(other.billed_micros);
        lines.push(format!("{amount} {} more is billed for others in the project.", text(&other.currency)));
    }
    parts.push(lines.join("\n"));
    parts.join("\n\n")
}

/// With a sign, because either may be larger.
fn difference(billed: i64, counted: i64) -> String {
    let sign = if billed < counted { "-" } else { "+" };
    let size = i64::try_from(billed.abs_diff(counted)).unwrap_or(i64::MAX);
    format!("{sign}{}", output::decimal(size))
}
