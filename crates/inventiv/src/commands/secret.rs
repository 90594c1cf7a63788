//! `inventiv secret`: sets, lists and deletes secrets, and adds a key to the key file.
//!
//! A value is never an argument: other users of the machine see arguments, and shells store them.

use crate::args::{Connection, Output, SecretCommand};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::home;
use crate::output::{self, Columns, text};
use inventiv_keyring::{Keyring, Zeroizing};
use inventiv_types::{PutSecret, SECRET_NAME_RULE, SECRET_VALUE_MAX_BYTES, Secret, SecretValue, is_secret_name};
use serde_json::json;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

const COLUMNS: Columns<Secret> = Columns {
    name: |s| text(&s.name),
    narrow: &[
        ("name", |s| text(&s.name)),
        ("changed", |s| output::age(s.updated_at)),
        ("age", |s| output::age(s.created_at)),
    ],
    wide: &[("changed at", |s| text(s.updated_at))],
};

pub(crate) async fn run(command: SecretCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    match command {
        SecretCommand::RotateKey { key_file } => rotate(key_file.as_deref(), connection, output),
        SecretCommand::List => {
            let secrets: Vec<Secret> = Client::connect(connection)?.all("/secrets", &()).await?;
            output::list(output, &secrets, &COLUMNS);
            Ok(())
        }
        SecretCommand::Set { name, from_file, from_env } => {
            if !is_secret_name(&name) {
                return Err(Failure::refused(format!("the name of a secret {SECRET_NAME_RULE}")));
            }
            let client = Client::connect(connection)?;
            let value = read(&format!("the value of {name}"), from_file, from_env)?;
            let secret: Secret = client.put(&path(&name), &PutSecret { value }).await?;
            output::one(output, &secret, |s| text(&s.name), |s| format!("{} set", text(&s.name)));
            Ok(())
        }
        SecretCommand::Delete { name } => {
            Client::connect(connection)?.delete::<()>(&path(&name)).await?;
            if !output.is_for_programs() {
                output::print(&format!("{} deleted", text(&name)));
            }
            Ok(())
        }
    }
}

fn path(name: &str) -> String {
    format!("/secrets/{}", encode(name))
}

/// A secret text, from where the user said, without one line break at its end.
pub(super) fn read(what: &str, from_file: Option<PathBuf>, from_env: Option<String>) -> Result<SecretValue, Failure> {
    let (place, bytes) = match (from_file, from_env) {
        (Some(file), _) => {
            let shown = file.display().to_string();
            let opened = std::fs::File::open(&file).map_err(|e| unreadable(&shown, &e))?;
            (shown.clone(), limited(opened).map_err(|e| unreadable(&shown, &e))?)
        }
        (None, Some(variable)) => {
            let value = std::env::var_os(&variable)
                .ok_or_else(|| Failure::refused(format!("--from-env: {variable} is not set")))?;
            (variable, Zeroizing::new(value.into_encoded_bytes()))
        }
        (None, None) => {
            let input = std::io::stdin();
            if input.is_terminal() {
                eprintln!("Type {what}, then Enter and Ctrl-D. The terminal shows it.");
            }
            let bytes = limited(input.lock()).map_err(|e| unreadable("standard input", &e))?;
            ("standard input".to_owned(), bytes)
        }
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| Failure::refused(format!("{place}: must be UTF-8 text")))?;
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() || text.len() > SECRET_VALUE_MAX_BYTES {
        return Err(Failure::refused(format!("{place}: must have from 1 to {SECRET_VALUE_MAX_BYTES} bytes")));
    }
    Ok(SecretValue::new(text.to_owned()))
}

/// Reads a little more than the longest value, but no endless input.
fn limited(from: impl Read) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let most = SECRET_VALUE_MAX_BYTES + "\r\n".len() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(most));
    from.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(place: &str, e: &std::io::Error) -> Failure {
    Failure::general(format!("cannot read {place}: {e}"))
}

fn rotate(named: Option<&Path>, connection: &Connection, output: Output) -> Result<(), Failure> {
    let path = home::key_file(named, connection.token_file().as_deref())?;
    let keyring = Keyring::rotate(&path).map_err(|e| Failure::general(e.to_string()))?;
    let (id, file) = (keyring.newest_id(), path.display().to_string());
    match output {
        Output::Json | Output::Yaml => output::value(output, &json!({"key_id": id, "key_file": file})),
        Output::Name => output::print(&id),
        Output::Table | Output::Wide => output::print(&format!(
            "key {id} is now the first of {}. Restart `inventiv serve`: it seals all secrets with the new key",
            text(&file)
        )),
    }
    Ok(())
}
