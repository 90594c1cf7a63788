//! Downloads models from the Hugging Face hub, or from another one with the same interface (`HF_ENDPOINT`).
//!
//! The worker downloads, not the engine: so the size is known before, the progress is exact, a download that broke off
//! goes on where it was, and the engine needs neither a token nor the network.

mod listing;
mod place;

use crate::facts::free_bytes;
use crate::failure::StepFailure;
use crate::state::State;
use futures::StreamExt;
use inventiv_core::engine::EngineKind;
use inventiv_core::model_id::ModelId;
use listing::{HubFile, HubModel, needed};
use place::{Complete, Place, is_inside};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

const HUB: &str = "https://huggingface.co";
/// Free space that must remain after a download, in bytes.
const RESERVE: i64 = 2_000_000_000;
/// How often the progress is told.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// How long the hub may send nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// How often a file that broke off is taken up again without any progress.
const TRIES: u32 = 5;
/// How often a file is taken up again at all: its size may differ from what the hub lists.
const ROUNDS: u32 = 200;

/// A model on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Downloaded {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// The first GGUF file, if it consists of such files.
    pub(crate) gguf: Option<PathBuf>,
    /// What was done, in one sentence.
    pub(crate) told: String,
}

/// Downloads what is missing of a model into a folder of its own.
pub(crate) async fn download(
    state: &State,
    model: &str,
    engine: EngineKind,
    root: &Path,
    env: &BTreeMap<String, String>,
) -> Result<Downloaded, StepFailure> {
    let id = ModelId::parse(model).ok_or_else(|| {
        StepFailure::lasting("model_unknown", format!("`{model}` is not the id of a model on the hub"))
    })?;
    let client = Client::builder().connect_timeout(Duration::from_secs(10)).read_timeout(SILENCE).build();
    let client = client.map_err(|e| StepFailure::passing("hub", format!("no connection to the hub: {e}")))?;
    let hub = Hub {
        client,
        endpoint: env.get("HF_ENDPOINT").map_or(HUB, String::as_str).trim_end_matches('/').to_owned(),
        token: env.get("HF_TOKEN").cloned(),
        repo: id.repo.to_owned(),
        revision: id.revision.unwrap_or("main").to_owned(),
    };
    if !is_inside(id.repo) || !is_inside(&hub.revision) {
        return Err(StepFailure::lasting("model_unknown", format!("`{model}` is not the id of a model on the hub")));
    }
    let place = Place { base: root.join("models").join(id.repo.replace('/', "--")), revision: hub.revision.clone() };
    // What was complete once is used without asking the hub: it may be out of reach, refuse the model since, or have
    // moved the revision to another commit.
    let kept = place.known().and_then(|f| Complete::read(&f, engine, id.quantisation).map(|complete| (f, complete)));
    if let Some((folder, complete)) = kept.filter(|(f, c)| c.files.iter().all(|name| f.join(name).exists())) {
        let told = format!("{} files were on the disk already", complete.files.len());
        return Ok(downloaded(folder, &complete, &told));
    }
    let found = hub.list().await?;
    let folder = place.of(found.sha.as_deref())?;
    let files = needed(&found.siblings, engine, id.quantisation);
    if files.is_empty() {
        let text = format!(
            "{model} has no files for this engine; GGUF files are for `llamacpp`, safetensors for `vllm`, and a \
             quantisation (`:Q4_K_M`) must be one of the files"
        );
        return Err(StepFailure::lasting("model_unsuitable", text));
    }
    let total: i64 = files.iter().filter_map(|f| f.size).sum();
    let there: i64 = files.iter().map(|f| length(&folder.join(&f.name)).min(f.size.unwrap_or(i64::MAX))).sum();
    check_space(&folder, total - there)?;
    let began = Instant::now();
    let mut meter = Meter { state, done: there, total, told: Instant::now() };
    meter.tell();
    for file in &files {
        hub.fetch(file, &folder, found.sha.as_deref(), &mut meter).await?;
    }
    let complete = Complete { files: files.iter().map(|f| f.name.clone()).collect() };
    complete.write(&folder, engine, id.quantisation)?;
    place.remember(&folder)?;
    let fetched = total - there;
    let told = if fetched == 0 {
        format!("{} files were on the disk already", files.len())
    } else {
        let seconds = began.elapsed().as_secs().max(1);
        format!("{} files, {} MB in {seconds} s", files.len(), fetched / 1_000_000)
    };
    Ok(downloaded(folder, &complete, &told))
}

fn downloaded(folder: PathBuf, complete: &Complete, told: &str) -> Downloaded {
    let gguf = complete.files.iter().find(|n| n.to_ascii_lowercase().ends_with(".gguf")).map(|n| folder.join(n));
    Downloaded { folder, gguf, told: told.to_owned() }
}

fn length(path: &Path) -> i64 {
    let there = std::fs::metadata(path).or_else(|_| std::fs::metadata(partial(path)));
    there.map_or(0, |m| i64::try_from(m.len()).unwrap_or(i64::MAX))
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn check_space(folder: &Path, needed: i64) -> Result<(), StepFailure> {
    match free_bytes(folder) {
        Some(free) if needed > 0 && free < needed.saturating_add(RESERVE) => {
            let gb = |bytes: i64| bytes.saturating_add(999_999_999) / 1_000_000_000;
            let text = format!(
                "the model needs {} GB more and 2 GB must remain, but {} GB are free; create the instance with a larger \
                 data volume (`--data-volume-gb`)",
                gb(needed),
                free / 1_000_000_000
            );
            Err(StepFailure::lasting("disk_full", text))
        }
        Some(_) | None => Ok(()),
    }
}

struct Meter<'a> {
    state: &'a State,
    done: i64,
    total: i64,
    told: Instant,
}

impl Meter<'_> {
    fn tell(&mut self) {
        self.told = Instant::now();
        self.state.progress(self.done, (self.total > 0).then_some(self.total));
    }

    fn add(&mut self, bytes: usize) {
        self.done = self.done.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
        if self.told.elapsed() >= TELL_EVERY {
            self.tell();
        }
    }
}

struct Hub {
    client: Client,
    endpoint: String,
    token: Option<String>,
    repo: String,
    revision: String,
}

impl Hub {
    /// A URL of the hub. A segment may hold any characters: `refs/pr/3` is one.
    fn url<'s>(&self, segments: impl IntoIterator<Item = &'s str>) -> Result<Url, StepFailure> {
        let wrong = || StepFailure::lasting("wrong_arguments", format!("HF_ENDPOINT `{}` is not a URL", self.endpoint));
        let mut url = Url::parse(&self.endpoint).map_err(|_| wrong())?;
        url.path_segments_mut().map_err(|()| wrong())?.extend(segments);
        Ok(url)
    }

    fn get(&self, url: Url) -> RequestBuilder {
        let request = self.client.get(url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn list(&self) -> Result<HubModel, StepFailure> {
        let repo = self.repo.split('/');
        let mut url = self.url(["api", "models"].into_iter().chain(repo).chain(["revision", &self.revision]))?;
        url.set_query(Some("blobs=true"));
        let sent = self.get(url).timeout(SILENCE).send().await;
        let response = sent.map_err(|e| self.silent(&e))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refused(status));
        }
        response.json().await.map_err(|e| StepFailure::passing("hub", format!("the hub's answer is unreadable: {e}")))
    }

    fn silent(&self, e: &reqwest::Error) -> StepFailure {
        // The error may contain the URL, which contains no secret.
        StepFailure::passing("hub", format!("the hub {} does not respond: {e}", self.endpoint))
    }

    fn refused(&self, status: StatusCode) -> StepFailure {
        let repo = &self.repo;
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => StepFailure::lasting(
                "model_gated",
                format!(
                    "the hub refuses {repo} ({status}): it does not exist, is private, or its terms must be accepted; \
                     accept them on its page, store a token (`inventiv secret set hf-token`), and pass it with \
                     `--secret HF_TOKEN=hf-token`"
                ),
            ),
            StatusCode::NOT_FOUND => StepFailure::lasting(
                "model_unknown",
                format!("the hub has no {repo} at revision {}; correct the id", self.revision),
            ),
            _ => StepFailure::passing("hub", format!("the hub answered {status} for {repo}")),
        }
    }

    async fn fetch(
        &self,
        file: &HubFile,
        folder: &Path,
        sha: Option<&str>,
        meter: &mut Meter<'_>,
    ) -> Result<(), StepFailure> {
        let path = folder.join(&file.name);
        if !is_inside(&file.name) {
            return Err(StepFailure::lasting("model_unsuitable", format!("the hub lists a file `{}`", file.name)));
        }
        if path.exists() && file.size.is_none_or(|size| length(&path) == size) {
            return Ok(());
        }
        let failed = |e: std::io::Error| StepFailure::passing("disk", format!("cannot write {}: {e}", path.display()));
        tokio::fs::create_dir_all(path.parent().unwrap_or(folder)).await.map_err(failed)?;
        let _ = tokio::fs::remove_file(&path).await;
        let mut without_progress = 0;
        for _ in 0..ROUNDS {
            let before = meter.done;
            match self.fetch_rest(file, &path, sha, meter).await {
                Ok(()) => return Ok(()),
                Err(failure) if !failure.passes => return Err(failure),
                Err(failure) => {
                    without_progress = if meter.done > before { 0 } else { without_progress + 1 };
                    if without_progress >= TRIES {
                        return Err(failure);
                    }
                    tokio::time::sleep(Duration::from_secs(1 << without_progress)).await;
                }
            }
        }
        let text = format!("{} is still incomplete after {ROUNDS} attempts", file.name);
        Err(StepFailure::lasting("model_unsuitable", text))
    }

    /// Fetches what is missing of a file, and gives it its name once it is complete.
    async fn fetch_rest(
        &self,
        file: &HubFile,
        path: &Path,
        sha: Option<&str>,
        meter: &mut Meter<'_>,
    ) -> Result<(), StepFailure> {
        let part = partial(path);
        let failed = |e: std::io::Error| {
            if e.kind() == std::io::ErrorKind::StorageFull {
                let text = "the disk is full; create the instance with a larger data volume (`--data-volume-gb`)";
                return StepFailure::lasting("disk_full", text);
            }
            StepFailure::passing("disk", format!("cannot write {}: {e}", part.display()))
        };
        let mut out = tokio::fs::OpenOptions::new().create(true).append(true).open(&part).await.map_err(failed)?;
        let mut have = out.metadata().await.map_err(failed)?.len();
        let at = ["resolve", sha.unwrap_or(&self.revision)];
        let url = self.url(self.repo.split('/').chain(at).chain(file.name.split('/')))?;
        if file.size.is_none_or(|size| i64::try_from(have).unwrap_or(0) < size) {
            let mut request = self.get(url);
            if have > 0 {
                request = request.header(reqwest::header::RANGE, format!("bytes={have}-"));
            }
            let response = request.send().await.map_err(|e| self.silent(&e))?;
            let status = response.status();
            if status == StatusCode::RANGE_NOT_SATISFIABLE {
                // The file ends before what is there does: its size was not known.
                out.set_len(0).await.map_err(failed)?;
                meter.done -= i64::try_from(have).unwrap_or(0);
            }
            if !status.is_success() {
                return Err(self.refused(status));
            }
            if have > 0 && status != StatusCode::PARTIAL_CONTENT {
                // The hub sends the whole file.
                out.set_len(0).await.map_err(failed)?;
                meter.done -= i64::try_from(have).unwrap_or(0);
                have = 0;
            }
            let mut chunks = response.bytes_stream();
            while let Some(chunk) = chunks.next().await {
                let chunk = match chunk {
                    Ok(chunk) => chunk,
                    Err(e) => {
                        // What is still being written would be missed by the next attempt.
                        out.flush().await.map_err(failed)?;
                        return Err(self.silent(&e));
                    }
                };
                out.write_all(&chunk).await.map_err(failed)?;
                have += chunk.len() as u64;
                meter.add(chunk.len());
            }
        }
        out.sync_all().await.map_err(failed)?;
        if file.size.is_some_and(|size| i64::try_from(have).unwrap_or(0) != size) {
            if file.size.is_some_and(|size| i64::try_from(have).unwrap_or(0) > size) {
                let _ = tokio::fs::remove_file(&part).await;
            }
            return Err(StepFailure::passing("hub", format!("{} is incomplete: {have} bytes", file.name)));
        }
        tokio::fs::rename(&part, path).await.map_err(failed)?;
        meter.tell();
        Ok(())
    }
}
