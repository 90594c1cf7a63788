//! The change stream: one task polls the database for all streams of this replica, and only while there are any.
//!
//! A stream first reads the changes that its reader missed, then receives those that the task finds. If it falls
//! behind, it reads the database itself again. All events are read from the database, so it does not matter which
//! replica made a change or serves the stream.

use crate::App;
use crate::problem::ApiError;
use crate::routes::instances::shown;
use axum::response::sse::Event;
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::Aggregate;
use inventiv_core::status::Status;
use inventiv_store::{Change, Cursor, InstanceFilter};
use inventiv_types::{InstanceDetail, SnapshotBegins, SnapshotReason};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, watch};

/// How often the database is polled for changes.
const EVERY: Duration = Duration::from_millis(500);
/// How long polling may fail before every stream ends: another replica may reach the database.
const UNREADABLE_MAX: Duration = Duration::from_secs(5);
/// How long a reader may accept no event.
const READER_MAX: Duration = Duration::from_secs(60);
/// The maximum number of open streams of a replica.
pub(crate) const STREAMS_MAX: usize = 256;
/// How many changes are buffered for streams that are behind; a stream that is further behind reads the database.
const KEPT: usize = 256;
/// How many instances are read at once.
const PAGE: u32 = 100;
/// How many events wait for a reader.
const AHEAD: usize = 16;
/// After how many changes that its filter excludes a stream sends its position.
const UNTOLD_MAX: usize = 100;

/// A change, rendered for all streams.
struct Shown {
    place: Cursor,
    instance: InstanceId,
    account_id: String,
    zone: String,
    json: String,
}

/// Which changes a stream contains.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) instance: Option<InstanceId>,
    pub(crate) account_id: Option<String>,
    pub(crate) zone: Option<String>,
}

impl Filter {
    fn is(&self, instance: &InstanceId, account_id: &str, zone: &str) -> bool {
        self.instance.as_ref().is_none_or(|i| i == instance)
            && self.account_id.as_deref().is_none_or(|a| a == account_id)
            && self.zone.as_deref().is_none_or(|z| z == zone)
    }
}

/// The change streams of this replica.
pub(crate) struct Feed {
    reported: broadcast::Sender<Arc<Shown>>,
    /// Whether the polling task runs.
    polling: Mutex<bool>,
    room: Arc<Semaphore>,
    /// Streams read the database one at a time, so that ordinary requests do not wait behind them.
    reading: Semaphore,
    /// Incremented when every stream must end, so that its reader reconnects.
    generation: watch::Sender<u64>,
    closed: watch::Sender<bool>,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            reported: broadcast::channel(KEPT).0,
            polling: Mutex::new(false),
            room: Arc::new(Semaphore::new(STREAMS_MAX)),
            reading: Semaphore::new(1),
            generation: watch::channel(0).0,
            closed: watch::channel(false).0,
        }
    }

    /// Ends every stream and refuses new ones.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// The number of open streams.
    pub(crate) fn streams(&self) -> usize {
        STREAMS_MAX - self.room.available_permits()
    }

    /// Waits until no other stream reads the database.
    async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.reading.acquire().await.ok()
    }

    /// Ends every open stream.
    fn begin_anew(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    fn polling(&self) -> MutexGuard<'_, bool> {
        self.polling.lock()
    }

    /// Subscribes to every change that is committed after `newest` was read; `epoch` was read before `newest`.
    fn listen(&self, app: &App, newest: &Cursor, epoch: u64) -> broadcast::Receiver<Arc<Shown>> {
        let mut polling = self.polling();
        let heard = self.reported.subscribe();
        if !*polling {
            *polling = true;
            tokio::spawn(poll(Poller { app: app.clone(), place: newest.clone(), epoch, seen: Instant::now() }));
        }
        heard
    }

    /// Whether there are no subscribers. If so, the next subscriber starts the polling task again.
    fn stop_if_deserted(&self) -> bool {
        let mut polling = self.polling();
        *polling = self.reported.receiver_count() > 0;
        !*polling
    }
}

/// The task that polls for all streams.
struct Poller {
    app: App,
    /// All changes up to this position were sent.
    place: Cursor,
    epoch: u64,
    /// When the database was last read successfully.
    seen: Instant,
}

/// If the task panics, ends every stream and lets the next stream start the task again.
struct RestartGuard<'a>(Option<&'a Feed>);

impl Drop for RestartGuard<'_> {
    fn drop(&mut self) {
        if let Some(feed) = self.0 {
            *feed.polling() = false;
            feed.begin_anew();
        }
    }
}

/// Polls for changes as long as there are subscribers.
async fn poll(mut poll: Poller) {
    let app = poll.app.clone();
    let feed = &app.inner.feed;
    let mut fuse = RestartGuard(Some(feed));
    while !feed.stop_if_deserted() {
        match poll.once().await {
            Ok(()) => poll.seen = Instant::now(),
            Err(e) if poll.seen.elapsed() > UNREADABLE_MAX => {
                if feed.streams() > 0 {
                    tracing::warn!(error = %e, "change streams end: the database cannot be read");
                }
                feed.begin_anew();
            }
            Err(e) => tracing::debug!(error = %e, "changes cannot be read; tries again"),
        }
        tokio::time::sleep(EVERY).await;
    }
    fuse.0 = None;
}

impl Poller {
    async fn once(&mut self) -> Result<(), inventiv_store::Error> {
        let (store, feed) = (self.app.store(), &self.app.inner.feed);
        let epoch = store.epoch();
        if epoch != self.epoch {
            let newest = store.newest_place().await?;
            if !self.place.is_behind(&newest) {
                self.place = newest;
                feed.begin_anew();
            }
            self.epoch = epoch;
        }
        store.number_changes().await?;
        loop {
            let changes = store.changes(&self.place, PAGE).await?;
            let is_last = changes.len() < PAGE as usize;
            for shown in render(&self.app, changes).await? {
                self.place = shown.place.clone();
                // The last subscriber may just have left.
                let _ = feed.reported.send(Arc::new(shown));
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Renders changes; the histories of all are read with one query.
async fn render(app: &App, changes: Vec<Change>) -> Result<Vec<Shown>, inventiv_store::Error> {
    let (places, instances): (Vec<Cursor>, Vec<Aggregate>) = changes.into_iter().map(|c| (c.place, c.instance)).unzip();
    let texts = texts(app, &instances).await?;
    let shown = places.into_iter().zip(&instances).zip(texts).map(|((place, agg), json)| Shown {
        place,
        instance: agg.instance.id.clone(),
        account_id: agg.instance.account_id.clone(),
        zone: agg.instance.zone.clone(),
        json,
    });
    Ok(shown.collect())
}

async fn texts(app: &App, instances: &[Aggregate]) -> Result<Vec<String>, inventiv_store::Error> {
    let ids: Vec<&InstanceId> = instances.iter().map(|a| &a.instance.id).collect();
    let histories = app.store().histories(&ids).await?;
    let text = |agg: &Aggregate| {
        let history = histories.get(&agg.instance.id).map(Vec::as_slice).unwrap_or_default();
        let detail: InstanceDetail = shown(app, agg, history);
        // Our own types always serialize.
        serde_json::to_string(&detail).unwrap_or_default()
    };
    Ok(instances.iter().map(text).collect())
}

/// Where a stream begins.
pub(crate) struct Begin {
    /// The position after which it resumes.
    pub(crate) last: Option<Cursor>,
    /// Whether a new stream begins with every instance that has not ended.
    pub(crate) wants_snapshot: bool,
}

/// A stream of one reader.
pub(crate) struct Stream {
    app: App,
    about: Filter,
    /// Why the stream begins with a snapshot, if it does.
    snapshot: Option<SnapshotReason>,
    /// The position: later changes were not sent yet.
    place: Cursor,
    /// How many changes the filter has excluded since the position was last sent.
    untold: usize,
    heard: broadcast::Receiver<Arc<Shown>>,
    generation: watch::Receiver<u64>,
    closed: watch::Receiver<bool>,
    _room: OwnedSemaphorePermit,
}

/// Why a stream ends. Its reader reconnects and resumes after its position.
enum End {
    ReaderGone,
    Database(inventiv_store::Error),
}

impl From<inventiv_store::Error> for End {
    fn from(e: inventiv_store::Error) -> Self {
        Self::Database(e)
    }
}

impl Stream {
    /// Opens a stream that resumes after `last`, if that position is known. Otherwise it begins with a snapshot, if one is
    /// wanted.
    pub(crate) async fn open(
        app: &App,
        about: Filter,
        begin: Begin,
        room: OwnedSemaphorePermit,
    ) -> Result<Self, ApiError> {
        let feed = &app.inner.feed;
        let (closed, generation) = (feed.closed.subscribe(), feed.generation.subscribe());
        if *closed.borrow() {
            return Err(ApiError::unavailable("this control plane is stopping; try again, another replica may answer"));
        }
        let epoch = app.store().epoch();
        let newest = app.store().newest_place().await?;
        let heard = feed.listen(app, &newest, epoch);
        let (snapshot, place) = match begin.last {
            None if !begin.wants_snapshot => (None, newest),
            None => (Some(SnapshotReason::Start), newest),
            Some(last) if last.is_behind(&newest) => (None, last),
            Some(_) => (Some(SnapshotReason::UnknownId), newest),
        };
        Ok(Self { app: app.clone(), about, snapshot, place, untold: 0, heard, generation, closed, _room: room })
    }

    /// Reserves one of the [`STREAMS_MAX`] streams.
    pub(crate) fn room(app: &App) -> Result<OwnedSemaphorePermit, ApiError> {
        let full = || ApiError::unavailable(format!("{STREAMS_MAX} streams are open, the maximum; close some"));
        app.inner.feed.room.clone().try_acquire_owned().map_err(|_| full())
    }

    /// Starts the stream and returns its events.
    pub(crate) fn begin(self) -> mpsc::Receiver<Event> {
        let (out, events) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            let (mut closed, mut generation) = (self.closed.clone(), self.generation.clone());
            // The senders live as long as the process.
            tokio::select! {
                () = self.send(&out) => {}
                () = out.closed() => {}
                _ = generation.changed() => {}
                _ = closed.wait_for(|closed| *closed) => {}
            }
        });
        events
    }

    async fn send(mut self, out: &mpsc::Sender<Event>) {
        if let Err(End::Database(e)) = self.tell_all(out).await {
            tracing::debug!(error = %e, "a change stream ends; its reader must reconnect");
        }
    }

    async fn tell_all(&mut self, out: &mpsc::Sender<Event>) -> Result<(), End> {
        if let Some(reason) = self.snapshot {
            let begins = serde_json::to_string(&SnapshotBegins { reason }).unwrap_or_default();
            send(out, Event::default().event("snapshot").data(begins)).await?;
            self.tell_living(out).await?;
        }
        self.catch_up(out).await?;
        self.tell_place(out).await?;
        loop {
            match self.heard.recv().await {
                Ok(shown) if shown.place.is_after(&self.place) => self.pass_on(&shown, out).await?,
                // It was sent already.
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.catch_up(out).await?,
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }

    /// Sends the position: every change up to it was sent.
    async fn tell_place(&mut self, out: &mpsc::Sender<Event>) -> Result<(), End> {
        self.untold = 0;
        send(out, Event::default().event("live").id(self.place.to_string()).data("{}")).await
    }

    /// Sends every instance that has not ended. One that changes meanwhile is sent again as a change.
    async fn tell_living(&self, out: &mpsc::Sender<Event>) -> Result<(), End> {
        if let Some(id) = &self.about.instance {
            let found = self.app.store().instance(id).await?;
            let found: Vec<Aggregate> = found
                .into_iter()
                .filter(|a| self.about.is(&a.instance.id, &a.instance.account_id, &a.instance.zone))
                .collect();
            return send_these(texts(&self.app, &found).await?, out).await;
        }
        for status in Status::ALL.iter().filter(|s| !s.is_final()) {
            let (zone, account_id) = (self.about.zone.clone(), self.about.account_id.clone());
            let mut filter =
                InstanceFilter { status: Some(*status), account_id, zone, limit: PAGE, ..InstanceFilter::default() };
            loop {
                let (page, reported) = {
                    let _turn = self.app.inner.feed.turn().await;
                    let page = self.app.store().instances(&filter).await?;
                    let reported = texts(&self.app, &page).await?;
                    (page, reported)
                };
                send_these(reported, out).await?;
                match page.last() {
                    Some(last) if page.len() == PAGE as usize => filter.after = Some(last.instance.id.to_string()),
                    _ => break,
                }
            }
        }
        Ok(())
    }

    /// Sends the changes after the position, read from the database.
    async fn catch_up(&mut self, out: &mpsc::Sender<Event>) -> Result<(), End> {
        loop {
            let (is_last, changes) = {
                let _turn = self.app.inner.feed.turn().await;
                let changes = self.app.store().changes(&self.place, PAGE).await?;
                (changes.len() < PAGE as usize, render(&self.app, changes).await?)
            };
            for shown in changes {
                self.pass_on(&shown, out).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn pass_on(&mut self, shown: &Shown, out: &mpsc::Sender<Event>) -> Result<(), End> {
        self.place = shown.place.clone();
        if self.about.is(&shown.instance, &shown.account_id, &shown.zone) {
            self.untold = 0;
            return send(out, Event::default().event("instance").id(shown.place.to_string()).data(&shown.json)).await;
        }
        self.untold += 1;
        if self.untold < UNTOLD_MAX { Ok(()) } else { self.tell_place(out).await }
    }
}

async fn send_these(texts: Vec<String>, out: &mpsc::Sender<Event>) -> Result<(), End> {
    for text in texts {
        // Without an id: a reader that is disconnected during the snapshot starts again.
        send(out, Event::default().event("instance").data(text)).await?;
    }
    Ok(())
}

async fn send(out: &mpsc::Sender<Event>, event: Event) -> Result<(), End> {
    let sent = tokio::time::timeout(READER_MAX, out.send(event)).await;
    if matches!(sent, Ok(Ok(()))) { Ok(()) } else { Err(End::ReaderGone) }
}
