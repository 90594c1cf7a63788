//! Whether what was planned still holds when it is carried out. Pure.

use crate::quote::{Part, hourly_micros};
use crate::recorded::Spec;
use serde::{Deserialize, Serialize};

/// The price may rise by one part in this many before a plan no longer holds: 1 %.
pub const TOLERANCE: i64 = 100;

/// What a plan promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// What would be made.
    pub parts: Vec<AgreedPart>,
    /// The image that the server boots from; empty: the plan does not say.
    #[serde(default)]
    pub image: String,
    /// The price per hour, in millionths, as far as it was known.
    pub hourly_micros: i64,
    /// ISO 4217 code.
    pub currency: String,
}

/// A part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreedPart {
    /// What it is.
    pub what: String,
    /// Its size in GB; `None`: not known, or no volume.
    pub size_gb: Option<i64>,
    /// Whether its price was known.
    pub is_priced: bool,
    /// Whether it stays, and costs money, after the end.
    #[serde(default)]
    pub stays: bool,
}

impl Agreed {
    /// What the plan of an instance promises.
    #[must_use]
    pub fn of_instance(parts: &[Part], spec: &Spec) -> Self {
        let part = |p: &Part| AgreedPart {
            what: p.kind.text().replace('_', " "),
            size_gb: p.size_gb,
            is_priced: p.hourly_micros.is_some(),
            stays: p.stays,
        };
        Self {
            parts: parts.iter().map(part).collect(),
            hourly_micros: hourly_micros(parts),
            currency: spec.currency.clone(),
            image: spec.image.clone(),
        }
    }

    /// What has moved from this plan to `now`, a sentence each. Empty: the plan holds. A price that fell is no reason.
    #[must_use]
    pub fn moved(&self, now: &Self) -> Vec<String> {
        let mut moved: Vec<String> = self.parts.iter().filter_map(|p| of_part(p, now)).collect();
        let is_new = |p: &&AgreedPart| !self.parts.iter().any(|old| old.what == p.what);
        moved.extend(now.parts.iter().filter(is_new).map(|p| format!("{} was not planned", p.what)));
        if self.image != now.image {
            moved.push(format!("the image was {} and is {}", self.image, now.image));
        }
        let most = self.hourly_micros.saturating_add(self.hourly_micros / TOLERANCE);
        if self.currency != now.currency {
            moved.push(format!("the currency was {} and is {}", self.currency, now.currency));
        } else if now.hourly_micros > most {
            let (before, after) = (money(self.hourly_micros), money(now.hourly_micros));
            moved.push(format!("the price per hour was {before} {0} and is {after} {0}", self.currency));
        }
        moved
    }
}

fn of_part(planned: &AgreedPart, now: &Agreed) -> Option<String> {
    let what = &planned.what;
    let Some(is) = now.parts.iter().find(|p| p.what == *what) else {
        return Some(format!("{what} is no longer what would be made"));
    };
    let gb = |size: Option<i64>| size.map_or_else(|| "an unknown size".to_owned(), |gb| format!("{gb} GB"));
    if is.size_gb != planned.size_gb {
        return Some(format!("{what} had {} and has {}", gb(planned.size_gb), gb(is.size_gb)));
    }
    if is.stays != planned.stays {
        let stays = if is.stays { "stays after the end" } else { "does not stay after the end" };
        return Some(format!("{what} {stays} now"));
    }
    (planned.is_priced && !is.is_priced).then(|| format!("{what} has no known price any more"))
}

fn money(micros: i64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests;
