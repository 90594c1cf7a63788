//! Reads parameters, mixtures and quantisation out of a model id, as whole tokens.
//!
//! `72B` is a size and the `2.5` of `Qwen2.5` is not. `A22B` counts active and `E4B` effective parameters, so that
//! neither is the size. `1M` after a `7B` is a context length, `4T` after a `2B` is training data.

use super::Format;

/// A size in an id.
pub(super) struct Parameters {
    pub(super) millions: i64,
    pub(super) text: String,
    pub(super) mixture: Option<String>,
}

/// The id's tokens in lower case, without owner and revision.
pub(super) fn words(model_id: &str) -> Vec<String> {
    let (rest, quantisation) = model_id.split_once(':').unwrap_or((model_id, ""));
    let repo = rest.split('@').next().unwrap_or_default();
    let name = format!("{}:{quantisation}", repo.rsplit('/').next().unwrap_or_default()).to_ascii_lowercase();
    name.split(['-', '_', ' ', ':', '@', '+']).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

enum Unit {
    Millions,
    Billions,
    Trillions,
}

/// The largest size among the tokens; a smaller unit counts only if there is no size in a larger one.
pub(super) fn parameters(words: &[String]) -> Option<Parameters> {
    let mut found: Vec<(Unit, Parameters)> = Vec::new();
    for (n, word) in words.iter().enumerate() {
        // Training data, not the size of the model: `1.1B-step-50K-105b`, `955k-token-2T`, `300B-tokens`.
        let before = n.checked_sub(1).map_or("", |i| words[i].as_str());
        let after = words.get(n + 1).map_or("", String::as_str);
        let steps = before.strip_suffix('k').is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
        let trained_on = (steps && !found.is_empty()) || is_tokens(before) || is_tokens(after);
        found.extend(size_token(word).filter(|_| !trained_on));
    }
    let largest = |wanted: fn(&Unit) -> bool, least: i64, most: i64| {
        found
            .iter()
            .filter(|(u, p)| wanted(u) && (least..=most).contains(&p.millions))
            .max_by_key(|(_, p)| p.millions)
            .map(|(_, p)| Parameters { millions: p.millions, text: p.text.clone(), mixture: p.mixture.clone() })
    };
    largest(|u| matches!(u, Unit::Billions), 1, 9_999_999)
        .or_else(|| largest(|u| matches!(u, Unit::Trillions), 1_000_000, 9_999_999))
        .or_else(|| largest(|u| matches!(u, Unit::Millions), 10, 999_999))
}

fn is_tokens(word: &str) -> bool {
    matches!(word, "token" | "tokens" | "toks")
}

fn size_token(word: &str) -> Option<(Unit, Parameters)> {
    // One family writes 7.1B as `7b1`.
    if let Some((whole, tenth)) = word.split_once('b')
        && !tenth.is_empty()
        && let (Some(w), Some(t)) = (thousandths(whole), thousandths(tenth))
        && tenth.len() == 1
    {
        return Some((Unit::Billions, plain(w + t / 10, word)));
    }
    let (unit, scale) = match word.as_bytes().last()? {
        b'b' => (Unit::Billions, 1_000),
        b't' => (Unit::Trillions, 1_000_000),
        b'm' => (Unit::Millions, 1),
        _ => return None,
    };
    let number = &word[..word.len() - 1];
    if let Some((experts, each)) = number.split_once('x') {
        let count: i64 = experts.parse().ok().filter(|n| (2..=1024).contains(n))?;
        let millions = (count.checked_mul(thousandths(each)?)?).checked_mul(scale)? / 1_000;
        let mixture = Some(format!("{count} experts of {each}{}", &word[word.len() - 1..].to_uppercase()));
        return Some((unit, Parameters { millions, text: word.to_uppercase().replace('X', "x"), mixture }));
    }
    let millions = thousandths(number)?.checked_mul(scale)? / 1_000;
    Some((unit, plain(millions, word)))
}

fn plain(millions: i64, word: &str) -> Parameters {
    Parameters { millions, text: word.to_uppercase(), mixture: None }
}

/// A decimal number in thousandths; `None` for anything that is not all digits with at most one point.
fn thousandths(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| !t.is_empty() && t.len() <= 7 && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let part3: String = part.chars().chain("000".chars()).take(3).collect();
    Some(whole.parse::<i64>().ok()? * 1_000 + part3.parse::<i64>().ok()?)
}

/// The storage format, if a token names one, with that token.
pub(super) fn format(words: &[String]) -> Option<(Format, String)> {
    // Prepared for quantisation, but not quantised.
    if let Some(word) = words.iter().find(|w| matches!(w.as_str(), "unquantized" | "unquantised" | "dequantized")) {
        return Some(named("bf16", 1600, word));
    }
    let parts: Vec<&str> = words.iter().flat_map(|w| w.split('.')).collect();
    // The experts are nearly all of the weights, whatever the format of the others: `MXFP4-Q8`.
    if let Some(mxfp4) = parts.iter().find(|p| **p == "mxfp4").and_then(|p| named_format(p)) {
        return Some(mxfp4);
    }
    if let Some(found) = words.iter().find_map(|w| bits_per_weight(w)) {
        return Some(found);
    }
    // A GGUF level is more precise than the name of a method.
    parts.iter().find_map(|p| gguf_level(p)).or_else(|| {
        // `GPTQ` alone means four bits, `GPTQ-Int8` eight: a token with the bits takes precedence over a method.
        let exact: Vec<_> = parts.iter().filter_map(|p| named_format(p)).collect();
        // `AWQ-INT4`, `bnb-16bit-int4`: the weights have the smallest format.
        let smallest = exact.into_iter().min_by_key(|(f, _)| f.bits_per_weight_x100);
        let method = parts.iter().copied().find(|p| matches!(*p, "awq" | "gptq" | "autoround" | "gguf"));
        smallest.or_else(|| method.map(method_format))
    })
}

fn named(name: &str, bits_x100: i64, token: &str) -> (Format, String) {
    (Format { name: name.to_owned(), bits_per_weight_x100: bits_x100 }, token.to_uppercase())
}

/// Four-bit formats carry scales: half a bit more for groups of 16 to 32, a quarter for MXFP4's blocks of 32.
fn named_format(part: &str) -> Option<(Format, String)> {
    if let Some(found) = bits(part) {
        return Some(found);
    }
    Some(match part {
        "int4" | "w4a16" | "w4a8" | "w4a4" | "w4afp8" | "q4f16" | "nf4" | "int4wo" => named("int4", 450, part),
        "int2" | "int3" | "int5" | "int6" => {
            let n = i64::from(part.as_bytes()[3] - b'0');
            named(part, n * 100 + 50, part)
        }
        "mxfp4" => named("mxfp4", 425, part),
        "mxfp8" => named("mxfp8", 825, part),
        "nvfp4" | "nvfp4a16" | "fp4" => named("nvfp4", 450, part),
        "fp8" | "w8a8fp8" | "f8" | "e4m3" | "fp8dynamic" => named("fp8", 800, part),
        "int8" | "w8a8" | "w8a16" => named("int8", 800, part),
        "bf16" | "fp16" | "f16" => named("bf16", 1600, part),
        "fp32" | "f32" => named("fp32", 3200, part),
        _ => return None,
    })
}

/// `4bit`, `6bit`, `8bits`: below eight, half a bit more for scales.
fn bits(part: &str) -> Option<(Format, String)> {
    let n: i64 = part.strip_suffix("bits").or_else(|| part.strip_suffix("bit"))?.parse().ok()?;
    match n {
        2..=7 => Some(named(&format!("int{n}"), n * 100 + 50, part)),
        8 => Some(named("int8", 800, part)),
        16 => Some(named("bf16", 1600, part)),
        32 => Some(named("fp32", 3200, part)),
        _ => None,
    }
}

/// `4.65bpw`: the mean over all weights.
fn bits_per_weight(word: &str) -> Option<(Format, String)> {
    let x1000 = thousandths(word.strip_suffix("bpw")?)?;
    (1_000..=16_000).contains(&x1000).then(|| named("mixed", x1000 / 10, word))
}

/// The format of a method, if no token contains the bits.
fn method_format(method: &str) -> (Format, String) {
    match method {
        "gguf" => named("gguf (the usual 4-bit level)", 485, method),
        _ => named(&format!("{method} int4"), 450, method),
    }
}

fn gguf_level(part: &str) -> Option<(Format, String)> {
    let level = part.strip_prefix("iq").or_else(|| part.strip_prefix("tq")).or_else(|| part.strip_prefix('q'))?;
    let bits = match level {
        "1" => 200,
        "2" => 300,
        "3" => 390,
        "4" => 485,
        "5" => 570,
        "6" => 660,
        "8" => 850,
        _ => return None,
    };
    Some(named(&format!("gguf q{level}"), bits, part))
}
