//! Errors of the key ring, by what must be done about them. None contains a key or a plain text.

/// Why a secret cannot be sealed or opened, or an API key not be created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key file cannot be used as it is.
    #[error("{0}")]
    File(String),
    /// The key that sealed the text is missing: an operator must restore it.
    #[error(
        "{context} was sealed with key `{id}`, which is not in the key file {file}: add that key to the file again, from \
         a backup; without it, the sealed text cannot be opened"
    )]
    UnknownKey {
        /// What the sealed text is for.
        context: String,
        /// The id of the missing key.
        id: String,
        /// The key file.
        file: String,
    },
    /// The sealed text was changed, or was sealed for another context: it must be set again.
    #[error("the sealed text of {context} is damaged or was sealed for something else: set it again")]
    Damaged {
        /// What the sealed text should be for.
        context: String,
    },
    /// The system gives no random bits, or the text is longer than the cipher allows.
    #[error("cannot seal: the system gives no random bits, or the text is too long")]
    Seal,
    /// The system gives no random bits for a new API key.
    #[error("cannot create an API key: the system gives no random bits")]
    Random,
    /// The id of a new API key does not have the form of an id. This is a bug.
    #[error("cannot create an API key: its id must be 26 characters of base 32")]
    KeyId,
}
