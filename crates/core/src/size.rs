//! Sizes: rules use whole GB (10^9 bytes), APIs and tables use bytes.

/// Bytes in one GB.
pub const GB: i64 = 1_000_000_000;

/// Whole GB that hold `bytes`: rounded up, never down.
#[must_use]
pub const fn gb_ceil(bytes: i64) -> i64 {
    let whole = bytes / GB;
    if bytes % GB > 0 { whole + 1 } else { whole }
}

/// The smallest whole number of GB that holds `bytes`, in bytes.
#[must_use]
pub const fn round_up_to_gb(bytes: i64) -> i64 {
    gb_ceil(bytes).saturating_mul(GB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_rounded_up_never_down() {
        for (bytes, gb) in [(0, 0), (1, 1), (GB, 1), (GB + 1, 2), (400 * GB, 400), (400 * GB - 1, 400)] {
            assert_eq!(gb_ceil(bytes), gb, "{bytes}");
            assert_eq!(round_up_to_gb(bytes), gb * GB);
        }
    }
}
