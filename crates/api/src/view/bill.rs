//! The bill, as it is shown.

use inventiv_core::bill::{BillFinding, Compared, Comparison};
use inventiv_core::time::Timestamp;
use inventiv_types::{Bill, BillOfOthers, BillSum, BilledResource, Time};

/// How many resources a response lists.
const RESOURCES_MAX: usize = 1_000;

pub(crate) fn bill(account_id: &str, (from, to): (Timestamp, Timestamp), compared: Comparison) -> Bill {
    let not_counted = compared.count(BillFinding::NotCounted);
    let agreed = compared.count(BillFinding::Agrees);
    let more_resources = compared.resources.len().saturating_sub(RESOURCES_MAX);
    let sums = compared.kinds.into_iter().map(|k| BillSum {
        kind: k.kind,
        currency: k.currency,
        billed_micros: k.billed_micros,
        counted_micros: k.counted_micros,
    });
    let others = compared.others.into_iter().map(|(currency, billed_micros)| BillOfOthers { currency, billed_micros });
    Bill {
        account_id: account_id.to_owned(),
        from: Time(from),
        to: Time(to),
        billed_until: compared.billed_until.map(Time),
        not_counted,
        sums: sums.collect(),
        resources: compared.resources.into_iter().take(RESOURCES_MAX).map(resource).collect(),
        more_resources,
        agreed,
        others: others.collect(),
    }
}

fn resource(r: Compared) -> BilledResource {
    BilledResource {
        finding: r.finding,
        kind: r.kind,
        provider_id: r.provider_id,
        resource_id: r.resource_id,
        instance_id: r.instance_id,
        name: r.name,
        billed_micros: r.billed_micros,
        counted_micros: r.counted_micros,
        currency: r.currency,
    }
}
