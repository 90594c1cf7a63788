//! The types that a model fits, for a refusal to name.

use super::{FitVerdict, fit};
use crate::engine::Engine;
use crate::offer::{Availability, Offer};

/// The cheapest types that a model fits, each in its cheapest zone: at most `most`, without those that are out of stock
/// or at their end of service.
#[must_use]
pub fn cheapest<'a>(
    model_id: &str,
    engine: Engine,
    offers: impl IntoIterator<Item = &'a Offer>,
    most: usize,
) -> Vec<&'a Offer> {
    let in_stock = |o: &&Offer| o.availability != Availability::Shortage;
    let mut chosen: Vec<&Offer> = Vec::new();
    for offer in ranked(model_id, engine, offers).into_iter().filter(in_stock) {
        if chosen.len() == most {
            break;
        }
        if chosen.iter().all(|c| c.instance_type != offer.instance_type) {
            chosen.push(offer);
        }
    }
    chosen
}

/// Every offer that the model fits, in stock or not, the cheapest first, without those at their end of service.
#[must_use]
pub fn ranked<'a>(model_id: &str, engine: Engine, offers: impl IntoIterator<Item = &'a Offer>) -> Vec<&'a Offer> {
    let fits = |offer: &&Offer| {
        let found = fit(model_id, engine, offer);
        // Of a command, only the weights are known.
        match found.verdict {
            FitVerdict::Fits => found.terms.is_some_and(|t| t.needed_bytes <= t.usable_bytes),
            FitVerdict::Unknown => engine.kind.is_opaque() && found.terms.is_some(),
            FitVerdict::DoesNotFit => false,
        }
    };
    let rentable = offers.into_iter().filter(|o| !o.end_of_service && o.gpu_count > 0);
    let mut found: Vec<&Offer> = rentable.filter(fits).collect();
    found.sort_by(|a, b| (a.price.micros, &a.instance_type, &a.zone).cmp(&(b.price.micros, &b.instance_type, &b.zone)));
    found
}
