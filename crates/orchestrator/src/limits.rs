//! Ends what runs when a limit on what is spent is reached, where that was asked for.
//!
//! Every replica of the control plane may do it at any time: each end is an ordinary request, guarded by the version of its
//! instance. After a crash, what is left is found again, because the limit is still reached.

use crate::{Inner, Orchestrator};
use inventiv_core::calendar::day_of;
use inventiv_core::event_kind::EventKind;
use inventiv_core::id::{InstanceId, LogId};
use inventiv_core::limits::{LimitScope, Limits, OnLimit, spent_out};
use inventiv_core::recorded::Aggregate;
use inventiv_core::request::Request;
use inventiv_core::status::LogStatus;
use inventiv_store::{ActionLog, Error, LogWrite};

/// How many instances a run ends.
const AT_ONCE: usize = 200;

impl Orchestrator {
    /// Requests the end of the account's instances that a limit on what is spent holds for, if it is reached and says so.
    /// Returns how many.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn drain_by_limit(&self) -> Result<usize, Error> {
        let inner = &self.inner;
        let (mut ended, mut failed) = (0, None);
        for (scope, limits) in inner.store.all_limits().await? {
            if limits.on_limit == OnLimit::Drain && limits.has_money() {
                // One limit must not stop the others.
                match self.drain(&scope, &limits).await {
                    Ok(did) => ended += did,
                    Err(e) => failed = failed.or(Some(e)),
                }
            }
        }
        if ended > 0 {
            inner.store.tell_change();
        }
        failed.map_or(Ok(ended), Err)
    }

    /// The same for one of the limits.
    async fn drain(&self, scope: &LimitScope, limits: &Limits) -> Result<usize, Error> {
        let inner = &self.inner;
        if spent_out(limits, &inner.store.in_use(scope, limits, inner.clock.now()).await?).is_none() {
            return Ok(0);
        }
        let running = inner.store.not_ending(&inner.account, scope, AT_ONCE).await?;
        if running.is_empty() {
            return Ok(0);
        }
        // That may be 30 seconds old. What ends does not come back.
        let summed_at = inner.clock.now();
        let used = inner.store.in_use_exactly(scope, limits, summed_at).await?;
        let Some(why) = spent_out(limits, &used) else { return Ok(0) };
        let mut ended = 0;
        for id in running {
            // Somebody may have raised the limit meanwhile, or a new day may have begun.
            if inner.store.limits(scope).await? != *limits || day_of(inner.clock.now()) != day_of(summed_at) {
                break;
            }
            match inner.end_by_limit(&id, &why).await {
                Ok(did) => ended += usize::from(did),
                // One instance must not stop the others.
                Err(e) => tracing::error!(instance = %id, error = %e, "an instance cannot be ended; retries"),
            }
        }
        Ok(ended)
    }
}

impl Inner {
    async fn end_by_limit(&self, id: &InstanceId, why: &str) -> Result<bool, Error> {
        let mut did = false;
        let now = self.clock.now();
        let change = |agg: &mut Aggregate| {
            let i = &mut agg.instance;
            // A termination is never refused.
            did = Request::Terminate.apply(i, now).unwrap_or(false);
            if !did {
                return Ok::<_, Error>(Vec::new());
            }
            tracing::warn!(instance = %id, "ended by a limit: {why}");
            Ok(vec![LogWrite::Open(Box::new(ActionLog {
                details: Some(format!("ended by a limit: {why}")),
                status: LogStatus::Completed,
                ended_at: Some(now),
                ..ActionLog::begun(LogId::new(self.ids.draw()), i, EventKind::RequestTerminate, now)
            }))])
        };
        self.store.change(id, now, change).await?;
        Ok(did)
    }
}
