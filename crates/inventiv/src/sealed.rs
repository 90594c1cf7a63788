//! What is stored sealed, when a control plane starts: the key file must open it, and the newest key seals it again.

use crate::failure::Failure;
use inventiv_core::id::WebhookId;
use inventiv_keyring::webhook::webhook_context;
use inventiv_keyring::{KeyError, Keyring, authority_context, secret_context};
use inventiv_store::{Error, Store};

/// The id of the certificate authority of workers.
pub(crate) const WORKER_AUTHORITY: &str = "worker";
/// The ids of the certificate authorities that a control plane may have.
const AUTHORITIES: [&str; 1] = [WORKER_AUTHORITY];

/// A sealed text of the database.
struct SealedRow {
    kind: Kind,
    name: String,
    sealed: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Authority,
    Secret,
    Webhook,
}

impl SealedRow {
    fn context(&self) -> String {
        match self.kind {
            Kind::Authority => authority_context(&self.name),
            Kind::Secret => secret_context(&self.name),
            Kind::Webhook => webhook_context(&self.name),
        }
    }

    /// Replaces the sealed text; `false`: another replica has changed it since it was read.
    async fn replace(&self, store: &Store, to: &str) -> Result<bool, Error> {
        match self.kind {
            Kind::Authority => store.reseal_authority(&self.name, &self.sealed, to).await,
            Kind::Secret => store.reseal_secret(&self.name, &self.sealed, to).await,
            Kind::Webhook => match WebhookId::parse(&self.name) {
                Some(id) => store.reseal_webhook(&id, &self.sealed, to).await,
                None => Ok(false),
            },
        }
    }
}

/// Checks that the key file opens what is stored, and seals with the newest key what an older one has sealed.
///
/// A secret that cannot be opened is reported and kept: instances must not wait for it. If it is a certificate authority,
/// or if nothing can be opened, it is the wrong key file.
pub(crate) async fn bring_up_to_date(store: &Store, keyring: &Keyring) -> Result<(), Failure> {
    let rows = rows(store).await.map_err(|e| Failure::general(e.to_string()))?;
    let (mut opened, mut resealed) = (0_usize, 0_usize);
    let mut refused: Vec<KeyError> = Vec::new();
    for row in &rows {
        let plain = match keyring.open(&row.context(), &row.sealed) {
            Ok(plain) => plain,
            Err(e) if row.kind == Kind::Authority => return Err(wrong_keys(&e)),
            Err(e) => {
                refused.push(e);
                continue;
            }
        };
        opened += 1;
        if keyring.seals_with_newest(&row.sealed) {
            continue;
        }
        let sealed = keyring.seal(&row.context(), &plain).map_err(|e| Failure::general(e.to_string()))?;
        let written = row.replace(store, &sealed).await.map_err(|e| Failure::general(e.to_string()))?;
        resealed += usize::from(written);
    }
    if let Some(e) = refused.first().filter(|_| opened == 0) {
        return Err(wrong_keys(e));
    }
    for error in refused {
        tracing::warn!(%error, "a secret or webhook cannot be opened");
    }
    if resealed > 0 {
        tracing::info!(resealed, key = keyring.newest_id(), "sealed again with the newest key");
    }
    Ok(())
}

async fn rows(store: &Store) -> Result<Vec<SealedRow>, Error> {
    let mut rows = Vec::new();
    for id in AUTHORITIES {
        let row = store.authority(id).await?;
        rows.extend(row.map(|a| SealedRow { kind: Kind::Authority, name: a.id, sealed: a.sealed_key }));
    }
    let secrets = store.secrets().await?.into_iter();
    rows.extend(secrets.map(|s| SealedRow { kind: Kind::Secret, name: s.name, sealed: s.sealed }));
    let webhooks = store.webhooks().await?.into_iter();
    rows.extend(webhooks.map(|w| SealedRow { kind: Kind::Webhook, name: w.id.to_string(), sealed: w.sealed }));
    Ok(rows)
}

fn wrong_keys(e: &KeyError) -> Failure {
    Failure::refused(format!("the key file does not open what is stored in the database: {e}"))
}

#[cfg(test)]
mod tests;
