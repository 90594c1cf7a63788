//! What can go wrong with a database, by what people can do about it.

/// A database that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened: address, rights, disk.
    #[error("the database cannot be opened: {0}")]
    Open(String),
    /// Its schema was written by a newer version.
    #[error("the database comes from a newer version of this program (schema {0}); run that version or a newer one")]
    Newer(i64),
    /// Its rows went to another database.
    #[error("the rows of this database were moved to PostgreSQL by `inventiv migrate`: take that one")]
    Moved,
    /// It is busy, read-only, full, or gone. Nothing was written.
    #[error("the database does not answer properly: {0}")]
    Unavailable(String),
    /// The connection broke while it was being written: it may have been, or not.
    #[error("the connection to the database broke, and whether this was written is not known: {0}")]
    Doubt(String),
    /// The row exists already.
    #[error("it exists already: {0}")]
    Duplicate(String),
    /// A row holds what this version cannot read.
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

/// A column that should be there and is not, or does not read.
pub(crate) fn corrupt(what: &str) -> Error {
    Error::Corrupt(what.to_owned())
}
