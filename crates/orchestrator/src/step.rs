//! One instance's step: plan, commit the intents, call, commit the outcomes; repeated while there is something to do.

use crate::park::Asked;
use crate::record;
use crate::{Inner, act::CallReport};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use inventiv_core::action::{Action, Creation};
use inventiv_core::id::InstanceId;
use inventiv_core::observed::Observed;
use inventiv_core::plan::{Context, Plan, plan};
use inventiv_core::progress::{CallResult, record_intent, record_outcome};
use inventiv_core::recorded::{Aggregate, Note};
use inventiv_core::status::NoteCode;
use inventiv_core::time::Timestamp;
use inventiv_store::{ActionLog, Error, LogWrite, Saved};

/// The maximum number of plans from one observation: more than a whole instance life cycle needs.
const ROUNDS_MAX: usize = 24;

/// The maximum number of outcomes per write.
const OUTCOMES_MAX: usize = 16;

/// A finished call, with the line that was opened for it.
type Finished<'a> = (&'a Action, &'a ActionLog, CallReport);

impl Inner {
    /// Does for one instance what this observation allows. Returns the number of calls.
    ///
    /// `first` is the instance as it was just read. If it is out of date, the first write shows that.
    pub(crate) async fn step(&self, first: Aggregate, mut seen: Observed, asked: Asked) -> Result<usize, Error> {
        let id = first.instance.id.clone();
        if first.instance.account_id != self.account {
            tracing::error!(instance = %id, account = first.instance.account_id, "another account's instance is left alone; please report this");
            return Ok(0);
        }
        self.parked.wake(&first);
        let mut known = Some(first);
        let mut calls = 0;
        for _ in 0..ROUNDS_MAX {
            let before = match known.take() {
                Some(known) => known,
                None => match self.store.instance(&id).await? {
                    Some(read) => read,
                    None => return Ok(calls),
                },
            };
            let mut planned = self.plan_for(&before, &seen);
            let again_at = self.look_again_at(&planned, &asked);
            if !planned.recorded.instance.settled {
                planned.recorded.instance.wake_at = again_at;
            }
            if planned.only_waits(&before) {
                if planned.recorded.instance.settled {
                    return Ok(calls);
                }
                self.park(before.instance.version, again_at, planned, seen);
                return Ok(calls);
            }
            if planned.actions.is_empty() {
                let now = self.clock.now();
                let writes: Vec<LogWrite> = planned.events.iter().map(|e| self.event(&before, e, now)).collect();
                match self.store.save(&before, &planned.recorded, &writes, now).await? {
                    Saved::Version(version) => {
                        if !planned.recorded.instance.settled {
                            self.park(version, again_at, planned, seen);
                        }
                        return Ok(calls);
                    }
                    Saved::Stale => continue,
                }
            }
            // The rate budget is acquired before the intent is written: otherwise the intent could expire in the queue.
            for _ in planned.actions.iter().filter(|a| !a.reads()) {
                self.provider.acquire().await;
            }
            self.note_snapshots(&mut planned).await;
            let Some((committed, logs)) = self.commit_intents(&before, planned).await? else { continue };
            calls += logs.len();
            let (current, shown) = self.carry_out(&committed, &logs, &seen).await?;
            for reply in shown {
                match reply {
                    CallResult::Server(s) => seen.refresh_server(*s),
                    CallResult::Volume(v) => seen.refresh_volume(*v),
                    CallResult::Accepted | CallResult::Gone(_) | CallResult::StillThere => {}
                }
            }
            known = Some(current);
        }
        tracing::warn!(instance = %id, "a step needed more plans than expected; continues at the next observation");
        Ok(calls)
    }

    /// The plan for an instance from an observation, now.
    pub(crate) fn plan_for(&self, agg: &Aggregate, seen: &Observed) -> Plan {
        let mut draw = || self.ids.draw();
        let mut cx = self.context(self.clock.now(), &mut draw);
        plan(agg, seen, &mut cx)
    }

    pub(crate) fn context<'a>(&'a self, now: Timestamp, ids: &'a mut dyn FnMut() -> u128) -> Context<'a> {
        let (config, profile) = (&self.config, self.provider.profile());
        Context { now, rules: &config.rules, profile, control_plane: &config.control_plane, ids }
    }

    /// Writes intents and open log lines. `None`: another writer came first; plan again.
    async fn commit_intents(
        &self,
        before: &Aggregate,
        planned: Plan,
    ) -> Result<Option<(Aggregate, Vec<(Action, ActionLog)>)>, Error> {
        let now = self.clock.now();
        let mut after = planned.recorded;
        let mut logs = Vec::with_capacity(planned.actions.len());
        for mut action in planned.actions {
            if let Action::Create(Creation::Server(row)) = &mut action {
                row.intended_at = now;
            } else if let Action::Create(Creation::Volume(row)) = &mut action {
                row.created_at = now;
            }
            record_intent(&mut after, &action, now);
            let log = self.open(&after, &action, now);
            logs.push((action, log));
        }
        let events = planned.events.iter().map(|e| self.event(&after, e, now));
        let opened = logs.iter().map(|(_, log)| LogWrite::Open(Box::new(log.clone())));
        let writes: Vec<LogWrite> = events.chain(opened).collect();
        Ok(match self.store.save(before, &after, &writes, now).await? {
            Saved::Version(version) => {
                after.instance.version = version;
                Some((after, logs))
            }
            Saved::Stale => None,
        })
    }

    /// Makes all calls at once, and records each outcome as it comes. Returns the instance as it is recorded then, and
    /// what the calls have shown.
    async fn carry_out(
        &self,
        committed: &Aggregate,
        logs: &[(Action, ActionLog)],
        seen: &Observed,
    ) -> Result<(Aggregate, Vec<CallResult>), Error> {
        let call = async |(action, log)| (action, log, self.act(committed, action, seen).await);
        let running: FuturesUnordered<_> = logs.iter().map(|(action, log)| call((action, log))).collect();
        let mut finished = running.ready_chunks(OUTCOMES_MAX);
        let mut current = committed.clone();
        let (mut shown, mut failed) = (Vec::new(), None);
        while let Some(outcomes) = finished.next().await {
            for (action, log, done) in &outcomes {
                self.emit(committed, action, log, done);
            }
            // Calls in progress are never dropped: their outcomes must be recorded.
            match self.record_outcomes(current.clone(), &outcomes).await {
                Ok(recorded) => current = recorded,
                Err(e) => failed = Some(e),
            }
            shown.extend(outcomes.into_iter().filter_map(|(_, _, done)| done.shown));
        }
        failed.map_or(Ok((current, shown)), Err)
    }

    async fn record_outcomes(&self, current: Aggregate, outcomes: &[Finished<'_>]) -> Result<Aggregate, Error> {
        let now = self.clock.now();
        let conclusions = |agg: &mut Aggregate| -> Vec<LogWrite> {
            let mut writes = Vec::with_capacity(outcomes.len());
            for (action, log, done) in outcomes {
                let mut draw = || self.ids.draw();
                let mut cx = self.context(now, &mut draw);
                let events = record_outcome(agg, action, &done.outcome, &mut cx);
                writes.push(record::close(log, &done.outcome, done.request_id.as_deref(), now));
                writes.extend(events.iter().map(|e| self.event(agg, e, now)));
            }
            writes
        };
        let mut after = current.clone();
        let writes = conclusions(&mut after);
        if let Saved::Version(version) = self.store.save(&current, &after, &writes, now).await? {
            after.instance.version = version;
            return Ok(after);
        }
        // A request came in meanwhile. The outcome is a fact, and is recorded on top of it.
        let id = &current.instance.id;
        let changed = self.store.change(id, now, |agg| Ok::<_, Error>(conclusions(agg))).await?;
        Ok(changed.unwrap_or(current))
    }

    fn emit(&self, agg: &Aggregate, action: &Action, log: &ActionLog, done: &CallReport) {
        count(action, done.outcome.is_ok(), self.clock.now().ms_since(log.started_at));
        if let Err(e) = &done.outcome {
            let (instance, name) = (&agg.instance.id, action.kind().text());
            tracing::warn!(%instance, action = name, kind = e.kind.text(), error = %e.message, "a provider call failed");
        }
    }

    /// Records a note if not even an observation was possible.
    pub(crate) async fn note(&self, id: &InstanceId, code: NoteCode, text: &str, wait_ms: i64) -> Result<(), Error> {
        let now = self.clock.now();
        let until = now.plus_ms(wait_ms);
        self.store
            .change(id, now, |agg| {
                agg.instance.notes = vec![Note { code, text: text.to_owned(), until: Some(until) }];
                agg.instance.wake_at = until;
                Ok::<_, Error>(Vec::new())
            })
            .await
            .map(|_| ())
    }
}

fn count(action: &Action, ok: bool, ms: i64) {
    let outcome = if ok { "ok" } else { "error" };
    metrics::counter!("inventiv_provider_calls_total", "action" => action.kind().text(), "outcome" => outcome)
        .increment(1);
    #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^52 milliseconds")]
    metrics::histogram!("inventiv_provider_call_seconds", "action" => action.kind().text()).record(ms as f64 / 1000.0);
}
