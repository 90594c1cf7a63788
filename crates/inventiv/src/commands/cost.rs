//! `inventiv cost` and `inventiv price`.

use crate::args::Connection;
use crate::args::{CostArgs, Output, PriceCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, Columns, opt, text};
use inventiv_core::time::Timestamp;
use inventiv_types::{Cost, CostGroup, CostTotal, Costs, ListCosts, ListPrices, Price, Time, UnpricedResources};

const COLUMNS: Columns<Cost> = Columns {
    name: |c| text(&c.key),
    narrow: &[
        ("key", |c| c.name.as_ref().map_or_else(|| or_none(&c.key), text)),
        ("hours", |c| hours(c.seconds)),
        ("amount", |c| format!("{} {}", output::decimal(c.micros), text(&c.currency))),
    ],
    wide: &[
        ("id", |c| text(&c.key)),
        ("unconfirmed", |c| output::decimal(c.unconfirmed_micros)),
        ("third party", |c| output::decimal(c.third_party_micros)),
    ],
};

/// The columns of costs by service.
const BY_SERVICE: Columns<Cost> = Columns {
    name: COLUMNS.name,
    narrow: &[
        ("service", |c| c.name.as_ref().map_or_else(|| or_none(&c.key), text)),
        ("hours", |c| hours(c.seconds)),
        ("amount", |c| format!("{} {}", output::decimal(c.micros), text(&c.currency))),
        ("tokens", |c| opt(c.tokens)),
        ("per 1M tokens", |c| opt(c.micros_per_million_tokens.map(output::decimal))),
        ("idle", |c| opt(c.idle_micros.map(output::decimal))),
    ],
    wide: COLUMNS.wide,
};

const PRICES: Columns<Price> = Columns {
    name: |p| text(&p.sku),
    narrow: &[
        ("name", |p| text(&p.sku)),
        ("zone", |p| text(&p.zone)),
        ("per hour", |p| format!("{} {}", nanos(p.hourly_nanos), text(&p.currency))),
        ("unit", |p| text(&p.unit)),
        ("read", |p| output::age(p.read_at)),
    ],
    wide: &[("since", |p| opt(p.since)), ("until", |p| opt(p.until)), ("source", |p| text(&p.source))],
};

pub(crate) async fn run(args: CostArgs, output: Output) -> Result<(), Failure> {
    let client = Client::connect(&args.connection)?;
    let now = Timestamp(jiff::Timestamp::now().as_microsecond());
    let query = ListCosts {
        from: args.from.map(|w| Time(w.at(now))),
        to: args.to.map(|w| Time(w.at(now))),
        group_by: (!args.focus).then_some(args.by),
        account: args.account.name(),
        instance: args.instance,
        service: args.service,
    };
    if args.focus {
        output::print(client.text("/costs/focus", &query).await?.trim_end());
        return Ok(());
    }
    let costs: Costs = client.get("/costs", &query).await?;
    if args.csv {
        output::print(&csv(&costs.items)?);
        return Ok(());
    }
    match output {
        Output::Json | Output::Yaml => output::value(output, &output::json(&costs)),
        Output::Name => costs.items.iter().for_each(|c| output::print(&text(&c.key))),
        Output::Table | Output::Wide => {
            let columns = if args.by == CostGroup::Service { &BY_SERVICE } else { &COLUMNS };
            if !costs.items.is_empty() {
                output::print(&output::table(output, &costs.items, columns));
            }
            output::print(&sum(&costs));
        }
    }
    Ok(())
}

pub(crate) async fn prices(command: PriceCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let PriceCommand::List { account, zone, past } = command;
    let query = ListPrices { account: account.name(), zone, past: past.then_some(true) };
    let items: Vec<Price> = client.all("/prices", &query).await?;
    output::list(output, &items, &PRICES);
    Ok(())
}

/// What is below the table: the sums, and what is not in them.
fn sum(costs: &Costs) -> String {
    let period = format!("{} to {}", costs.from.0, costs.to.0);
    let mut lines: Vec<String> = costs.totals.iter().map(|t| total(t, &period)).collect();
    if lines.is_empty() {
        lines.push(format!("Nothing was charged from {period}"));
    }
    lines.extend(costs.unpriced.iter().map(unpriced));
    lines.join("\n")
}

fn total(t: &CostTotal, period: &str) -> String {
    let mut line =
        format!("{} {} from {period}, at list prices without VAT", output::decimal(t.micros), text(&t.currency));
    if t.unconfirmed_micros > 0 {
        line +=
            &format!("; {} more if creations without a response took effect", output::decimal(t.unconfirmed_micros));
    }
    if t.third_party_micros > 0 {
        line += &format!("; without {} for volumes of third parties", output::decimal(t.third_party_micros));
    }
    line
}

/// A sentence about what no price is known for.
pub(crate) fn unpriced(u: &UnpricedResources) -> String {
    format!("{} resource(s) without a known price, in no sum: {} in {}", u.resources, text(&u.sku), text(&u.zone))
}

/// The names of the fields of a cost, as a header.
const CSV_COLUMNS: [&str; 10] = [
    "key",
    "name",
    "currency",
    "micros",
    "unconfirmed_micros",
    "third_party_micros",
    "seconds",
    "tokens",
    "micros_per_million_tokens",
    "idle_micros",
];

/// With a header, also without rows.
fn csv(items: &[Cost]) -> Result<String, Failure> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    let written = writer.write_record(CSV_COLUMNS).and_then(|()| items.iter().try_for_each(|c| writer.serialize(c)));
    let bytes = written.ok().and_then(|()| writer.into_inner().ok());
    let bytes = bytes.ok_or_else(|| Failure::general("cannot write comma-separated values".to_owned()))?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

fn or_none(key: &str) -> String {
    if key.is_empty() { "(none)".to_owned() } else { text(key) }
}

/// Seconds as hours with two decimals, rounded.
fn hours(seconds: i64) -> String {
    let hundredths = (seconds + 18) / 36;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Billionths as a number without needless zeros.
fn nanos(nanos: i64) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    let short = text.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_hours_are_rounded_as_people_read_them() {
        for (n, wanted) in [(0, "0.00"), (17, "0.00"), (18, "0.01"), (3_600, "1.00"), (5_430, "1.51")] {
            assert_eq!(hours(n), wanted, "{n}");
        }
        for (n, wanted) in [(0, "0.0"), (130_000, "0.00013"), (1_469_916_000, "1.469916"), (60_000_000_000, "60.0")] {
            assert_eq!(nanos(n), wanted, "{n}");
        }
    }

    #[test]
    fn comma_separated_values_have_the_fields_of_a_cost_as_their_header() {
        let cost = Cost {
            key: "a,\"b\"".into(),
            name: None,
            currency: "EUR".into(),
            micros: 1,
            unconfirmed_micros: 2,
            third_party_micros: 3,
            seconds: 4,
            tokens: None,
            micros_per_million_tokens: None,
            idle_micros: None,
        };
        let mut with_header = csv::Writer::from_writer(Vec::new());
        with_header.serialize(&cost).unwrap();
        let wanted = String::from_utf8(with_header.into_inner().unwrap()).unwrap();
        assert_eq!(csv(&[cost]).unwrap(), wanted.trim_end());
        assert_eq!(csv(&[]).unwrap(), wanted.lines().next().unwrap());
    }
}
