//! The last lines of engine, worker and installation.

use inventiv_worker_api::message::{LogLine, LogSource};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

/// How many lines are kept.
const KEPT: usize = 2_000;
/// The maximum length of a line, in characters: longer ones are cut.
const LINE_MAX: usize = 2_000;
/// How much of a line without an end is kept, in bytes.
const UNENDED_MAX: usize = 65_536;

/// Reads lines until the end of a stream. A line without an end is cut: an engine may write without one for ever.
pub(crate) async fn read_lines(mut stream: impl AsyncRead + Unpin, mut line: impl FnMut(&str)) {
    let (mut rest, mut chunk) = (Vec::new(), vec![0; 8_192]);
    loop {
        let read = stream.read(&mut chunk).await.unwrap_or(0);
        if read == 0 {
            break;
        }
        rest.extend_from_slice(chunk.get(..read).unwrap_or_default());
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            line(&String::from_utf8_lossy(rest.get(..end).unwrap_or_default()));
            rest.drain(..=end);
        }
        if rest.len() > UNENDED_MAX {
            line(&String::from_utf8_lossy(&rest));
            rest.clear();
        }
    }
    if !rest.is_empty() {
        line(&String::from_utf8_lossy(&rest));
    }
}

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

    #[tokio::test]
    async fn a_line_without_an_end_is_cut() {
        let text = format!("one\ntwo\r\n{}\nlast", "x".repeat(200_000));
        let mut found = Vec::new();
        read_lines(text.as_bytes(), |line| found.push(line.len())).await;
        assert_eq!(found[..2], [3, 4]);
        assert!(found[2..].iter().all(|len| *len <= UNENDED_MAX + 8_192), "{found:?}");
        assert_eq!(found[2..found.len() - 1].iter().sum::<usize>(), 200_000);
    }

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
