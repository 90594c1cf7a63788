//! Commands on alerts and webhooks.

use clap::{Args, Subcommand};
use inventiv_core::alert::AlertKind;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum AlertCommand {
    /// List what you should know or do something about now, the most urgent first.
    #[command(visible_alias = "ls")]
    List,
}

#[derive(Subcommand)]
pub(crate) enum WebhookCommand {
    /// Send alerts that begin from now on to a URL, and show the secret that signs them, once.
    ///
    /// The URL is read from standard input, a file or an environment variable: it may contain a token, and other users of the
    /// machine see arguments.
    Create(CreateWebhookArgs),
    /// List webhooks.
    #[command(visible_alias = "ls")]
    List,
    /// Send a test message, and wait until it is accepted; exit code 4 if it is not.
    Test {
        /// Webhook name or id.
        webhook: String,
    },
    /// List the last messages to a webhook, newest first, and why they were not accepted.
    Deliveries {
        /// Webhook name or id.
        webhook: String,
    },
    /// Delete a webhook; messages that were not delivered are dropped.
    #[command(visible_alias = "rm")]
    Delete {
        /// Webhook name or id.
        webhook: String,
    },
}

#[derive(Args)]
pub(crate) struct CreateWebhookArgs {
    /// Name: 1 to 64 characters of a-z, 0-9, `-` and `_`; the first one is a letter.
    pub(crate) name: String,
    /// Read the URL from this file.
    #[arg(long, value_name = "FILE", conflicts_with = "from_env")]
    pub(crate) from_file: Option<PathBuf>,
    /// Read the URL from this environment variable.
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) from_env: Option<String>,
    /// Send this kind of alert; repeatable; by default all. See docs/ALERTS.md.
    #[arg(long = "kind", value_name = "KIND", value_parser = kind)]
    pub(crate) kinds: Vec<AlertKind>,
}

fn kind(text: &str) -> Result<AlertKind, String> {
    let all = || AlertKind::ALL.iter().filter(|kind| **kind != AlertKind::Test);
    let names = || all().map(|kind| kind.text()).collect::<Vec<_>>().join(", ");
    all().find(|kind| kind.text() == text).copied().ok_or_else(|| format!("must be one of {}", names()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_but_the_test_can_be_named() {
        assert_eq!(kind("orphan.found"), Ok(AlertKind::OrphanFound));
        for wrong in ["test", "orphan", "", "ORPHAN.FOUND"] {
            assert!(kind(wrong).is_err_and(|said| said.contains("limit.used")), "{wrong}");
        }
    }
}
