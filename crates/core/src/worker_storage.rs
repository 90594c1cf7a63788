//! The data volume that a model needs, estimated from its id, with the reasons.
//!
//! 150 GB for system, images and caches, plus twice the weights (the download and its unpacked or converted copy),
//! rounded up to 50 GB: a 7B model gets 200 GB, a 70B model 450 GB. The weights are parameters × bits. Both are read
//! from the id as whole tokens. A small table comes first, for well-known ids with a misleading name or without a size.
//! An id without a size gives no recommendation: sizes are not guessed.

mod known;
mod tokens;

use crate::size::GB;
use serde::{Deserialize, Serialize};

/// Space for the system, container images and caches, in GB.
pub const BASE_GB: i64 = 150;
/// The number of copies of the weights that fit.
pub const WEIGHTS_FACTOR: i64 = 2;
/// Recommendations are multiples of this, in GB.
pub const STEP_GB: i64 = 50;

/// The storage format of weights, and the size of one weight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// Its usual name.
    pub name: String,
    /// Hundredths of a bit per parameter, scales included.
    pub bits_per_weight_x100: i64,
}

/// A recommendation with the terms that it was computed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The recommended size, in GB.
    pub data_volume_gb: i64,
    /// Parameters in millions, all experts included.
    pub parameters_millions: i64,
    /// The source of the parameters: a token of the id, or a table entry with its source.
    pub parameters_from: String,
    /// The number of experts and their size, if the id contains them (`8x7B`).
    pub mixture: Option<String>,
    /// The storage format of the weights.
    pub format: Format,
    /// The source of the format.
    pub format_from: String,
    /// Size of the weights in bytes.
    pub weights_bytes: i64,
    /// The constant part in bytes.
    pub base_bytes: i64,
    /// How many times the weights are counted.
    pub weights_factor: i64,
}

/// Recommends a size for a model id such as `Qwen/Qwen2.5-7B-Instruct`; `None`: the id contains no size.
#[must_use]
pub fn recommended_data_volume_gb(model_id: &str) -> Option<Recommendation> {
    let words = tokens::words(model_id);
    let read = tokens::parameters(&words);
    let entry = known::find(&words, read.is_some());
    let (millions, from, mixture) = match (entry, read) {
        (Some(e), Some(read)) if e.published => (read.millions, format!("the name says {}", read.text), read.mixture),
        (Some(e), _) => (e.millions, format!("table: {}", e.source), None),
        (None, Some(read)) => (read.millions, format!("the name says {}", read.text), read.mixture),
        (None, None) => return None,
    };
    let (format, format_from) = match (tokens::format(&words), entry.and_then(|e| e.format)) {
        (Some((format, token)), _) => (format, format!("the name says {token}")),
        (None, Some((name, bits))) => (
            Format { name: name.to_owned(), bits_per_weight_x100: bits },
            "table: the format it is published in".to_owned(),
        ),
        (None, None) => {
            let format = Format { name: "bf16".to_owned(), bits_per_weight_x100: 1600 };
            (format, "the name says nothing, so 16 bits".to_owned())
        }
    };
    // Millions of parameters × hundredths of a bit ÷ 800 = millions of bytes; up to 10^7 millions stay far below 2^63.
    let weights_bytes = millions * format.bits_per_weight_x100 * 1_000_000 / 800;
    let base_bytes = BASE_GB * GB;
    let step = STEP_GB * GB;
    let total = base_bytes + WEIGHTS_FACTOR * weights_bytes;
    Some(Recommendation {
        data_volume_gb: (total + step - 1) / step * STEP_GB,
        parameters_millions: millions,
        parameters_from: from,
        mixture,
        format,
        format_from,
        weights_bytes,
        base_bytes,
        weights_factor: WEIGHTS_FACTOR,
    })
}

/// The words of a model id in lower case, without owner and revision.
pub(crate) fn id_words(model_id: &str) -> Vec<String> {
    tokens::words(model_id)
}

#[cfg(test)]
mod tests;
