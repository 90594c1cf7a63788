//! Values as people read them. What returns [`Markup`] contains numbers and times only, never a text that somebody wrote.

use inventiv_types::{Status, Time};
use std::fmt;

/// A value that templates hold directly or by reference.
pub(crate) trait Value<T> {
    fn get(&self) -> T;
}

impl<T: Copy> Value<T> for T {
    fn get(&self) -> T {
        *self
    }
}

impl<T: Copy> Value<T> for &T {
    fn get(&self) -> T {
        **self
    }
}

impl<T: Copy> Value<T> for &&T {
    fn get(&self) -> T {
        ***self
    }
}

/// HTML that needs no escaping.
pub(crate) struct Markup(String);

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Markup {}

/// How a state is shown, besides its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Busy,
    Idle,
    Bad,
}

impl Tone {
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Idle => "idle",
            Self::Bad => "bad",
        }
    }

    /// A sign for those who see no colours.
    const fn sign(self) -> &'static str {
        match self {
            Self::Good => "●",
            Self::Busy => "◐",
            Self::Idle => "○",
            Self::Bad => "▲",
        }
    }
}

/// The tone of an instance's status.
pub(crate) const fn tone(status: Status) -> Tone {
    match status {
        Status::Ready => Tone::Good,
        Status::Stopped | Status::Terminated => Tone::Idle,
        Status::Unavailable | Status::StartupFailed | Status::ProvisioningFailed => Tone::Bad,
        Status::Provisioning
        | Status::Booting
        | Status::Installing
        | Status::Starting
        | Status::Draining
        | Status::Stopping
        | Status::Terminating => Tone::Busy,
    }
}

/// A word of the API with a sign and a colour. Words of the API need no escaping.
pub(crate) fn badge(word: &str, tone: impl Value<Tone>) -> Markup {
    let tone = tone.get();
    let (class, sign, word) = (tone.class(), tone.sign(), words(word));
    Markup(format!("<span class=\"badge {class}\"><span aria-hidden=\"true\">{sign}</span> {word}</span>"))
}

/// The status of an instance.
pub(crate) fn status(status: impl Value<Status>) -> Markup {
    let status = status.get();
    badge(status.text(), tone(status))
}

/// A word of the API as people write it.
pub(crate) fn words(word: &str) -> String {
    word.replace('_', " ").to_lowercase()
}

/// The word that the API writes for a value, as people write it.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_value(value).unwrap_or_default();
    words(json.as_str().unwrap_or("?"))
}

/// An amount or price in millionths of a currency. The browser writes it as its reader is used to.
pub(crate) fn money(micros: impl Value<i64>, currency: &str) -> Markup {
    let micros = micros.get();
    let code: String = currency.chars().filter(char::is_ascii_uppercase).take(3).collect();
    let value = decimal(micros, 6);
    let digits = if micros != 0 && micros.unsigned_abs() < 100_000 { 4 } else { 2 };
    let text = decimal(micros, digits);
    // An instance whose price nobody knows has no currency: browsers cannot format that.
    if code.len() != 3 {
        return Markup(text);
    }
    Markup(format!("<data class=\"money\" value=\"{value}\" data-currency=\"{code}\">{text} {code}</data>"))
}

/// An amount in millionths of a currency, or a dash.
pub(crate) fn money_or_dash(micros: impl Value<Option<i64>>, currency: &str) -> Markup {
    micros.get().map_or_else(|| Markup("–".to_owned()), |micros| money(micros, currency))
}

/// An amount in millionths of a currency, where no element may stand.
pub(crate) fn plain_money(micros: impl Value<i64>, currency: &str) -> String {
    format!("{} {currency}", decimal(micros.get(), 2))
}

/// Millionths as a decimal number, rounded half away from zero.
fn decimal(micros: i64, digits: u32) -> String {
    let unit = 10_u64.pow(6 - digits);
    let rounded = micros.unsigned_abs().saturating_add(unit / 2) / unit;
    let scale = 10_u64.pow(digits);
    let sign = if micros < 0 && rounded > 0 { "-" } else { "" };
    let width = usize::try_from(digits).unwrap_or_default();
    format!("{sign}{}.{:0width$}", rounded / scale, rounded % scale)
}

/// A time; in the browser, in the time zone of its reader.
pub(crate) fn time(time: impl Value<Time>) -> Markup {
    let text = time.get().to_string();
    let minute = text.get(..16).unwrap_or(&text).replace('T', " ");
    let second = text.get(..19).unwrap_or(&text).replace('T', " ");
    Markup(format!("<time datetime=\"{text}\" title=\"{second} UTC\">{minute} UTC</time>"))
}

/// A time, or a dash.
pub(crate) fn time_or_dash(at: impl Value<Option<Time>>) -> Markup {
    at.get().map_or_else(|| Markup("–".to_owned()), time)
}

/// A size in GB, or a dash.
pub(crate) fn gb(size: impl Value<Option<i64>>) -> String {
    size.get().map_or_else(|| "–".to_owned(), |gb| format!("{gb} GB"))
}

/// Sizes in GB, joined.
pub(crate) fn sizes(all: &[Option<i64>]) -> String {
    if all.is_empty() {
        return "–".to_owned();
    }
    let each: Vec<String> = all.iter().map(|s| s.map_or_else(|| "?".to_owned(), |gb| gb.to_string())).collect();
    format!("{} GB", each.join(" + "))
}

/// Bytes in GB with one decimal.
pub(crate) fn bytes(bytes: impl Value<i64>) -> String {
    let tenths = bytes.get().max(0) / 100_000_000;
    format!("{}.{} GB", tenths / 10, tenths % 10)
}

/// A duration in its two largest units.
pub(crate) fn duration(seconds: impl Value<i64>) -> String {
    let s = seconds.get().max(0);
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// A duration in milliseconds, or a dash.
pub(crate) fn milliseconds(ms: impl Value<Option<i64>>) -> String {
    match ms.get() {
        None => "–".to_owned(),
        Some(ms @ ..1_000) => format!("{ms} ms"),
        Some(ms) => duration(ms / 1_000),
    }
}

/// The name of an account, or its id.
pub(crate) fn account(account: &inventiv_types::Account) -> &str {
    account.name.as_deref().unwrap_or(&account.id)
}

/// A text, or a dash.
pub(crate) fn or_dash(text: Option<&String>) -> &str {
    text.map_or("–", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventiv_core::time::Timestamp;

    #[test]
    fn amounts_have_as_many_decimals_as_they_need() {
        for (micros, text) in [
            (0, "0.00 EUR"),
            (1_469_916, "1.47 EUR"),
            (-1_469_916, "-1.47 EUR"),
            (130, "0.0001 EUR"),
            (-1, "0.0000 EUR"),
            (99_999, "0.1000 EUR"),
            (5_000, "0.0050 EUR"),
            (i64::MAX, "9223372036854.78 EUR"),
        ] {
            let shown = money(micros, "EUR").to_string();
            assert!(shown.contains(&format!(">{text}<")), "{micros}: {shown}");
        }
        assert!(money(1_469_916, "EUR").to_string().contains("value=\"1.469916\" data-currency=\"EUR\""));
        assert!(!money(1, "<b>\"").to_string().contains("<b>"));
        assert_eq!(money(0, "").to_string(), "0.00", "no currency is known");
    }

    #[test]
    fn times_and_durations_are_short() {
        let shown = time(Time(Timestamp(1_785_415_994_344_463))).to_string();
        assert!(shown.contains("title=\"2026-07-30 12:53:14 UTC\">2026-07-30 12:53 UTC<"), "{shown}");
        for (seconds, text) in [(-1, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3_660, "1 h 1 min"), (90_000, "1 d 1 h")]
        {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!((milliseconds(None), milliseconds(Some(999))), ("–".to_owned(), "999 ms".to_owned()));
        assert_eq!(milliseconds(Some(61_000)), "1 min 1 s");
    }

    #[test]
    fn sizes_that_are_not_known_are_said() {
        assert_eq!(sizes(&[]), "–");
        assert_eq!(sizes(&[Some(20), None, Some(200)]), "20 + ? + 200 GB");
        assert_eq!((gb(None), gb(Some(200))), ("–".to_owned(), "200 GB".to_owned()));
        assert_eq!((bytes(48_318_382_080), bytes(-5)), ("48.3 GB".to_owned(), "0.0 GB".to_owned()));
    }

    #[test]
    fn every_status_has_a_word_and_a_tone() {
        for s in Status::ALL {
            let shown = status(*s).to_string();
            assert!(shown.contains(&words(s.text())), "{shown}");
        }
        assert_eq!((tone(Status::Ready), tone(Status::Unavailable)), (Tone::Good, Tone::Bad));
    }
}
