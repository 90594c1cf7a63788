//! Ends instances whose time is over, and tells ten minutes before.
//!
//! Every replica of the control plane may do it at any time: what is due is decided from the instance as it is read, and the
//! write is guarded by its version. One that was extended in between is left alone. Services end by their plan.

use crate::{Inner, Orchestrator};
use inventiv_core::event_kind::EventKind;
use inventiv_core::expiry::{self, Due, TOLD_BEFORE_MS};
use inventiv_core::id::{InstanceId, LogId};
use inventiv_core::recorded::Aggregate;
use inventiv_core::request::Request;
use inventiv_core::status::LogStatus;
use inventiv_store::{ActionLog, Error, LogWrite};

/// How many instances a run looks at.
const AT_ONCE: u32 = 200;

impl Orchestrator {
    /// Ends the instances of the account whose time is over, and tells about those whose end is near. Returns how many.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn end_expired(&self) -> Result<usize, Error> {
        let inner = &self.inner;
        let until = inner.clock.now().plus_ms(TOLD_BEFORE_MS);
        let mut changed = 0;
        for id in inner.store.expiring(&inner.account, until, AT_ONCE).await? {
            match inner.expire(&id).await {
                Ok(did) => changed += usize::from(did),
                // One instance must not stop the others.
                Err(e) => tracing::error!(instance = %id, error = %e, "an instance cannot be ended; retries"),
            }
        }
        if changed > 0 {
            inner.store.tell_change();
        }
        Ok(changed)
    }
}

impl Inner {
    async fn expire(&self, id: &InstanceId) -> Result<bool, Error> {
        let mut did = false;
        let now = self.clock.now();
        let change = |agg: &mut Aggregate| {
            did = false;
            let i = &mut agg.instance;
            let (Some(due), Some(at)) = (expiry::due(i, now), i.expires_at) else { return Ok::<_, Error>(Vec::new()) };
            did = true;
            let (kind, text) = match due {
                Due::Tell => {
                    i.expiry_told_at = Some(now);
                    let text = format!("ends at {at}; `inventiv instance extend {id} --ttl 2h` moves that");
                    (EventKind::InstanceExpiresSoon, text)
                }
                Due::End => {
                    // A termination is never refused.
                    let _ = Request::Terminate.apply(i, now);
                    (EventKind::RequestTerminate, format!("its time was over at {at}"))
                }
            };
            tracing::info!(instance = %id, action = kind.text(), "{text}");
            Ok(vec![LogWrite::Open(Box::new(ActionLog {
                details: Some(text),
                status: LogStatus::Completed,
                ended_at: Some(now),
                ..ActionLog::begun(LogId::new(self.ids.draw()), i, kind, now)
            }))])
        };
        self.store.change(id, now, change).await?;
        Ok(did)
    }
}
