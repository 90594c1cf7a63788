//! The last lines of engine, worker and installation.

use inventiv_worker_api::message::{LogLine, LogSource};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// How many lines are kept.
const KEPT: usize = 2_000;
/// The maximum length of a line, in characters: longer ones are cut.
const LINE_MAX: usize = 2_000;

/// The last lines.
pub(crate) struct Log {
    lines: Mutex<VecDeque<LogLine>>,
    last: watch::Sender<u64>,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { lines: Mutex::default(), last: watch::Sender::new(0) }
    }

    /// Adds a line.
    pub(crate) fn add(&self, source: LogSource, text: &str) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let mut lines = self.lines.lock();
        let number = lines.back().map_or(0, |l| l.number) + 1;
        let text: String = text.trim_end().chars().take(LINE_MAX).collect();
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(LogLine { number, at_us: i64::try_from(at).unwrap_or(i64::MAX), source, text });
        drop(lines);
        self.last.send_replace(number);
    }

    /// The lines after a number, at most the last `tail`, from one source or from all.
    pub(crate) fn after(&self, number: u64, tail: usize, source: Option<LogSource>) -> Vec<LogLine> {
        let lines = self.lines.lock();
        let fits = |l: &&LogLine| l.number > number && source.is_none_or(|s| s == l.source);
        let mut found: Vec<LogLine> = lines.iter().rev().filter(fits).take(tail).cloned().collect();
        found.reverse();
        found
    }

    /// The last lines of the engine after a number, as text.
    pub(crate) fn engine_tail(&self, number: u64, tail: usize) -> Vec<String> {
        self.after(number, tail, Some(LogSource::Engine)).into_iter().map(|l| l.text).collect()
    }

    /// The number of the last line.
    pub(crate) fn last(&self) -> u64 {
        *self.last.borrow()
    }

    /// Tells of every new line.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_numbered() {
        let log = Log::new();
        for n in 1..=KEPT + 5 {
            log.add(if n % 2 == 0 { LogSource::Engine } else { LogSource::Worker }, &format!("line {n}\n"));
        }
        let all = log.after(0, usize::MAX, None);
        assert_eq!((all.len(), all[0].number, all[0].text.as_str()), (KEPT, 6, "line 6"));
        let last = log.after(0, 2, Some(LogSource::Engine));
        assert_eq!(last.iter().map(|l| l.number).collect::<Vec<_>>(), [2_002, 2_004]);
        assert!(log.after(2_005, 10, None).is_empty());
        assert_eq!(*log.news().borrow(), 2_005);
    }
}
