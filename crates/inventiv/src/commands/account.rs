//! `inventiv account`: provider accounts, and what each still owns.

use crate::args::{AccountCommand, Connection, Output};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, Columns, text};
use inventiv_types::{Account, AccountCheck, Check};

const COLUMNS: Columns<Account> = Columns {
    name: |a| text(&a.id),
    narrow: &[
        ("id", |a| text(&a.id)),
        ("in use", |a| if a.in_use { "yes" } else { "no" }.to_owned()),
        ("instances", |a| text(a.instances)),
        ("servers", |a| text(a.servers)),
        ("volumes", |a| text(a.volumes)),
    ],
    wide: &[("since", |a| text(a.created_at))],
};

pub(crate) async fn run(command: AccountCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    match command {
        AccountCommand::List => {
            let accounts: Vec<Account> = client.get("/accounts", &()).await?;
            output::list(output, &accounts, &COLUMNS);
        }
        AccountCommand::Check { id } => return check(&client, id, output).await,
        AccountCommand::Remove { id } => {
            client.delete::<()>(&format!("/accounts/{}", encode(&id))).await?;
            if !output.is_for_programs() {
                output::print(&format!("{id} removed from the list"));
            }
        }
    }
    Ok(())
}

const CHECKS: Columns<Check> = Columns {
    name: |c| format!("{} {}", c.zone, output::word(&c.subject)),
    narrow: &[
        ("zone", |c| text(&c.zone)),
        ("subject", |c| output::word(&c.subject)),
        ("passed", |c| if c.passed { "yes" } else { "no" }.to_owned()),
        ("ms", |c| text(c.duration_ms)),
        ("result", |c| text(&c.text)),
    ],
    wide: &[],
};

async fn check(client: &Client, id: Option<String>, output: Output) -> Result<(), Failure> {
    let ids = match id {
        Some(id) => vec![id],
        None => {
            let accounts: Vec<Account> = client.get("/accounts", &()).await?;
            accounts.into_iter().filter(|a| a.in_use).map(|a| a.id).collect()
        }
    };
    let mut results: Vec<AccountCheck> = Vec::new();
    for id in ids {
        results.push(client.post(&format!("/accounts/{}/check", encode(&id)), &(), None).await?);
    }
    let checks: Vec<Check> = results.iter().flat_map(|r| r.checks.clone()).collect();
    if output.is_for_programs() {
        output::value(output, &output::json(&results));
    } else {
        output::list(output, &checks, &CHECKS);
    }
    let failed = checks.iter().filter(|c| !c.passed).map(|c| format!("{} in {}", output::word(&c.subject), c.zone));
    let failed: Vec<String> = failed.collect();
    if failed.is_empty() { Ok(()) } else { Err(Failure::general(format!("checks failed: {}", failed.join(", ")))) }
}
