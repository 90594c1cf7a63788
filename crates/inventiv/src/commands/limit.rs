//! `inventiv limit`: what may run and be spent at most.

use crate::args::{Connection, LimitCommand, Output};
use crate::client::Client;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::output::{self, decimal, text};
use inventiv_types::{Limits, LimitsInUse, OnLimit};

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
            on_limit: set.on_limit.or(old.on_limit),
        };
        let is_reached = reached(new.day_micros, shown.day_micros) || reached(new.month_micros, shown.month_micros);
        if new.on_limit == Some(OnLimit::Drain) && is_reached && shown.instances > 0 {
            let question = format!("This terminates every living instance ({}). Set it?", shown.instances);
            confirm(&question, "the limit is reached: this terminates every living instance", set.yes)?;
        }
        shown = client.put("/limits", &new).await?;
    }
    output::one(output, &shown, |_| "limits".to_owned(), lines);
    Ok(())
}

/// Whether so much was spent that a limit is reached.
fn reached(most: Option<i64>, spent: i64) -> bool {
    most.is_some_and(|most| spent >= most)
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
    if l.limits.on_limit == Some(OnLimit::Drain) {
        lines.push("a limit on what is spent terminates every living instance when it is reached".to_owned());
    }
    lines.extend(l.reached.as_ref().map(|why| format!("nothing with a GPU is created now: {}", text(why))));
    lines.join("\n")
}
