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

#[test]
fn the_header_names_the_fields_in_their_order() {
    let piece = ChargePiece {
        resource_id: "srv-1".into(),
        provider_id: None,
        kind: ChargeKind::Server,
        class: inventiv_core::ledger::ChargeClass::Used,
        sku: "server/A".into(),
        quantity: 1,
        account_id: "acc".into(),
        zone: "z-1".into(),
        instance_id: "ins-1".into(),
        service_id: None,
        model_id: None,
        from: Timestamp(0),
        to: Timestamp(3_600_000_000),
        hourly_nanos: 1_469_916_000,
        currency: "EUR".into(),
        micros: 1_469_916,
    };
    let names = Names { accounts: HashMap::new(), instances: HashMap::new(), tags: HashMap::new() };
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.serialize(focus(&piece, &names)).unwrap();
    let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
    assert_eq!(text.lines().next().unwrap(), inventiv_types::FOCUS_COLUMNS.join(","));
    let row = focus(&piece, &names);
    assert_eq!((row.billed_cost.as_str(), row.pricing_quantity.as_str()), ("1.469916", "1"));
    assert_eq!(row.charge_period_end, "1970-01-01T01:00:00Z");
}
