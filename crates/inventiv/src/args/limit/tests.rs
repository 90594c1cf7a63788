//! Tests of `limit.rs`.

use super::*;

#[test]
fn an_amount_is_read_to_the_millionth_and_none_is_no_limit() {
    for (text, micros) in [("50", 50_000_000), ("49.90", 49_900_000), ("0", 0), ("0.000001", 1), ("1.5", 1_500_000)] {
        assert_eq!(amount(text), Ok(Limit(Some(micros))), "{text}");
    }
    assert_eq!((amount("none"), count("none"), count("8")), (Ok(Limit(None)), Ok(Limit(None)), Ok(Limit(Some(8)))));
    for text in ["", "-1", "1,5", "1.", ".5", "1.0000001", "1e3", "9999999999", "EUR 5"] {
        assert!(amount(text).is_err() && (text == "1e3" || count(text).is_err()), "{text}");
    }
}
