//! What commands print: tables and lines for people; JSON, YAML and names for programs.

mod instance;
mod plan;
mod proof;
mod table;

pub(crate) use instance::{addresses, at_the_end, hourly_of_all, instance, note, sizes, storages};
pub(crate) use plan::plan;
pub(crate) use proof::{proof, snapshots};
pub(crate) use table::Columns;

use crate::args::Output;
use inventiv_core::text::legible;
use inventiv_types::Time;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;

/// Prints to standard output; a closed pipe (`| head`) is not an error.
pub(crate) fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints items in the format `output`.
pub(crate) fn list<T: Serialize>(output: Output, items: &[T], columns: &Columns<T>) {
    match output {
        Output::Json | Output::Yaml => value(output, &json(items)),
        Output::Name => items.iter().for_each(|item| print(&(columns.name)(item))),
        Output::Table | Output::Wide => print(&table::table(output, items, columns)),
    }
}

/// Items as a table, as part of something else.
pub(crate) fn table<T>(output: Output, items: &[T], columns: &Columns<T>) -> String {
    table::table(output, items, columns)
}

/// Prints one item as lines, or in the format `output`; `name` is what `--output name` prints.
pub(crate) fn one<T: Serialize>(
    output: Output,
    item: &T,
    name: impl FnOnce(&T) -> String,
    lines: impl FnOnce(&T) -> String,
) {
    match output {
        Output::Json | Output::Yaml => value(output, &json(item)),
        Output::Name => print(&name(item)),
        Output::Table | Output::Wide => print(&lines(item)),
    }
}

/// Prints the result of a command for programs: as YAML if requested, else as JSON.
pub(crate) fn value(output: Output, value: &Value) {
    print(&if output == Output::Yaml { yaml(value).trim_end().to_owned() } else { format!("{value:#}") });
}

/// The JSON of a response, with the keys in alphabetical order.
pub(crate) fn json<T: Serialize + ?Sized>(item: &T) -> Value {
    // Every response was JSON before.
    serde_json::to_value(item).unwrap_or_default()
}

fn yaml(value: &Value) -> String {
    // Every JSON value has a YAML form.
    serde_yaml_ng::to_string(value).unwrap_or_default()
}

/// The word of an enumeration, as the API writes it.
pub(crate) fn word(value: &impl Serialize) -> String {
    json(value).as_str().unwrap_or_default().to_owned()
}

/// A value as text. Some names were given by third parties, so hidden characters are escaped.
pub(crate) fn text(value: impl Display) -> String {
    legible(&value.to_string())
}

/// An optional value as text; `None` as a dash.
pub(crate) fn opt(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

/// The age in one unit: `45s`, `12m`, `3h`, `5d`.
pub(crate) fn age(since: Time) -> String {
    let now = jiff::Timestamp::now().as_microsecond();
    short((now - since.0.0).max(0) / 1_000_000)
}

fn short(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Millionths as a number with four decimals, rounded.
pub(crate) fn decimal(micros: i64) -> String {
    let tenths = micros.saturating_add(50) / 100;
    format!("{}.{:04}", tenths / 10_000, tenths % 10_000)
}

/// Money per hour, from millionths.
pub(crate) fn hourly(micros: i64, currency: &str) -> String {
    format!("{} {currency}/h", decimal(micros))
}

#[cfg(test)]
mod tests;
