//! Tables.

use crate::args::Output;
use comfy_table::{Cell, Color, Table, presets};
use std::io::IsTerminal;

/// The width of a table without a terminal.
pub(super) const WIDTH: usize = 80;
/// The minimum width of a column that is cut.
const CUT_MIN: usize = 12;
/// Replaces the rest of a text that is cut.
pub(super) const REST: char = '…';

/// A column's title, and how it is read from an item.
type Column<T> = (&'static str, fn(&T) -> String);

/// How a kind of resource is listed.
pub(crate) struct Columns<T: 'static> {
    /// What `--output name` prints.
    pub(crate) name: fn(&T) -> String,
    /// Columns that fit a width of 80; the first is cut if they do not.
    pub(crate) narrow: &'static [Column<T>],
    /// Columns that `--output wide` adds.
    pub(crate) wide: &'static [Column<T>],
}

/// The items as a table; [`Output::Wide`] shows all columns.
pub(super) fn table<T>(output: Output, items: &[T], columns: &Columns<T>) -> String {
    let wide = if output == Output::Wide { columns.wide } else { &[] };
    let shown: Vec<&Column<T>> = columns.narrow.iter().chain(wide).collect();
    let titles: Vec<&str> = shown.iter().map(|(title, _)| *title).collect();
    let mut rows: Vec<Vec<String>> = items.iter().map(|i| shown.iter().map(|(_, read)| read(i)).collect()).collect();
    let mut table = Table::new();
    if output == Output::Table {
        cut_first(&mut rows, &titles, table.width().map_or(WIDTH, usize::from));
    }
    table.load_style(presets::NOTHING).set_header(&titles);
    if !is_coloured() {
        table.force_no_tty();
    }
    for row in rows {
        table.add_row(row.into_iter().zip(&titles).map(|(text, title)| cell(title, text)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Cuts the first column to make the rows fit.
fn cut_first(rows: &mut [Vec<String>], titles: &[&str], width: usize) {
    let widest = |n: usize, title: &str| {
        rows.iter().filter_map(|r| r.get(n)).map(|t| t.chars().count()).chain([title.chars().count()]).max()
    };
    let others: usize = titles.iter().enumerate().skip(1).filter_map(|(n, title)| widest(n, title)).sum();
    let gaps = 2 * titles.len().saturating_sub(1);
    let room = width.saturating_sub(others + gaps).max(CUT_MIN);
    for first in rows.iter_mut().filter_map(|r| r.first_mut()).filter(|t| t.chars().count() > room) {
        *first = first.chars().take(room - 1).chain([REST]).collect();
    }
}

/// Whether standard output is a terminal and `NO_COLOR` is not set.
fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

fn cell(title: &str, text: String) -> Cell {
    let colour = match text.as_str() {
        _ if !matches!(title, "status" | "availability") => None,
        "ready" | "attached" | "available" => Some(Color::Green),
        "provisioning_failed" | "failed" | "shortage" => Some(Color::Red),
        "provisioning" | "booting" | "stopping" | "terminating" | "creating" | "attaching" | "detaching"
        | "deleting" | "scarce" => Some(Color::Yellow),
        _ => None,
    };
    let cell = Cell::new(text);
    match colour {
        Some(colour) => cell.fg(colour),
        None => cell,
    }
}
