//! What went wrong, in one sentence, with the exit code that says of which kind it is.

/// A failure on its way to the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Something went wrong on this side.
    pub(crate) fn general(message: impl Into<String>) -> Self {
        Self::new(1, message)
    }

    /// Nothing has that id.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(3, message)
    }

    /// The server understood and said no.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(4, message)
    }

    /// The server cannot be reached, or cannot serve now.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(5, message)
    }

    /// Whether it may be otherwise in a moment.
    pub(crate) fn is_retryable(&self) -> bool {
        self.code == 5
    }

    /// The instance failed.
    pub(crate) fn instance_failed(message: impl Into<String>) -> Self {
        Self::new(6, message)
    }

    /// It took longer than it was allowed to.
    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Self::new(7, message)
    }

    /// The code of [`Failure::interrupted`], as shells count it.
    pub(crate) const INTERRUPTED: u8 = 130;

    /// Somebody interrupted it (Ctrl-C).
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Self::INTERRUPTED, message)
    }

    /// The demo or the doctor left something in the cloud, or cannot say that it did not.
    pub(crate) fn left_behind(message: impl Into<String>) -> Self {
        Self::new(8, message)
    }
}
