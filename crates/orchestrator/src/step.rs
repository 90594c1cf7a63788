//! One instance's step: plan, commit the intent, call, commit the outcome; again while there is something to do now.

use crate::record;
use crate::{Inner, act::Done};
use futures::future::join_all;
use inventiv_core::action::Action;
use inventiv_core::id::InstanceId;
use inventiv_core::observed::Observed;
use inventiv_core::plan::{Context, Plan, plan};
use inventiv_core::progress::{Reply, conclude, intend};
use inventiv_core::recorded::{Aggregate, Note};
use inventiv_core::time::Timestamp;
use inventiv_store::{ActionLog, Error, LogWrite, Saved};

/// How many plans one look may serve: more than a whole life needs.
const ROUNDS_MAX: usize = 24;

impl Inner {
    /// Does for one instance what can be done upon this look. Says how many calls that made.
    pub(crate) async fn step(&self, id: &InstanceId, mut seen: Observed) -> Result<usize, Error> {
        let mut calls = 0;
        for _ in 0..ROUNDS_MAX {
            let Some(before) = self.store.instance(id).await? else { return Ok(calls) };
            let planned = self.plan_for(&before, &seen);
            if planned.actions.is_empty() {
                let now = self.clock.now();
                let writes: Vec<LogWrite> = planned.events.iter().map(|e| self.event(&before, e, now)).collect();
                match self.store.save(&before, &planned.recorded, &writes, now).await? {
                    Saved::Version(_) => return Ok(calls),
                    Saved::Stale => continue,
                }
            }
            // The budget is asked before the intent is written: an intent that waits in a queue would grow old.
            for _ in planned.actions.iter().filter(|a| !a.reads()) {
                self.provider.admit().await;
            }
            let Some((committed, logs)) = self.commit_intents(&before, planned).await? else { continue };
            calls += logs.len();
            let done = join_all(logs.iter().map(|(action, log)| self.carry_out(&committed, action, log, &seen))).await;
            for result in done {
                match result? {
                    Some(Reply::Server(s)) => seen.refresh_server(*s),
                    Some(Reply::Volume(v)) => seen.refresh_volume(*v),
                    Some(Reply::Accepted | Reply::Gone(_) | Reply::StillThere) | None => {}
                }
            }
        }
        tracing::warn!(instance = %id, "a step had more to do than any life needs; goes on at the next look");
        Ok(calls)
    }

    /// The plan for an instance upon a look, now.
    pub(crate) fn plan_for(&self, agg: &Aggregate, seen: &Observed) -> Plan {
        let mut draw = || self.ids.draw();
        let mut cx = self.context(self.clock.now(), &mut draw);
        plan(agg, seen, &mut cx)
    }

    fn context<'a>(&'a self, now: Timestamp, ids: &'a mut dyn FnMut() -> u128) -> Context<'a> {
        Context { now, rules: &self.config.rules, control_plane: &self.config.control_plane, ids }
    }

    /// Writes intents and open log lines. `None`: somebody else wrote in between; plan again.
    async fn commit_intents(
        &self,
        before: &Aggregate,
        planned: Plan,
    ) -> Result<Option<(Aggregate, Vec<(Action, ActionLog)>)>, Error> {
        let now = self.clock.now();
        let mut after = planned.recorded;
        let mut logs = Vec::with_capacity(planned.actions.len());
        for mut action in planned.actions {
            if let Action::CreateServer(row) = &mut action {
                row.prepared_at = now;
            } else if let Action::CreateVolume(row) = &mut action {
                row.created_at = now;
            }
            intend(&mut after, &action, now);
            let log = self.open(&after, &action, now);
            logs.push((action, log));
        }
        let events = planned.events.iter().map(|e| self.event(&after, e, now));
        let opened = logs.iter().map(|(_, log)| LogWrite::Open(Box::new(log.clone())));
        let writes: Vec<LogWrite> = events.chain(opened).collect();
        Ok(match self.store.save(before, &after, &writes, now).await? {
            Saved::Version(_) => Some((after, logs)),
            Saved::Stale => None,
        })
    }

    /// One call and the record of its outcome. Gives back what the call has shown.
    async fn carry_out(
        &self,
        committed: &Aggregate,
        action: &Action,
        log: &ActionLog,
        seen: &Observed,
    ) -> Result<Option<Reply>, Error> {
        let Done { outcome, request_id, shown } = self.act(committed, action, seen).await;
        let now = self.clock.now();
        count(action, outcome.is_ok(), now.ms_since(log.started_at));
        if let Err(e) = &outcome {
            tracing::warn!(instance = %committed.instance.id, action = action.log_name(), kind = e.kind.text(), error = %e.message, "a provider call did not succeed");
        }
        let conclusion = |agg: &mut Aggregate| -> Result<Vec<LogWrite>, Error> {
            let mut draw = || self.ids.draw();
            let mut cx = self.context(now, &mut draw);
            let events = conclude(agg, action, &outcome, &mut cx);
            let mut writes = vec![record::close(log, &outcome, request_id.as_deref(), now)];
            writes.extend(events.iter().map(|e| self.event(agg, e, now)));
            Ok(writes)
        };
        self.store.change(&committed.instance.id, now, conclusion).await?;
        Ok(shown)
    }

    /// Tells people why nothing is done, when not even a look was possible.
    pub(crate) async fn note(&self, id: &InstanceId, text: &str, wait_ms: i64) -> Result<(), Error> {
        let now = self.clock.now();
        let until = now.plus_ms(wait_ms);
        self.store
            .change(id, now, |agg| {
                agg.instance.notes = vec![Note { text: text.to_owned(), until: Some(until) }];
                agg.instance.wake_at = until;
                Ok::<_, Error>(Vec::new())
            })
            .await
            .map(|_| ())
    }
}

fn count(action: &Action, ok: bool, ms: i64) {
    let outcome = if ok { "ok" } else { "error" };
    metrics::counter!("inventiv_provider_calls_total", "action" => action.log_name(), "outcome" => outcome)
        .increment(1);
    #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^52 milliseconds")]
    metrics::histogram!("inventiv_provider_call_seconds", "action" => action.log_name()).record(ms as f64 / 1000.0);
}
