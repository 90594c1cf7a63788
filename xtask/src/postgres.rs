//! The PostgreSQL of a task: the one that `TEST_DATABASE_URL` names, or a private one.

use private_postgres::{Binaries, Postgres};
use std::process::Command;

/// Fast settings: the data need not survive a power failure.
const FAST: [&str; 5] =
    ["listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300"];

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) about: String,
    binaries: Option<Binaries>,
    _private: Option<Postgres>,
}

impl Server {
    pub(crate) fn start() -> Result<Self, String> {
        if let Ok(url) = std::env::var("TEST_DATABASE_URL") {
            let about = "the one that TEST_DATABASE_URL names".to_owned();
            return Ok(Self { url, about, binaries: Binaries::find(), _private: None });
        }
        let binaries = Binaries::find_or_install()?;
        let private = Postgres::start(&binaries, &FAST)?;
        Ok(Self { url: private.url(), about: binaries.about(), binaries: Some(binaries), _private: Some(private) })
    }

    /// Gives a test command the URL of this PostgreSQL and the binaries to start another one.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.env("TEST_DATABASE_URL", &self.url).env("INVENTIV_TEST_POSTGRES", "required");
        if let Some(binaries) = &self.binaries {
            command.env("PG_BIN", binaries.folder());
        }
    }
}
