//! Plans, for people.

use super::table::{Columns, table};
use super::{decimal, hourly, opt, text, word};
use crate::args::Output;
use inventiv_types::{InstancePlan, PlanPart};

const PARTS: Columns<PlanPart> = Columns {
    name: |p| word(&p.kind),
    narrow: &[
        ("part", |p| word(&p.kind).replace('_', " ")),
        ("GB", |p| opt(p.size_gb)),
        ("per hour", |p| match p.hourly_micros {
            None => "not known".to_owned(),
            Some(0) => "included".to_owned(),
            Some(micros) => decimal(micros),
        }),
        ("", |p| {
            let stays = p.stays.then(|| "stays after the end".to_owned());
            let all: Vec<String> = stays.into_iter().chain(p.note.as_ref().map(text)).collect();
            all.join("; ")
        }),
    ],
    wide: &[],
};

/// What an instance would be made of, and cost.
pub(crate) fn plan(p: &InstancePlan) -> String {
    let model = p.model_id.as_ref().map_or_else(String::new, |m| format!(" for {}", text(m)));
    let mut lines = vec![
        format!("{} in {}{model}: {}", text(&p.instance_type), text(&p.zone), word(&p.availability)),
        table(Output::Wide, &p.parts, &PARTS),
    ];
    let currency = text(&p.currency);
    let is_known = p.parts.iter().all(|part| part.hourly_micros.is_some());
    lines.push(format!(
        "{}{}, {} for the first hour, {} a day, {} a month of 730 hours; list prices without VAT",
        if is_known { "" } else { "at least " },
        hourly(p.hourly_micros, &currency),
        decimal(p.first_hour_micros),
        decimal(p.daily_micros),
        decimal(p.monthly_micros)
    ));
    if p.staying_monthly_micros > 0 {
        lines.push(format!("after its end, what stays costs {} {currency} a month", decimal(p.staying_monthly_micros)));
    }
    lines.extend(p.expires_at.map(|at| format!("ends by itself at {at}")));
    lines.extend(p.warnings.iter().map(|w| format!("warning: {}", text(w))));
    lines.join("\n")
}
