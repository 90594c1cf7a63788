//! The stream of changes: one task looks at the database for all streams of this server, and only while there are any.
//!
//! A stream first reads for itself what its reader missed, then hears of what the task finds; one that is too slow for that
//! reads for itself again. What a reader is given is read back from the database each time, so it does not matter through
//! which server, or by which of them, something was changed.

use crate::App;
use crate::problem::ApiError;
use crate::routes::instances::shown;
use crate::view::InstanceDetail;
use axum::response::sse::Event;
use inventiv_core::id::InstanceId;
use inventiv_core::recorded::Aggregate;
use inventiv_core::status::Status;
use inventiv_store::{Change, InstanceFilter, Place};
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, watch};

/// How often it is looked for changes.
const EVERY: Duration = Duration::from_millis(500);
/// How many streams a server has at once.
pub(crate) const STREAMS_MAX: usize = 256;
/// How many changes are kept for streams that are a little behind; one that is more reads the database.
const KEPT: usize = 256;
/// How many instances are read at once.
const PAGE: u32 = 100;
/// How many events wait for a reader.
const AHEAD: usize = 16;

/// What streams hear.
#[derive(Clone)]
enum Told {
    Changed(Arc<Shown>),
    /// Another database answers, or one that has lost something: every reader has to begin anew.
    BeginAnew,
}

/// A change as every stream shows it.
struct Shown {
    place: Place,
    instance: InstanceId,
    zone: String,
    json: String,
}

/// What a stream is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    pub(crate) instance: Option<InstanceId>,
    pub(crate) zone: Option<String>,
}

impl About {
    fn is(&self, instance: &InstanceId, zone: &str) -> bool {
        self.instance.as_ref().is_none_or(|i| i == instance) && self.zone.as_deref().is_none_or(|z| z == zone)
    }
}

/// The streams of a server.
pub(crate) struct Feed {
    told: broadcast::Sender<Told>,
    /// Whether the task runs.
    looking: Mutex<bool>,
    room: Arc<Semaphore>,
    closed: watch::Sender<bool>,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            told: broadcast::channel(KEPT).0,
            looking: Mutex::new(false),
            room: Arc::new(Semaphore::new(STREAMS_MAX)),
            closed: watch::channel(false).0,
        }
    }

    /// Ends every stream; no other begins.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// How many streams there are.
    pub(crate) fn streams(&self) -> usize {
        STREAMS_MAX - self.room.available_permits()
    }

    /// Whoever listens hears of every change after `newest` that is not committed yet.
    fn listen(&self, app: &App, newest: &Place) -> broadcast::Receiver<Told> {
        let mut looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = self.told.subscribe();
        if !*looking {
            *looking = true;
            tokio::spawn(look(app.clone(), newest.clone()));
        }
        heard
    }

    /// Whether nobody listens any more; then somebody has to begin to look when the next one does.
    fn is_deserted(&self) -> bool {
        let mut looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        *looking = self.told.receiver_count() > 0;
        !*looking
    }
}

/// Looks for changes after `place`, as long as somebody listens.
async fn look(app: App, mut place: Place) {
    let (feed, mut epoch) = (&app.inner.feed, app.store().epoch());
    while !feed.is_deserted() {
        if let Err(e) = look_once(&app, &mut place, &mut epoch).await {
            tracing::debug!(error = %e, "no changes are streamed for now");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn look_once(app: &App, place: &mut Place, epoch: &mut u64) -> Result<(), inventiv_store::Error> {
    let (store, feed) = (app.store(), &app.inner.feed);
    let seen = store.epoch();
    if seen != *epoch {
        let newest = store.newest_place().await?;
        if !place.is_behind(&newest) {
            *place = newest;
            // Nobody may listen any more.
            let _ = feed.told.send(Told::BeginAnew);
        }
        *epoch = seen;
    }
    store.number_changes().await?;
    loop {
        let changes = store.changes(place, PAGE).await?;
        let is_last = changes.len() < PAGE as usize;
        for shown in render(app, changes).await? {
            *place = shown.place.clone();
            let _ = feed.told.send(Told::Changed(Arc::new(shown)));
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Changes as they are shown, with one look at the database for all.
async fn render(app: &App, changes: Vec<Change>) -> Result<Vec<Shown>, inventiv_store::Error> {
    let (places, instances): (Vec<Place>, Vec<Aggregate>) = changes.into_iter().map(|c| (c.place, c.instance)).unzip();
    let texts = texts(app, &instances).await?;
    let shown = places.into_iter().zip(&instances).zip(texts).map(|((place, agg), json)| Shown {
        place,
        instance: agg.instance.id.clone(),
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
        // Our own types always have a JSON form.
        serde_json::to_string(&detail).unwrap_or_default()
    };
    Ok(instances.iter().map(text).collect())
}

/// A stream about to begin.
pub(crate) struct Stream {
    app: App,
    about: About,
    /// Why it begins with everything, if it does.
    snapshot: Option<&'static str>,
    /// What comes after it is not told yet.
    place: Place,
    heard: broadcast::Receiver<Told>,
    closed: watch::Receiver<bool>,
    _room: OwnedSemaphorePermit,
}

/// Why a stream ends. Its reader comes again, and asks for what it has not got.
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
    /// A stream that goes on after `last`, where that is known; else it begins with everything.
    pub(crate) async fn open(app: &App, about: About, last: Option<Place>) -> Result<Self, ApiError> {
        let (feed, closed) = (&app.inner.feed, app.inner.feed.closed.subscribe());
        let full = || ApiError::unavailable(format!("{STREAMS_MAX} streams are open, which is the most; close some"));
        let room = feed.room.clone().try_acquire_owned().map_err(|_| full())?;
        if *closed.borrow() {
            return Err(ApiError::unavailable("this server is stopping; another one may answer"));
        }
        let newest = app.store().newest_place().await?;
        let heard = feed.listen(app, &newest);
        let (snapshot, place) = match last {
            None => (Some("start"), newest),
            Some(last) if last.is_behind(&newest) => (None, last),
            Some(_) => (Some("unknown_id"), newest),
        };
        Ok(Self { app: app.clone(), about, snapshot, place, heard, closed, _room: room })
    }

    /// The events, as they come.
    pub(crate) fn begin(self) -> mpsc::Receiver<Event> {
        let (out, events) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            let mut closed = self.closed.clone();
            tokio::select! {
                () = self.tell(&out) => {}
                () = out.closed() => {}
                // The sender lives as long as the server.
                _ = closed.wait_for(|closed| *closed) => {}
            }
        });
        events
    }

    async fn tell(mut self, out: &mpsc::Sender<Event>) {
        if let Err(End::Database(e)) = self.tell_all(out).await {
            tracing::debug!(error = %e, "a stream of changes ends: its reader has to come again");
        }
    }

    async fn tell_all(&mut self, out: &mpsc::Sender<Event>) -> Result<(), End> {
        if let Some(reason) = self.snapshot {
            send(out, Event::default().event("snapshot").data(json!({ "reason": reason }).to_string())).await?;
            self.tell_living(out).await?;
        }
        self.catch_up(out).await?;
        send(out, Event::default().event("live").id(self.place.to_string()).data("{}")).await?;
        loop {
            match self.heard.recv().await {
                Ok(Told::Changed(shown)) if shown.place.is_after(&self.place) => self.pass_on(&shown, out).await?,
                // It has been told already.
                Ok(Told::Changed(_)) => {}
                Err(RecvError::Lagged(_)) => self.catch_up(out).await?,
                Ok(Told::BeginAnew) | Err(RecvError::Closed) => return Ok(()),
            }
        }
    }

    /// Everything whose life is not over. What moves on meanwhile comes again as a change.
    async fn tell_living(&self, out: &mpsc::Sender<Event>) -> Result<(), End> {
        if let Some(id) = &self.about.instance {
            let found: Vec<Aggregate> = self.app.store().instance(id).await?.into_iter().collect();
            return self.tell_these(&found, out).await;
        }
        for status in Status::ALL.iter().filter(|s| !s.is_final()) {
            let zone = self.about.zone.clone();
            let mut filter = InstanceFilter { status: Some(*status), zone, limit: PAGE, ..InstanceFilter::default() };
            loop {
                let page = self.app.store().instances(&filter).await?;
                self.tell_these(&page, out).await?;
                match page.last() {
                    Some(last) if page.len() == PAGE as usize => filter.after = Some(last.instance.id.to_string()),
                    _ => break,
                }
            }
        }
        Ok(())
    }

    async fn tell_these(&self, instances: &[Aggregate], out: &mpsc::Sender<Event>) -> Result<(), End> {
        for text in texts(&self.app, instances).await? {
            // Without an id: whoever is cut off in the middle of it begins anew.
            send(out, Event::default().event("instance").data(text)).await?;
        }
        Ok(())
    }

    /// What has changed after its place, as the database tells.
    async fn catch_up(&mut self, out: &mpsc::Sender<Event>) -> Result<(), End> {
        loop {
            let changes = self.app.store().changes(&self.place, PAGE).await?;
            let is_last = changes.len() < PAGE as usize;
            for shown in render(&self.app, changes).await? {
                self.pass_on(&shown, out).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn pass_on(&mut self, shown: &Shown, out: &mpsc::Sender<Event>) -> Result<(), End> {
        self.place = shown.place.clone();
        if self.about.is(&shown.instance, &shown.zone) {
            send(out, Event::default().event("instance").id(shown.place.to_string()).data(&shown.json)).await?;
        }
        Ok(())
    }
}

async fn send(out: &mpsc::Sender<Event>, event: Event) -> Result<(), End> {
    out.send(event).await.map_err(|_| End::ReaderGone)
}
