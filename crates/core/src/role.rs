//! What the holder of a token may do.

use crate::words::words;

words!(
    /// What the holder of a token may do.
    Role {
        /// Read only.
        Reader = "reader",
        /// Everything.
        Operator = "operator",
    }
);

impl Role {
    /// Whether a request with this HTTP method is allowed.
    #[must_use]
    pub fn may(self, method: &str) -> bool {
        self == Self::Operator || matches!(method, "GET" | "HEAD" | "OPTIONS")
    }
}

#[cfg(test)]
mod tests {
    use super::Role;

    #[test]
    fn a_reader_changes_nothing() {
        for (method, reader) in [
            ("GET", true),
            ("HEAD", true),
            ("OPTIONS", true),
            ("POST", false),
            ("PUT", false),
            ("PATCH", false),
            ("DELETE", false),
            ("get", false),
        ] {
            assert_eq!((Role::Reader.may(method), Role::Operator.may(method)), (reader, true), "{method}");
        }
    }
}
