//! Which server types a model fits, for people.

use crate::args::Output;
use crate::output::{self, Columns, text};
use inventiv_types::{FitVerdict, ModelFit, TypeFit};

const FIT: Columns<TypeFit> = Columns {
    name: |t| text(&t.offer.instance_type),
    narrow: &[
        ("type", |t| text(&t.offer.instance_type)),
        ("zone", |t| text(&t.offer.zone)),
        ("EUR/h", |t| output::decimal(t.offer.hourly_micros)),
        ("fits", |t| text(verdict(t))),
        ("needs GB", |t| output::opt(t.terms.as_ref().map(|m| gb(m.needed_bytes)))),
        ("of GB", |t| output::opt(t.terms.as_ref().map(|m| gb(m.usable_bytes)))),
        ("context", |t| output::opt(t.terms.as_ref().map(|m| m.max_context_tokens))),
        ("stock", |t| output::word(&t.offer.availability)),
    ],
    wide: &[("why", |t| text(&t.reason))],
};

/// A table of the types; for a single type, the whole answer.
pub(super) fn show(output: Output, found: &ModelFit, all: bool) {
    if output.is_for_programs() {
        output::one(output, found, |f| text(&f.model_id), |_| String::new());
        return;
    }
    let shown: Vec<TypeFit> =
        found.types.iter().filter(|t| all || t.verdict != FitVerdict::DoesNotFit).cloned().collect();
    if let [only] = found.types.as_slice() {
        let of = &only.offer;
        output::print(&format!(
            "{} on {} in {}: {}",
            text(&found.model_id),
            text(&of.instance_type),
            text(&of.zone),
            verdict(only)
        ));
        for line in std::iter::once(&only.reason).chain(&only.warnings) {
            output::print(&format!("  {}", text(line)));
        }
        return;
    }
    if shown.is_empty() {
        output::print("no type fits; --all shows why, and a smaller model, quantisation or --context needs less");
        return;
    }
    output::list(output, &shown, &FIT);
}

/// The answer in a word. *Maybe*: only the cache, of which the estimate is an upper one, is too large.
fn verdict(fit: &TypeFit) -> &'static str {
    let too_large = fit.terms.as_ref().is_some_and(|t| t.needed_bytes > t.usable_bytes);
    match fit.verdict {
        FitVerdict::Fits if too_large => "maybe",
        FitVerdict::Fits => "yes",
        FitVerdict::DoesNotFit => "no",
        FitVerdict::Unknown => "unknown",
    }
}

/// GB with one decimal place.
fn gb(bytes: i64) -> String {
    let tenths = (bytes + 50_000_000) / 100_000_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}
