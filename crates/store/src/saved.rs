//! The result of a guarded write.

/// The result of a guarded write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// Committed; the new version of the row.
    Version(i64),
    /// Another write came in between: nothing was written. Read again.
    Stale,
}
