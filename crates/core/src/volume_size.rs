//! The rules for the size of a data volume.
//!
//! No model and no request: no volume. A request for 0: no volume. Otherwise the first of: the size forced for all, the
//! request, the model's own setting (0: no volume), the recommendation, the provider's default. If none of these gives
//! a size, the request is refused: with a guessed size, the weights might not fit.

use crate::size::GB;
use crate::worker_storage::recommended_data_volume_gb;

/// The largest block volume, in GB (10 TB).
pub const MAX_GB: i64 = 10_000;

/// The inputs of the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SizeInputs<'a> {
    /// `WORKER_DATA_VOLUME_GB`: forced for all.
    pub forced_gb: Option<i64>,
    /// The size in the request.
    pub requested_gb: Option<i64>,
    /// The model that the instance is for.
    pub model_id: Option<&'a str>,
    /// The size in the model's own setting.
    pub model_gb: Option<i64>,
    /// The default in the provider's settings.
    pub default_gb: Option<i64>,
}

/// A size with the rule that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// In bytes, whole GB; 0: no data volume.
    pub bytes: i64,
    /// The rule, in words.
    pub reason: String,
}

/// Applies the rules; `None`: none of them gives a size. All sizes are whole GB.
#[must_use]
pub fn choose(w: &SizeInputs<'_>) -> Option<Chosen> {
    let of = |gb: i64, reason: String| Some(Chosen { bytes: gb.saturating_mul(GB), reason });
    match (w.requested_gb, w.model_id) {
        (None, None) => return of(0, "no model and no request: no data volume".to_owned()),
        (Some(0), _) => return of(0, "the request says 0: no data volume".to_owned()),
        _ => {}
    }
    if let Some(gb) = w.forced_gb {
        return of(gb, format!("WORKER_DATA_VOLUME_GB forces {gb} GB"));
    }
    if let Some(gb) = w.requested_gb {
        return of(gb, format!("the request says {gb} GB"));
    }
    if let Some(gb) = w.model_gb {
        return of(gb, format!("the model's data_volume_gb says {gb} GB"));
    }
    if let Some(r) = w.model_id.and_then(recommended_data_volume_gb) {
        let text = format!(
            "recommended: {} GB + {} × {} GB of weights ({}, {}), rounded up to {} GB",
            r.base_bytes / GB,
            r.weights_factor,
            crate::size::gb_ceil(r.weights_bytes),
            r.parameters_from,
            r.format.name,
            r.data_volume_gb
        );
        return of(r.data_volume_gb.min(MAX_GB), text);
    }
    w.default_gb.and_then(|gb| of(gb, format!("worker_data_volume_gb_default says {gb} GB")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_takes_precedence_over_the_next_one() {
        let qwen = Some("Qwen/Qwen2.5-7B-Instruct");
        let all = SizeInputs {
            forced_gb: Some(700),
            requested_gb: Some(600),
            model_id: qwen,
            model_gb: Some(500),
            default_gb: Some(300),
        };
        let cases = [
            (all.clone(), 700),
            (SizeInputs { forced_gb: None, ..all.clone() }, 600),
            (SizeInputs { forced_gb: None, requested_gb: None, ..all.clone() }, 500),
            (SizeInputs { model_gb: Some(0), forced_gb: None, requested_gb: None, ..all.clone() }, 0),
            (SizeInputs { model_id: qwen, default_gb: Some(300), ..SizeInputs::default() }, 200),
            (
                SizeInputs { model_id: Some("my-company/our-model"), default_gb: Some(300), ..SizeInputs::default() },
                300,
            ),
            (SizeInputs { requested_gb: Some(0), ..all.clone() }, 0),
            (SizeInputs { forced_gb: Some(700), default_gb: Some(300), ..SizeInputs::default() }, 0),
            (SizeInputs { requested_gb: Some(20), ..SizeInputs::default() }, 20),
        ];
        for (requests, gb) in cases {
            let chosen = choose(&requests);
            assert_eq!(chosen.as_ref().map(|c| c.bytes), Some(gb * GB), "{requests:?}: {chosen:?}");
        }
        let silent = SizeInputs { model_id: Some("my-company/our-model"), ..SizeInputs::default() };
        assert_eq!(choose(&silent), None, "no size is guessed");
    }
}
