//! Tests of `agreed.rs`.

use super::*;

fn part(what: &str, size_gb: Option<i64>, is_priced: bool) -> AgreedPart {
    AgreedPart { what: what.into(), size_gb, is_priced, stays: false }
}

fn plan() -> Agreed {
    Agreed {
        parts: vec![part("server", None, true), part("data volume", Some(200), true)],
        hourly_micros: 1_500_000,
        currency: "EUR".into(),
        image: "jammy".into(),
    }
}

#[test]
fn a_plan_holds_until_more_than_its_tolerance_has_moved() {
    let with = |change: &dyn Fn(&mut Agreed)| {
        let mut now = plan();
        change(&mut now);
        plan().moved(&now)
    };
    assert_eq!(with(&|_| {}), Vec::<String>::new());
    assert_eq!(with(&|p| p.hourly_micros = 1_515_000), Vec::<String>::new(), "by 1 %");
    assert_eq!(with(&|p| p.hourly_micros = 1), Vec::<String>::new(), "it fell");
    let dearer = "the price per hour was 1.500000 EUR and is 1.515001 EUR";
    assert_eq!(with(&|p| p.hourly_micros = 1_515_001), [dearer]);
    assert_eq!(with(&|p| p.currency = "USD".into()), ["the currency was EUR and is USD"]);
    assert_eq!(with(&|p| p.parts[1].size_gb = Some(300)), ["data volume had 200 GB and has 300 GB"]);
    assert_eq!(with(&|p| p.parts[1].size_gb = None), ["data volume had 200 GB and has an unknown size"]);
    assert_eq!(with(&|p| p.parts[1].is_priced = false), ["data volume has no known price any more"]);
    assert_eq!(with(&|p| p.parts[1].stays = true), ["data volume stays after the end now"]);
    assert_eq!(with(&|p| p.image = "noble".into()), ["the image was jammy and is noble"]);
    assert_eq!(
        with(&|p| p.parts[0].what = "tape".into()),
        ["server is no longer what would be made", "tape was not planned"]
    );
    assert_eq!(with(&|p| drop(p.parts.pop())), ["data volume is no longer what would be made"]);
    let mut free = plan();
    free.hourly_micros = 0;
    assert_eq!(free.moved(&plan()).len(), 1, "what cost nothing may not cost anything");
}
