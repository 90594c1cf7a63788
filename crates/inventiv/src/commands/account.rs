//! `inventiv account`: provider accounts, and what each still owns.

use crate::args::{AccountCommand, Connection, Output};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, Columns, text};
use inventiv_types::Account;

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
        AccountCommand::Remove { id } => {
            client.delete::<()>(&format!("/accounts/{}", encode(&id))).await?;
            if !output.is_for_programs() {
                output::print(&format!("{id} removed from the list"));
            }
        }
    }
    Ok(())
}
