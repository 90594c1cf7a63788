//! `inventiv session` and `inventiv console`.

use crate::args::{Connection, CreateSessionArgs, Output, SessionCommand};
use crate::client::{Client, encode};
use crate::failure::Failure;
use crate::output::{self, Columns, text, word};
use inventiv_types::{CreateSession, CreatedSession, Role, Session};

const SESSIONS: Columns<Session> = Columns {
    name: |s| text(&s.id),
    narrow: &[
        ("id", |s| text(&s.id)),
        ("name", |s| text(&s.name)),
        ("role", |s| word(&s.role)),
        ("expires at", |s| text(s.expires_at)),
        ("age", |s| output::age(s.created_at)),
    ],
    wide: &[],
};

pub(crate) async fn run(command: SessionCommand, connection: &Connection, output: Output) -> Result<(), Failure> {
    let client = Client::connect(connection)?;
    match command {
        SessionCommand::Create(new) => {
            let created = create(&client, new).await?;
            if !output.is_for_programs() {
                let session = &created.session;
                eprintln!("{} expires at {}; its token is shown only once:", session.id, session.expires_at);
            }
            let token = |created: &CreatedSession| created.token.expose().to_owned();
            output::one(output, &created, token, token);
        }
        SessionCommand::List => {
            let sessions: Vec<Session> = client.all("/sessions", &()).await?;
            output::list(output, &sessions, &SESSIONS);
        }
        SessionCommand::End { session, .. } => {
            let path =
                session.as_ref().map_or_else(|| "/sessions".to_owned(), |id| format!("/sessions/{}", encode(id)));
            client.delete::<()>(&path).await?;
            if !output.is_for_programs() {
                let what = session.map_or_else(|| "every session".to_owned(), text);
                output::print(&format!("{what} has ended"));
            }
        }
    }
    Ok(())
}

/// Prints a link that opens the console.
pub(crate) async fn console(new: CreateSessionArgs, connection: &Connection, output: Output) -> Result<(), Failure> {
    let created = create(&Client::connect(connection)?, new).await?;
    let url = link(&connection.url(), &created);
    if output.is_for_programs() {
        output::value(output, &serde_json::json!({"url": url, "expires_at": created.session.expires_at}));
    } else {
        eprintln!("Whoever has this link is logged in until {}:", created.session.expires_at);
        output::print(&url);
    }
    Ok(())
}

/// The address of the console, for the holder of a session. Browsers send what follows `#` to nobody.
pub(crate) fn link(url: &str, created: &CreatedSession) -> String {
    format!("{}/console/login#{}", url.trim_end_matches('/'), created.token.expose())
}

async fn create(client: &Client, new: CreateSessionArgs) -> Result<CreatedSession, Failure> {
    let role = if new.read_only { Role::Reader } else { Role::Operator };
    client
        .post("/sessions", &CreateSession { name: Some(new.name), role: Some(role), ttl_seconds: new.ttl }, None)
        .await
}
