//! Whether an account can be worked with: asks the provider, in every zone, for what the control plane depends on.
//!
//! Only reads. See docs/decisions/0020-the-bill-is-asked-for.md.

use crate::Account;
use futures::future::{BoxFuture, join_all};
use inventiv_types::{AccountCheck, Check, CheckSubject};
use std::time::{Duration, Instant};

/// How long a request waits for the provider.
const PATIENCE: Duration = Duration::from_secs(20);
const SUBJECTS: [CheckSubject; 3] = [CheckSubject::Catalogue, CheckSubject::Inventory, CheckSubject::StoragePrices];

/// Asks the provider for one thing in a zone. Says what was found, or what is wrong.
pub type AskCheck = Box<dyn Fn(String, CheckSubject) -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// How an account is checked.
pub struct Checks {
    /// The zones that the control plane works in.
    pub zones: Vec<String>,
    /// How the provider is asked.
    pub ask: AskCheck,
}

/// Asks for everything in every zone at once.
pub(crate) async fn check(account: &Account, how: &Checks) -> AccountCheck {
    let zones = how.zones.iter();
    let questions = zones.flat_map(|zone| SUBJECTS.into_iter().map(move |subject| one(&how.ask, zone, subject)));
    let checks = join_all(questions).await;
    AccountCheck { account_id: account.id.clone(), passed: checks.iter().all(|c| c.passed), checks }
}

async fn one(ask: &AskCheck, zone: &str, subject: CheckSubject) -> Check {
    let began = Instant::now();
    let asked = tokio::time::timeout(PATIENCE, ask(zone.to_owned(), subject)).await;
    let found = asked.unwrap_or_else(|_| Err(format!("no response within {} s", PATIENCE.as_secs())));
    let passed = found.is_ok();
    let (Ok(text) | Err(text)) = found;
    let duration_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    Check { zone: zone.to_owned(), subject, passed, text, duration_ms }
}
