//! Tests of `focus.rs`.

use super::*;

#[test]
fn numbers_are_exact_and_tags_are_an_object() {
    for (value, digits, text) in
        [(0, 6, "0"), (1, 6, "0.000001"), (1_500_000, 6, "1.5"), (60_000_000_000, 9, "60"), (130_000, 9, "0.00013")]
    {
        assert_eq!(decimal(value, digits), text);
    }
    let given = ["team=search".to_owned(), "a=b=c".to_owned(), "plain".to_owned(), "quo\"te".to_owned()];
    assert_eq!(tags(&given), r#"{"a":"b=c","plain":"","quo\"te":"","team":"search"}"#);
    assert_eq!(tags(&[]), "{}");
}
