//! Errors: one sentence each, with an exit code for each kind.

/// An error with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) message: String,
}

impl Failure {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A local error.
    pub(crate) fn general(message: impl Into<String>) -> Self {
        Self::new(1, message)
    }

    /// Nothing has that id.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(3, message)
    }

    /// The request is refused.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(4, message)
    }

    /// The control plane is unreachable or unavailable.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(5, message)
    }

    /// Whether a retry may succeed.
    pub(crate) fn is_retryable(&self) -> bool {
        self.code == 5
    }

    /// The instance failed.
    pub(crate) fn instance_failed(message: impl Into<String>) -> Self {
        Self::new(6, message)
    }

    /// A time-out.
    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Self::new(7, message)
    }

    /// The code of [`Failure::interrupted`], by the convention of shells.
    pub(crate) const INTERRUPTED: u8 = 130;

    /// Interrupted (Ctrl-C).
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Self::INTERRUPTED, message)
    }

    /// Something is left in the cloud, or may be.
    pub(crate) fn left_behind(message: impl Into<String>) -> Self {
        Self::new(8, message)
    }
}
