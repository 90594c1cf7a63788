//! Questions before what costs money or deletes.

use crate::failure::Failure;
use std::io::{BufRead, IsTerminal};

/// Asks on a terminal. Anywhere else, the answer must be given beforehand by `--yes`; `why` says what needs it.
pub(crate) fn confirm(question: &str, why: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::refused(format!("{why}: confirm with --yes")));
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::refused("nothing was changed"))
}
