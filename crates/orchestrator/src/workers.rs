//! Watches the workers of instances whose servers run: installs them, tells them what is desired, and records what they
//! tell.
//!
//! Calls to workers are idempotent and change nothing in the cloud. So there is no intent to commit before a call: each
//! contact compares what the worker reports with what is desired, and corrects it. The zone's lease decides which replica
//! watches; two that watch at once do no harm.

mod link;

pub use link::{MutualTls, WorkerLink, WorkerSession};

use crate::{Inner, Orchestrator};
use inventiv_core::event_kind::EventKind;
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::Aggregate;
use inventiv_core::status::Status;
use inventiv_core::time::Timestamp;
use inventiv_core::worker::report::Phase;
use inventiv_core::worker::{Contact, ObservedWorker, WorkerDesired, plan};
use inventiv_keyring::secret_context;
use inventiv_store::{Error, LogWrite, Saved, WatchedInstance};
use inventiv_worker_api::client::{ContactError, Responder};
use inventiv_worker_api::message::DesiredRequest;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a worker may wait for news before it answers.
const WAIT: Duration = Duration::from_secs(5);
/// The pause after a contact that failed.
const AGAIN: Duration = Duration::from_secs(1);
/// How often it is looked for instances to watch.
const LOOK: Duration = Duration::from_secs(1);
/// A pause between two contacts that is longer counts as time in which nobody watched, in milliseconds.
const PAUSE_MS: i64 = 60_000;
/// The pause after a contact that succeeded: a worker that answers at once must not keep the control plane busy.
const BREATH: Duration = Duration::from_millis(100);
/// The version of an instance that must be read.
const UNKNOWN: i64 = -1;
/// How many lines of the log of a model that will not answer are kept.
const KEPT_LINES: usize = 200;
/// The maximum length of such a line, in characters.
const LINE_MAX: usize = 500;

/// A task that watches one worker.
struct Watch {
    stop: CancellationToken,
    news: Arc<Notify>,
    /// The status that the instance had when it was last looked at.
    status: Status,
    /// The version that it had then.
    version: Arc<AtomicI64>,
}

impl Watch {
    /// Ends the task; nothing of it is kept.
    fn end(&self) -> bool {
        self.stop.cancel();
        false
    }
}

/// What is remembered between two contacts with one worker.
struct Watched {
    /// Since when it was contacted without a pause, and the last contact.
    since: Timestamp,
    last: Timestamp,
    session: Option<(IpAddr, Box<dyn WorkerSession>)>,
    /// The run and the sequence of the last report.
    heard: Option<(String, u64)>,
    /// Whether the log of the last failure was kept.
    kept_log: bool,
    /// The instance as it was last read, unless it was written since.
    read: Option<Aggregate>,
    /// The newest version that is known of; `None`: it must be read.
    version: Option<Arc<AtomicI64>>,
}

impl Watched {
    fn since(since: Timestamp) -> Self {
        Self { since, last: since, session: None, heard: None, kept_log: false, read: None, version: None }
    }

    /// The instance as it was last read, if it has not changed since, as far as is known. What is recorded by it is
    /// written only if that is so.
    fn read(&mut self) -> Option<Aggregate> {
        let version = self.version.as_ref()?.load(Ordering::Relaxed);
        self.read.take().filter(|agg| agg.instance.version == version)
    }

    /// Notes a contact. After a pause, for instance of a machine that slept, the time counts anew.
    fn contacted(&mut self, now: Timestamp) {
        if now.ms_since(self.last) > PAUSE_MS {
            self.since = now;
        }
        self.last = now;
    }
}

impl Orchestrator {
    /// From now on, the workers of this account's instances are watched over this link.
    pub fn use_workers(&self, link: Arc<dyn WorkerLink>) {
        // A second link is ignored: there is one for the whole life of a process.
        let _ = self.inner.workers.set(link);
    }

    /// Watches until `stop` is cancelled: one task for each worker.
    pub(crate) async fn watch_workers(self, stop: CancellationToken) {
        if self.inner.workers.get().is_none() {
            stop.cancelled().await;
            return;
        }
        let tasks = TaskTracker::new();
        let mut watched: HashMap<InstanceId, Watch> = HashMap::new();
        let mut hints = self.inner.store.hints();
        while !stop.is_cancelled() {
            match self.to_watch().await {
                Ok(found) => {
                    watched.retain(|id, watch| found.contains_key(id) || watch.end());
                    for (id, WatchedInstance { status, version, .. }) in found {
                        let watch = watched.entry(id.clone()).or_insert_with(|| {
                            let version = Arc::new(AtomicI64::new(version));
                            let watch = Watch { stop: stop.child_token(), news: Arc::default(), status, version };
                            let (token, news) = (watch.stop.clone(), watch.news.clone());
                            tasks.spawn(self.clone().watch_worker(id, token, news, watch.version.clone()));
                            watch
                        });
                        watch.version.store(version, Ordering::Relaxed);
                        if std::mem::replace(&mut watch.status, status) != status && status == Status::Draining {
                            watch.news.notify_one();
                        }
                    }
                }
                Err(e) => {
                    // What is known may be old by now: each contact reads the instance again, or stops there.
                    watched.values().for_each(|watch| watch.version.store(UNKNOWN, Ordering::Relaxed));
                    tracing::error!(error = %e, "the database did not respond; retries");
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = hints.next() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        tasks.close();
        let _ = tokio::time::timeout(WAIT, tasks.wait()).await;
    }

    async fn to_watch(&self) -> Result<BTreeMap<InstanceId, WatchedInstance>, Error> {
        let inner = &self.inner;
        let zones = match self.own_zones() {
            Some(zones) => zones,
            None => inner.store.zones(&inner.account).await?,
        };
        let mut ids = BTreeMap::new();
        for zone in zones {
            let found = inner.store.watched(&inner.account, &zone).await?;
            ids.extend(found.into_iter().map(|w| (w.id.clone(), w)));
        }
        Ok(ids)
    }

    /// `news` ends the wait of a contact: something was requested.
    async fn watch_worker(self, id: InstanceId, stop: CancellationToken, news: Arc<Notify>, version: Arc<AtomicI64>) {
        let mut watched = Watched { version: Some(version), ..Watched::since(self.inner.clock.now()) };
        while !stop.is_cancelled() {
            let contact = tokio::select! {
                () = stop.cancelled() => return,
                () = news.notified() => {
                    watched.heard = None;
                    continue;
                }
                contact = self.inner.contact(&id, &mut watched, WAIT) => contact,
            };
            let pause = match contact {
                Ok(true) => BREATH,
                Ok(false) => AGAIN,
                Err(e) => {
                    tracing::error!(instance = %id, error = %e, "the database did not respond; retries");
                    AGAIN
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = news.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Contacts every worker once, without waiting for news: for tests on virtual time.
    ///
    /// Every other contact goes by the instance as it was at the last one, as if the listing were late.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn contact_workers(&self) -> Result<usize, Error> {
        let ids = self.to_watch().await?;
        let mut kept = self.inner.kept.lock().await;
        kept.retain(|id, _| ids.contains_key(id));
        for (id, found) in &ids {
            let (read, was_late) = kept.remove(id).unwrap_or_default();
            let late = read.as_ref().filter(|_| !was_late).map(|agg| agg.instance.version);
            let version = Some(Arc::new(AtomicI64::new(late.unwrap_or(found.version))));
            let mut watched = Watched { read, version, ..Watched::since(Timestamp::default()) };
            watched.last = self.inner.clock.now();
            self.inner.contact(id, &mut watched, Duration::ZERO).await?;
            kept.insert(id.clone(), (watched.read, late.is_some()));
        }
        Ok(ids.len())
    }
}

impl Inner {
    /// One contact with a worker, recorded. `false`: the next one should wait.
    async fn contact(&self, id: &InstanceId, watched: &mut Watched, wait: Duration) -> Result<bool, Error> {
        let Some(link) = self.workers.get() else { return Ok(false) };
        let agg = match watched.read() {
            Some(agg) => agg,
            None => match self.store.instance(id).await? {
                Some(agg) => agg,
                None => return Ok(false),
            },
        };
        let Some(address) = agg.instance.addresses.first().and_then(|a| a.parse::<IpAddr>().ok()) else {
            self.record_contact(agg, watched, Contact::None("the server shows no address".to_owned())).await?;
            return Ok(false);
        };
        let mut session = match watched.session.take() {
            Some((at, session)) if at == address => session,
            _ => {
                watched.heard = None;
                link.connect(id.as_str(), address)
            }
        };
        if agg.instance.status == Status::Draining {
            let contact = drain(session.as_mut()).await;
            self.record_contact(agg, watched, contact).await?;
            watched.session = Some((address, session));
            return Ok(false);
        }
        let wanted = self.wanted(&agg).await?;
        let contact = observe(session.as_mut(), &wanted, watched.heard.as_ref(), wait).await;
        let goes_on = match &contact {
            Contact::None(_) => {
                watched.heard = None;
                false
            }
            Contact::Bootstrap(_) => {
                self.record_contact(agg.clone(), watched, contact).await?;
                let refusal = session.install().await.err().map(|e| e.to_string());
                if let Some(why) = &refusal {
                    tracing::warn!(instance = %id, why, "the worker's program was not installed; retries");
                }
                self.record_contact(agg, watched, Contact::Bootstrap(refusal)).await?;
                watched.session = Some((address, session));
                return Ok(false);
            }
            Contact::Worker { report, current, .. } => {
                watched.heard = Some((report.run_id.clone(), report.sequence));
                let failed = report.phase == Phase::Failed;
                if failed && !watched.kept_log {
                    watched.kept_log = self.keep_log(id, session.as_mut()).await?;
                }
                watched.kept_log &= failed;
                *current
            }
        };
        self.record_contact(agg, watched, contact).await?;
        if goes_on {
            watched.session = Some((address, session));
        }
        Ok(goes_on)
    }

    /// What the worker should do, with the values of its secrets; or why that cannot be told.
    async fn wanted(&self, agg: &Aggregate) -> Result<Result<DesiredRequest, String>, Error> {
        let Some(desired) = WorkerDesired::of(agg, self.provider.profile()) else {
            return Ok(Err("the instance has no model".to_owned()));
        };
        let (mut env, mut versions) = (BTreeMap::new(), Vec::new());
        for (variable, name) in &desired.secrets {
            let Some(row) = self.store.secret(name).await? else {
                return Ok(Err(format!("the secret `{name}` does not exist; store it: inventiv secret set {name}")));
            };
            let Some(link) = self.workers.get() else { continue };
            match link.keyring().open(&secret_context(name), &row.sealed) {
                Ok(value) => {
                    let value = String::from_utf8_lossy(&value).into_owned();
                    if value.chars().any(char::is_control) {
                        let text = format!(
                            "the secret `{name}` contains a line break or another control character, and cannot be an environment variable; store it again: inventiv secret set {name}"
                        );
                        return Ok(Err(text));
                    }
                    env.insert(variable.clone(), value)
                }
                Err(e) => return Ok(Err(format!("the secret `{name}` cannot be opened: {e}"))),
            };
            versions.push(row.updated_at.0);
        }
        Ok(Ok(DesiredRequest::new(desired, env, &versions)))
    }

    /// Keeps the last lines of an engine that failed: its server is deleted soon.
    async fn keep_log(&self, id: &InstanceId, session: &mut dyn WorkerSession) -> Result<bool, Error> {
        let Ok(lines) = session.log(KEPT_LINES).await else { return Ok(false) };
        let lines: Vec<String> =
            lines.iter().map(|l| l.text.chars().filter(|c| !c.is_control()).take(LINE_MAX).collect()).collect();
        self.store.put_engine_log(id, &lines, self.clock.now()).await?;
        Ok(true)
    }

    /// `before` is the instance as it was read before the contact. If it has changed since, and the contact tells
    /// something new, the write shows that, and it is read again.
    async fn record_contact(
        &self,
        mut before: Aggregate,
        watched: &mut Watched,
        contact: Contact,
    ) -> Result<(), Error> {
        let at = self.clock.now();
        watched.contacted(at);
        watched.read = None;
        let seen = ObservedWorker { at, watched_since: watched.since, contact };
        loop {
            let planned = plan(&before, &seen, &self.config.rules.worker);
            if planned.only_waits(&before) {
                watched.read = Some(before);
                return Ok(());
            }
            let writes: Vec<LogWrite> = planned.events.iter().map(|e| self.event(&before, e, seen.at)).collect();
            if matches!(self.store.save(&before, &planned.recorded, &writes, seen.at).await?, Saved::Version(_)) {
                for event in &planned.events {
                    self.count(event.kind, event.failed);
                }
                if !planned.recorded.instance.settled {
                    self.store.tell_change();
                }
                return Ok(());
            }
            match self.store.instance(&before.instance.id).await? {
                Some(again) => before = again,
                None => return Ok(()),
            }
        }
    }

    fn count(&self, kind: EventKind, failed: bool) {
        let outcome = if failed { "error" } else { "ok" };
        metrics::counter!("inventiv_worker_steps_total", "step" => kind.text(), "outcome" => outcome).increment(1);
    }
}

/// Stops new requests for the model, and asks how many are being answered.
async fn drain(session: &mut dyn WorkerSession) -> Contact {
    if let Err(e) = session.drain().await {
        return Contact::None(e.to_string());
    }
    match session.status(None, Duration::ZERO).await {
        Ok(Responder::Worker(report)) => Contact::Worker { report, current: true, refusal: None },
        Ok(Responder::Bootstrap) => Contact::Bootstrap(None),
        Err(e) => Contact::None(e.to_string()),
    }
}

/// Asks a worker, and tells it what is desired if it works on something else.
async fn observe(
    session: &mut dyn WorkerSession,
    wanted: &Result<DesiredRequest, String>,
    heard: Option<&(String, u64)>,
    wait: Duration,
) -> Contact {
    let after = heard.map(|(_, sequence)| *sequence);
    let report = match session.status(after, wait).await {
        Ok(Responder::Worker(report)) => report,
        Ok(Responder::Bootstrap) => return Contact::Bootstrap(None),
        Err(e) => return Contact::None(e.to_string()),
    };
    let request = match wanted {
        Ok(request) => request,
        Err(why) => return Contact::Worker { report, current: false, refusal: Some(why.clone()) },
    };
    if report.desired_id.as_ref() == Some(&request.id) {
        return Contact::Worker { report, current: true, refusal: None };
    }
    match session.put_desired(request).await {
        Ok(()) => {}
        Err(ContactError::Refused(why)) => return Contact::Worker { report, current: false, refusal: Some(why) },
        Err(e) => return Contact::None(e.to_string()),
    }
    match session.status(None, Duration::ZERO).await {
        Ok(Responder::Worker(report)) => {
            let current = report.desired_id.as_ref() == Some(&request.id);
            Contact::Worker { report, current, refusal: None }
        }
        Ok(Responder::Bootstrap) => Contact::Bootstrap(None),
        Err(e) => Contact::None(e.to_string()),
    }
}
