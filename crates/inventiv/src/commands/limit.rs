//! `inventiv limit`: what may run and be spent at most.

use crate::args::{Connection, LimitCommand, LimitScope as Scope, Output, SetLimits};
use crate::client::{Client, with_query};
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::output::{self, decimal, text};
use inventiv_types::{Limits, LimitsInUse, OfLimit, OnLimit};

pub(crate) async fn run(command: LimitCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    let shown = match command {
        LimitCommand::Show(scope) => return show(&client, scope, output).await,
        LimitCommand::Remove(scope) => return remove(&client, scope, output).await,
        LimitCommand::Set(set) => change(&client, set).await?,
    };
    output::one(output, &shown, |_| "limits".to_owned(), lines);
    Ok(())
}

fn query(scope: Scope) -> OfLimit {
    OfLimit { service: scope.service, tag: scope.tag }
}

/// Without a scope, those on everything, and for people also those on services and tags.
async fn show(client: &Client, scope: Scope, output: Output) -> Result<(), Failure> {
    let is_all = scope.service.is_none() && scope.tag.is_none();
    let shown: LimitsInUse = client.get("/limits", &query(scope)).await?;
    output::one(output, &shown, |_| "limits".to_owned(), lines);
    if is_all && !output.is_for_programs() {
        let scoped: Vec<LimitsInUse> = client.get("/limits/scoped", &()).await?;
        scoped.iter().for_each(|l| output::print(&format!("\n{}", lines(l))));
    }
    Ok(())
}

async fn remove(client: &Client, scope: Scope, output: Output) -> Result<(), Failure> {
    let query = query(scope);
    client.delete::<()>(&with_query("/limits", &query)?).await?;
    if !output.is_for_programs() {
        let what = match (&query.service, &query.tag) {
            (Some(service), _) => format!("service {service}"),
            (None, Some(tag)) => format!("tag {tag}"),
            (None, None) => "everything".to_owned(),
        };
        output::print(&format!("limits on {what} removed"));
    }
    Ok(())
}

async fn change(client: &Client, set: SetLimits) -> Result<LimitsInUse, Failure> {
    let path = with_query("/limits", &query(set.scope))?;
    let shown: LimitsInUse = client.get(&path, &()).await?;
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
        let question =
            format!("This terminates every living instance that it holds for ({}). Set it?", shown.instances);
        confirm(&question, "the limit is reached: this terminates every living instance that it holds for", set.yes)?;
    }
    client.put(&path, &new).await
}

/// Whether so much was spent that a limit is reached.
fn reached(most: Option<i64>, spent: i64) -> bool {
    most.is_some_and(|most| spent >= most)
}

fn lines(l: &LimitsInUse) -> String {
    let currency = l.limits.currency.as_deref().map_or_else(String::new, |c| format!(" {}", text(c)));
    let most = |most: Option<i64>, show: fn(i64) -> String| most.map_or_else(|| "no limit".to_owned(), show);
    let count = |n: i64| n.to_string();
    let begin = match (&l.service, &l.tag) {
        (Some(service), _) => vec![format!("service {}", text(service))],
        (None, Some(tag)) => vec![format!("tag {}", text(tag))],
        (None, None) => Vec::new(),
    };
    let mut lines = begin;
    lines.extend([
        format!("instances   {} of {}", l.instances, most(l.limits.instances, count)),
        format!("GPUs        {} of {}", l.gpus, most(l.limits.gpus, count)),
        format!("today       {}{currency} of {}", decimal(l.day_micros), most(l.limits.day_micros, decimal)),
        format!("this month  {}{currency} of {}", decimal(l.month_micros), most(l.limits.month_micros, decimal)),
    ]);
    if l.limits.on_limit == Some(OnLimit::Drain) {
        lines.push(
            "a limit on what is spent terminates every living instance that it holds for when it is reached".to_owned(),
        );
    }
    lines.extend(l.reached.as_ref().map(|why| format!("nothing with a GPU is created now: {}", text(why))));
    lines.join("\n")
}
