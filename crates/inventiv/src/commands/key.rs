//! `inventiv key`: creates, changes, lists and revokes API keys.
//!
//! The value of a key goes to standard output, alone on its line, so that a script can take it; all else that `create`
//! says to people goes to standard error.

use crate::args::{ChangeKeyArgs, Connection, CreateKeyArgs, KeyCommand, Output};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, Columns, opt, text, word};
use inventiv_core::time::Timestamp;
use inventiv_types::{ChangeKey, CreateKey, CreatedKey, Key, Time};

const COLUMNS: Columns<Key> = Columns {
    // Not the name: several keys may have the same.
    name: |k| text(&k.id),
    narrow: &[
        ("name", |k| text(&k.name)),
        ("id", |k| text(&k.id)),
        ("status", |k| word(&k.status)),
        ("last used", |k| opt(k.last_used_at.map(output::age))),
        ("age", |k| output::age(k.created_at)),
    ],
    wide: &[
        ("scopes", |k| if k.scopes.is_empty() { "all".to_owned() } else { text(k.scopes.join(", ")) }),
        ("requests/min", |k| opt(k.requests_per_minute)),
        ("tokens/min", |k| opt(k.tokens_per_minute)),
        ("expires at", |k| opt(k.expires_at)),
        ("revoked at", |k| opt(k.revoked_at)),
    ],
};

pub(crate) async fn run(command: KeyCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    match command {
        KeyCommand::Create(new) => create(new, &client, output).await?,
        KeyCommand::Update(change) => update(change, &client, output).await?,
        KeyCommand::List => {
            let keys: Vec<Key> = client.all("/keys", &()).await?;
            output::list(output, &keys, &COLUMNS);
        }
        KeyCommand::Revoke { key } => {
            client.delete::<()>(&format!("/keys/{}", encode(&key))).await?;
            if !output.is_for_programs() {
                output::print(&format!("{} revoked", text(&key)));
            }
        }
    }
    Ok(())
}

async fn create(new: CreateKeyArgs, client: &Client, output: Output) -> Result<(), Failure> {
    let now = Timestamp(jiff::Timestamp::now().as_microsecond());
    let new = CreateKey {
        name: new.name,
        scopes: Some(new.scopes),
        requests_per_minute: new.requests_per_minute,
        tokens_per_minute: new.tokens_per_minute,
        expires_at: new.expires_in_ms.map(|ms| Time(now.plus_ms(ms))),
    };
    let created: CreatedKey = client.post("/keys", &new, None).await?;
    if !output.is_for_programs() {
        eprintln!("{} created; it is shown only once:", text(&created.key.id));
    }
    let value = |created: &CreatedKey| created.value.expose().to_owned();
    output::one(output, &created, value, value);
    Ok(())
}

async fn update(args: ChangeKeyArgs, client: &Client, output: Output) -> Result<(), Failure> {
    let now = Timestamp(jiff::Timestamp::now().as_microsecond());
    let change = ChangeKey {
        name: args.name,
        scopes: if args.all_scopes { Some(Vec::new()) } else { Some(args.scopes).filter(|s| !s.is_empty()) },
        requests_per_minute: args.requests_per_minute.map(|b| b.0),
        tokens_per_minute: args.tokens_per_minute.map(|b| b.0),
        expires_at: args.expires_in_ms.map(|b| b.0.map(|ms| Time(now.plus_ms(ms)))),
    };
    let key: Key = client.patch(&format!("/keys/{}", encode(&args.key)), &change).await?;
    output::one(output, &key, COLUMNS.name, |k| output::table(Output::Wide, std::slice::from_ref(k), &COLUMNS));
    Ok(())
}
