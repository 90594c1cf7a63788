//! Database errors, by what operators can do about them.

/// An error of the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened: address, rights, disk.
    #[error("the database cannot be opened: {0}")]
    Open(String),
    /// Its schema was written by a newer version.
    #[error("the database comes from a newer version of this program (schema {0}); run that version or a newer one")]
    Newer(i64),
    /// Its rows were moved to another database.
    #[error("the rows of this database were moved to PostgreSQL by `inventiv migrate`: take that one")]
    Moved,
    /// It is busy, read-only, full or unreachable. Nothing was written.
    #[error("the database does not answer properly: {0}")]
    Unavailable(String),
    /// The connection broke during a write: the write is unconfirmed.
    #[error("the connection to the database broke, and whether this was written is not known: {0}")]
    Doubt(String),
    /// The row exists already.
    #[error("it exists already: {0}")]
    Duplicate(String),
    /// A row holds a value that this version cannot read.
    #[error("a row cannot be read: {0}")]
    Corrupt(String),
}

impl From<sqlx::Error> for Error {
    fn from(e: sqlx::Error) -> Self {
        if let Some(db) = e.as_database_error()
            && db.is_unique_violation()
        {
            return Self::Duplicate(db.message().to_owned());
        }
        Self::Unavailable(e.to_string())
    }
}

/// A column that is missing or unreadable.
pub(crate) fn corrupt(what: &str) -> Error {
    Error::Corrupt(what.to_owned())
}
