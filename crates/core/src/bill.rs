//! The provider's bill, compared with the ledger. Pure.
//!
//! The ledger is what should be billed, from recorded facts at list prices. The bill is what is billed. Where they differ, one
//! of them is wrong, or something exists that nobody recorded.

use crate::ledger::ChargeKind;
use crate::name::CloudName;
use crate::time::Timestamp;
use crate::words::words;
use std::collections::BTreeMap;

words!(
    /// What kind of resource a line of the bill is for.
    BillKind {
        /// A server.
        Server = "server",
        /// A volume on block storage.
        Volume = "volume",
        /// A public IPv4 address.
        Address = "address",
        /// A snapshot.
        Snapshot = "snapshot",
        /// Anything else.
        Other = "other",
    }
);

words!(
    /// How the bill and the ledger agree about a resource.
    BillFinding {
        /// Both have it, and the amounts are about equal.
        Agrees = "agrees",
        /// Both have it, and the amounts differ.
        Differs = "differs",
        /// It is billed, it has a name of this control plane, and the ledger has nothing: it may be a leak.
        NotCounted = "not_counted",
        /// The ledger has it, and it is not billed yet, or not at all.
        NotBilled = "not_billed",
        /// It is billed, and it is somebody else's in the same project.
        NotOurs = "not_ours",
    }
);

/// A line of the bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillLine {
    /// The cloud's id of the resource; empty: not shown.
    pub resource_id: String,
    /// Its name in the cloud.
    pub resource_name: String,
    /// What it is billed by, in the provider's words.
    pub sku: String,
    /// Its kind, as far as the provider's words tell.
    pub kind: BillKind,
    /// The amount without tax, in millionths of the currency.
    pub micros: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// When the billed time ends, as far as it is shown.
    pub until: Option<Timestamp>,
}

/// Why the ledger counted a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedAs {
    /// It is recorded.
    Recorded,
    /// It belongs to a third party: it is known, and not part of a sum.
    ThirdParty,
    /// An audit found it, and no record wants it.
    Orphan,
    /// An audit found it before. Since then it is gone, or an instance adopted it.
    OnceOrphan,
}

/// What the ledger counted for a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The cloud's id; empty: it was never known.
    pub provider_id: String,
    /// Its id in the records.
    pub resource_id: String,
    /// The instance that it belongs to.
    pub instance_id: String,
    /// Its kind.
    pub kind: ChargeKind,
    /// Why it was counted.
    pub why: CountedAs,
    /// The amount at list prices, in millionths of the currency.
    pub micros: i64,
    /// What the bill may have more because it counts whole minutes, in millionths of the currency: a minute for each row of a
    /// server, which is each time that it ran, cut where its class or its price changed.
    pub rounding_micros: i64,
    /// ISO 4217 code; empty: its price is not known.
    pub currency: String,
}

/// One resource in the bill and in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The cloud's id; empty: not known.
    pub provider_id: String,
    /// Its id in the records; `None`: it is not recorded.
    pub resource_id: Option<String>,
    /// The instance that it belongs to.
    pub instance_id: Option<String>,
    /// Its name on the bill; empty: it is not on the bill.
    pub name: String,
    /// Its kind.
    pub kind: BillKind,
    /// What the bill says, in millionths.
    pub billed_micros: i64,
    /// What the ledger says, in millionths.
    pub counted_micros: i64,
    /// What the bill may have more because it counts whole minutes, in millionths.
    pub rounding_micros: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// How they agree.
    pub finding: BillFinding,
}

/// The sums of one kind in one currency, of what is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindSum {
    /// The kind.
    pub kind: BillKind,
    /// ISO 4217 code.
    pub currency: String,
    /// What the bill says, in millionths.
    pub billed_micros: i64,
    /// What the ledger says, in millionths.
    pub counted_micros: i64,
}

/// A bill compared with the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// By kind.
    pub kinds: Vec<KindSum>,
    /// By resource; what may be a leak first, then by the size of the difference.
    pub resources: Vec<Compared>,
    /// What the bill has for others in the same project, by currency, in millionths.
    pub others: BTreeMap<String, i64>,
    /// The end of the last billed time.
    pub billed_until: Option<Timestamp>,
}

/// Until when a bill that is read now can be compared: a provider bills with a delay, so that a month that is not over for some
/// days is compared as far as anything is billed.
#[must_use]
pub fn compared_until(
    (from, to): (Timestamp, Timestamp),
    billed_until: Option<Timestamp>,
    now: Timestamp,
) -> Timestamp {
    if now > to.plus_ms(LATE_MS) { to } else { billed_until.unwrap_or(from).clamp(from, to.min(now)) }
}

impl Comparison {
    /// How many resources have a finding.
    #[must_use]
    pub fn count(&self, finding: BillFinding) -> usize {
        self.resources.iter().filter(|r| r.finding == finding).count()
    }
}

/// How late the last lines of a month may be, in milliseconds.
const LATE_MS: i64 = 3 * 86_400_000;
/// Amounts that differ by less than this agree, in millionths: the provider rounds to cents.
const CENT: i64 = 10_000;
/// Amounts that differ by less than this part of the larger one agree: the times of the provider are not those of the ledger.
const PART: i64 = 100;

/// Identifies a resource in one currency.
type Key = (String, String);

const fn kind_of(kind: ChargeKind) -> BillKind {
    match kind {
        ChargeKind::Server => BillKind::Server,
        ChargeKind::Volume => BillKind::Volume,
        ChargeKind::Address => BillKind::Address,
    }
}

/// Whether the amounts are equal but for rounding.
fn agree(r: &Compared) -> bool {
    let (billed, counted) = (r.billed_micros, r.counted_micros);
    let tolerance = CENT.unsigned_abs().max(billed.unsigned_abs().max(counted.unsigned_abs()) / PART.unsigned_abs());
    // The provider counts whole minutes, the ledger seconds.
    let excess = billed.saturating_sub(counted);
    let unexplained = if excess > 0 { excess.saturating_sub(r.rounding_micros).max(0) } else { excess };
    unexplained.unsigned_abs() <= tolerance
}

/// Compares a bill with the ledger of the same account and time.
///
/// Servers and volumes are compared one by one, by the cloud's id. The bill names an address by an id that the ledger does not
/// have, so addresses are compared in sum only, with those of others in the project. Without the id of the control plane,
/// because nothing was ever recorded, everything that has a name of any control plane counts as its own.
#[must_use]
pub fn compare(control_plane: Option<&str>, lines: &[BillLine], counted: &[Counted]) -> Comparison {
    let mut all: BTreeMap<Key, Compared> = BTreeMap::new();
    let (unpriced, priced): (Vec<&Counted>, Vec<&Counted>) = counted.iter().partition(|c| c.currency.is_empty());
    priced.into_iter().chain(unpriced).for_each(|c| count(&mut all, c));
    let mut addresses: BTreeMap<String, i64> = BTreeMap::new();
    for line in lines {
        if line.kind == BillKind::Address {
            let sum = addresses.entry(line.currency.clone()).or_default();
            *sum = sum.saturating_add(line.micros);
        } else {
            bill(&mut all, line, control_plane);
        }
    }
    conclude(all.into_values().collect(), &addresses, lines.iter().filter_map(|l| l.until).max())
}

fn count(all: &mut BTreeMap<Key, Compared>, c: &Counted) {
    // What has no id in the cloud cannot be on the bill under one.
    let id = if c.provider_id.is_empty() { &c.resource_id } else { &c.provider_id };
    let key = if c.kind == ChargeKind::Address { format!("{id} address") } else { id.clone() };
    // What has no price has no currency: it is the same resource as one that has.
    let known = all.range((key.clone(), String::new())..).next().filter(|((id, _), _)| *id == key);
    let currency = known.filter(|_| c.currency.is_empty()).map_or(&c.currency, |((_, first), _)| first).clone();
    let found = all.entry((key, currency.clone())).or_insert_with(|| Compared {
        provider_id: c.provider_id.clone(),
        resource_id: None,
        instance_id: None,
        name: String::new(),
        kind: kind_of(c.kind),
        billed_micros: 0,
        counted_micros: 0,
        rounding_micros: 0,
        currency,
        finding: BillFinding::NotOurs,
    });
    if matches!(c.why, CountedAs::Recorded | CountedAs::ThirdParty) {
        found.resource_id.get_or_insert_with(|| c.resource_id.clone());
        found.instance_id.get_or_insert_with(|| c.instance_id.clone());
    }
    match (c.why, found.finding) {
        (CountedAs::Recorded, BillFinding::NotOurs) => found.finding = BillFinding::NotBilled,
        // Addresses are compared in sum.
        (CountedAs::Orphan | CountedAs::OnceOrphan, BillFinding::NotOurs) if c.kind == ChargeKind::Address => {
            found.finding = BillFinding::NotBilled;
        }
        // It may have been recorded before: it is a leak.
        (CountedAs::Orphan, _) if c.kind != ChargeKind::Address => found.finding = BillFinding::NotCounted,
        _ => {}
    }
    if c.why != CountedAs::ThirdParty {
        found.counted_micros = found.counted_micros.saturating_add(c.micros);
        found.rounding_micros = found.rounding_micros.saturating_add(c.rounding_micros);
    }
}

fn bill(all: &mut BTreeMap<Key, Compared>, line: &BillLine, control_plane: Option<&str>) {
    let is_ours =
        CloudName::parse(&line.resource_name).is_some_and(|n| control_plane.is_none_or(|id| n.control_plane == id));
    // The bill may write an id with a prefix. Without an id, lines with the same name belong together.
    let id = line.resource_id.rsplit('/').next().unwrap_or_default();
    let key = if id.is_empty() { format!("{} {}", line.kind, line.resource_name) } else { id.to_owned() };
    let unpriced = all.remove(&(key.clone(), String::new()));
    let found = all.entry((key, line.currency.clone())).or_insert_with(|| Compared {
        provider_id: id.to_owned(),
        resource_id: None,
        instance_id: None,
        name: String::new(),
        kind: line.kind,
        billed_micros: 0,
        counted_micros: 0,
        rounding_micros: 0,
        currency: line.currency.clone(),
        finding: BillFinding::NotOurs,
    });
    if let Some(known) = unpriced {
        *found = Compared { currency: line.currency.clone(), ..known };
    }
    found.billed_micros = found.billed_micros.saturating_add(line.micros);
    found.name.clone_from(&line.resource_name);
    match found.finding {
        BillFinding::NotBilled => found.finding = BillFinding::Agrees,
        // It may have had another name before.
        BillFinding::NotOurs if is_ours && found.resource_id.is_none() => found.finding = BillFinding::NotCounted,
        BillFinding::NotOurs | BillFinding::NotCounted | BillFinding::Agrees | BillFinding::Differs => {}
    }
}

/// Judges the amounts, and adds them up.
fn conclude(
    mut resources: Vec<Compared>,
    addresses: &BTreeMap<String, i64>,
    billed_until: Option<Timestamp>,
) -> Comparison {
    let (mut others, mut kinds) = (BTreeMap::<String, i64>::new(), BTreeMap::<(BillKind, String), KindSum>::new());
    let mut add = |kind: BillKind, currency: &str, billed: i64, counted: i64| {
        let empty = KindSum { kind, currency: currency.to_owned(), billed_micros: 0, counted_micros: 0 };
        let sum = kinds.entry((kind, currency.to_owned())).or_insert(empty);
        sum.billed_micros = sum.billed_micros.saturating_add(billed);
        sum.counted_micros = sum.counted_micros.saturating_add(counted);
    };
    for (currency, billed) in addresses {
        add(BillKind::Address, currency, *billed, 0);
    }
    for r in &mut resources {
        if r.finding == BillFinding::NotOurs {
            let sum = others.entry(r.currency.clone()).or_default();
            *sum = sum.saturating_add(r.billed_micros);
            continue;
        }
        if r.finding == BillFinding::Agrees && !agree(r) {
            r.finding = BillFinding::Differs;
        }
        add(r.kind, &r.currency, r.billed_micros, r.counted_micros);
    }
    // An address is compared in sum only, and what costs less than a cent may not be billed.
    resources.retain(|r| {
        // The audit reports an orphan that is not billed yet.
        let is_unbilled = r.finding == BillFinding::NotCounted && r.name.is_empty();
        let is_silent = r.kind == BillKind::Address || r.finding == BillFinding::NotOurs || is_unbilled;
        !is_silent && (r.finding != BillFinding::NotBilled || r.counted_micros > CENT)
    });
    let rank = |r: &Compared| match r.finding {
        BillFinding::NotCounted => 0,
        BillFinding::Differs | BillFinding::NotBilled => 1,
        BillFinding::Agrees | BillFinding::NotOurs => 2,
    };
    resources.sort_by_key(|r| {
        (rank(r), std::cmp::Reverse(r.billed_micros.abs_diff(r.counted_micros)), r.provider_id.clone())
    });
    Comparison { kinds: kinds.into_values().collect(), resources, others, billed_until }
}

#[cfg(test)]
mod tests;
