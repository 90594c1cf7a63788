//! One tick of a run: by one process or several at once, and killed in a call or a commit.

use super::{Run, Step};
use crate::Injection;
use crate::process::Process;
use inventiv_store::{Error, WritePhase};

/// Services are planned, instances get their steps, and workers are contacted: by the process alone, or by others on the same
/// database at the same moment.
async fn at_once_by(process: &Process, processes: u8, resync: bool) -> Result<(), Error> {
    let (first, [second, third]) = (&process.orchestrator, &process.duplicates);
    match processes {
        3 => {
            let (a, b) = tokio::join!(first.reconcile_services(), second.reconcile_services());
            a.and(b)?;
            let (a, b, c) = tokio::join!(first.tick(resync), second.tick(false), third.tick(false));
            let (d, e) = tokio::join!(first.contact_workers(), second.contact_workers());
            a.and(b).and(c).and(d).and(e).map(drop)
        }
        2 => {
            let (a, b, c) = tokio::join!(first.tick(resync), second.tick(false), second.reconcile_services());
            a.and(b)?;
            c?;
            first.contact_workers().await.map(drop)
        }
        _ => {
            first.reconcile_services().await?;
            first.tick(resync).await.and(first.contact_workers().await).map(drop)
        }
    }
}

impl Run {
    /// `false`: the process was killed.
    pub(super) fn tick(&mut self, process: &Process) -> Step<bool> {
        self.counts.ticks += 1;
        let resync = self.rng.u8(..10) == 0;
        let processes = match self.rng.u8(..12) {
            0 => 3,
            1 => 2,
            _ => 1,
        };
        // Kill in a call that takes effect or not, or in a commit; the process never learns the outcome.
        let (before, after) = (self.rng.u8(..60) == 0, self.rng.u8(..60) == 0);
        let (in_commit, late) = (self.rng.u8(..40) == 0, self.rng.u8(..40) == 0);
        let in_calls = self.rng.usize(..12);
        if before || after {
            self.environment.wire.kill_after(in_calls, after);
        } else if late {
            self.environment.wire.inject(in_calls, Injection::Late);
        }
        self.commits.arm(in_commit);
        if in_commit {
            let moment = if self.rng.bool() { WritePhase::Before } else { WritePhase::Committed };
            let seen = if moment == WritePhase::Before { self.commits.begun() } else { self.commits.committed() };
            self.commits.kill_at(seen + self.rng.usize(..4), moment);
        }
        let killed = self.environment.wire.killed();
        let ticked = process.runtime.block_on(async {
            let both = at_once_by(process, processes, resync);
            tokio::select! {
                biased;
                () = killed.notified() => None,
                done = both => Some(done),
            }
        });
        self.environment.wire.spare();
        let in_commit = in_commit && !self.commits.spare();
        self.commits.arm(false);
        match ticked {
            None => {
                self.counts.crashes += 1;
                self.counts.in_commits += usize::from(in_commit);
                self.note(match (in_commit, after) {
                    (true, _) => "killed in a commit".to_owned(),
                    (false, true) => format!("killed in call {in_calls}, which took effect"),
                    (false, false) => format!("killed in call {in_calls}, which had no effect"),
                });
                Ok(false)
            }
            Some(Err(e)) => Err(format!("a tick: {e}")),
            Some(Ok(_)) if self.rng.u8(..50) == 0 => {
                self.counts.crashes += 1;
                self.note("killed between two ticks");
                Ok(false)
            }
            Some(Ok(_)) => Ok(true),
        }
    }

    /// An audit during the run. Whatever fault is active, it must not report the records as rolled back.
    pub(super) fn audit_meanwhile(&mut self, process: &Process) -> Step<()> {
        self.call(process, "POST", "/audit", None)?;
        self.pass(1);
        process.runtime.block_on(process.orchestrator.audit_due()).map_err(|e| e.to_string())?;
        let (_, audit) = self.call(process, "GET", "/audit", None)?;
        let old = audit["zones"].as_array().into_iter().flatten().any(|z| z["records_look_rolled_back"] == true);
        if old { Err(format!("the audit reports the records as rolled back: {audit:#}")) } else { Ok(()) }
    }
}
