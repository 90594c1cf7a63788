//! `inventiv limit`: what may run and be spent at most.

use crate::args::{Connection, LimitCommand, Output};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, decimal, text};
use inventiv_types::{Limits, LimitsInUse};

pub(crate) async fn run(command: LimitCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let mut shown: LimitsInUse = client.get("/limits", &()).await?;
    if let LimitCommand::Set(set) = command {
        let old = shown.limits;
        let new = Limits {
            instances: set.instances.map_or(old.instances, |l| l.0),
            gpus: set.gpus.map_or(old.gpus, |l| l.0),
            day_micros: set.per_day.map_or(old.day_micros, |l| l.0),
            month_micros: set.per_month.map_or(old.month_micros, |l| l.0),
            currency: old.currency,
        };
        shown = client.put("/limits", &new).await?;
    }
    output::one(output, &shown, |_| "limits".to_owned(), lines);
    Ok(())
}

fn lines(l: &LimitsInUse) -> String {
    let currency = l.limits.currency.as_deref().map_or_else(String::new, |c| format!(" {}", text(c)));
    let most = |most: Option<i64>, show: fn(i64) -> String| most.map_or_else(|| "no limit".to_owned(), show);
    let count = |n: i64| n.to_string();
    let mut lines = vec![
        format!("instances   {} of {}", l.instances, most(l.limits.instances, count)),
        format!("GPUs        {} of {}", l.gpus, most(l.limits.gpus, count)),
        format!("today       {}{currency} of {}", decimal(l.day_micros), most(l.limits.day_micros, decimal)),
        format!("this month  {}{currency} of {}", decimal(l.month_micros), most(l.limits.month_micros, decimal)),
    ];
    lines.extend(l.reached.as_ref().map(|why| format!("nothing with a GPU is created now: {}", text(why))));
    lines.join("\n")
}
