//! What a provider promises, as a suite: tests run it against the emulator, `inventiv doctor --live` on a real account.
//!
//! It makes the smallest things there are, under names of its own, and takes them away whatever happens; a run that was
//! killed is cleaned up by the next. Where nobody has evidence of what the cloud does, it looks, and says what it saw.

use crate::{Answer, CloudProvider, Error, Existence, NewServer, NewVolume, VolumeRef};
use inventiv_core::observed::{SeenServer, SeenVolume, ServerState, VolumeState};
use inventiv_core::offer::{Availability, BootStorage, Offer};
use inventiv_core::recorded::BLOCK_KIND;
use std::time::Duration;
use tokio::time::Instant;

/// How every name begins.
pub const PREFIX: &str = "inventiv-doctor";
const GB: i64 = 1_000_000_000;

/// What the suite runs with.
pub struct Suite<'a> {
    /// The account.
    pub cloud: &'a dyn CloudProvider,
    /// Where.
    pub zone: String,
    /// The type of the server that is made.
    pub instance_type: String,
    /// Its image's label.
    pub image: String,
    /// How often something is looked at that takes time.
    pub every: Duration,
    /// How long anything may take.
    pub patience: Duration,
    /// Is told each line as it happens.
    pub say: &'a (dyn Fn(&Line) + Send + Sync),
}

/// One line of what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A promise that was kept: what, and what was seen.
    Kept(&'static str, String),
    /// One that was not.
    Broken(&'static str, String),
    /// Something that no recording shows, and what the cloud did.
    Settled(&'static str, String),
    /// Something that was taken away.
    Removed(String),
}

/// The cheapest type without a GPU that can be had and boots on block storage.
#[must_use]
pub fn cheapest(offers: &[Offer]) -> Option<&Offer> {
    let fits = |o: &&Offer| {
        o.gpu_count == 0
            && o.arch == "x86_64"
            && o.boot_storage == BootStorage::Block
            && matches!(o.availability, Availability::Available | Availability::Scarce)
    };
    offers.iter().filter(fits).min_by_key(|o| (o.price.micros, o.instance_type.clone()))
}

type Step<T> = Result<T, String>;

impl Suite<'_> {
    /// Cleans up, runs everything, cleans up. Gives what came of it, line by line.
    pub async fn run(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let done = match self.clean(&mut lines).await {
            Ok(()) => self.all(&mut lines).await,
            Err(e) => Err(("what an earlier run left is taken away", e)),
        };
        if let Err((what, why)) = done {
            self.tell(&mut lines, Line::Broken(what, why));
        }
        match self.clean(&mut lines).await {
            Ok(()) => self.tell(&mut lines, Line::Kept("nothing of it is left", "proven by listing".to_owned())),
            Err(why) => self.tell(&mut lines, Line::Broken("nothing of it is left", why)),
        }
        lines
    }

    fn tell(&self, lines: &mut Vec<Line>, line: Line) {
        (self.say)(&line);
        lines.push(line);
    }

    fn kept(&self, lines: &mut Vec<Line>, what: &'static str, seen: impl Into<String>) {
        self.tell(lines, Line::Kept(what, seen.into()));
    }

    async fn all(&self, lines: &mut Vec<Line>) -> Result<(), (&'static str, String)> {
        let data =
            self.volume_alone(lines).await.map_err(|e| ("a block volume is made, found, tagged and grown", e))?;
        let server =
            self.server_stopped(lines, &data).await.map_err(|e| ("a server is made and gets the volume", e))?;
        self.server_running(lines, &server).await.map_err(|e| ("a server runs", e))?;
        self.ends(lines, &server, &data)
            .await
            .map_err(|e| ("terminate leaves block volumes, which are then deleted", e))
    }

    async fn volume_alone(&self, lines: &mut Vec<Line>) -> Step<VolumeRef> {
        let name = format!("{PREFIX}-data");
        let new =
            NewVolume { name: name.clone(), tags: vec![PREFIX.to_owned()], size_bytes: GB, perf_iops: Some(5_000) };
        let made = self.cloud.create_volume(&self.zone, &new).await.map_err(text)?.value;
        let data = VolumeRef { id: made.id.clone(), volume_type: BLOCK_KIND.to_owned() };
        let seen = self.until_volume(&data, |v| v.state == VolumeState::Available).await?;
        expect(seen.size_bytes == Some(GB), || format!("its size is {:?}, not {GB} bytes", seen.size_bytes))?;
        self.kept(lines, "a block volume is made in bytes and becomes available", format!("{} of 1 GB", data.id));
        let found = self.cloud.find(&self.zone, &name).await.map_err(text)?;
        let ids: Vec<&str> = found.volumes.iter().map(|v| v.id.as_str()).collect();
        expect(ids == [data.id.as_str()], || format!("by its name were found {ids:?}"))?;
        self.kept(lines, "it is found by its name, and nothing else is", name);
        let renamed = format!("{PREFIX}-data-renamed");
        self.cloud.tag_volume(&self.zone, &data, &renamed, &["doctor".to_owned()]).await.map_err(text)?;
        let seen = self.until_volume(&data, |v| v.name == renamed).await?;
        self.kept(lines, "it is renamed at once", seen.name);
        self.tell(lines, Line::Settled("tags of a block volume by PATCH", "accepted".to_owned()));
        self.cloud.resize_volume(&self.zone, &data, 2 * GB - 1).await.map_err(text)?;
        self.until_volume(&data, |v| v.size_bytes == Some(2 * GB) && v.state == VolumeState::Available).await?;
        self.kept(lines, "it grows, and a part of a GB is rounded up", "2 GB");
        Ok(data)
    }

    async fn server_stopped(&self, lines: &mut Vec<Line>, data: &VolumeRef) -> Step<SeenServer> {
        let new = NewServer {
            name: format!("{PREFIX}-server"),
            tags: vec![PREFIX.to_owned()],
            instance_type: self.instance_type.clone(),
            image: self.image.clone(),
            boot_storage: BootStorage::Block,
        };
        let made = self.cloud.create_server(&self.zone, &new).await.map_err(text)?.value;
        expect(made.state == ServerState::Stopped, || format!("it is born {}", made.state.text()))?;
        let boot = made.attachments.first().ok_or("its answer shows no volume")?.clone();
        self.kept(
            lines,
            "a server is born stopped, with its boot volume in the answer",
            format!("{} on {}", made.id, boot.volume_id),
        );
        let boot = VolumeRef { id: boot.volume_id, volume_type: boot.volume_type };
        // Born with a name that says nothing: from here on a killed run finds it.
        self.cloud.tag_volume(&self.zone, &boot, &format!("{PREFIX}-boot"), &[]).await.map_err(text)?;
        self.kept(lines, "its boot volume is renamed", boot.id.clone());
        self.cloud.set_user_data(&self.zone, &made.id, "#cloud-config\n").await.map_err(text)?;
        self.kept(lines, "it takes first-boot instructions", "cloud-init");
        let refused = self.cloud.terminate_server(&self.zone, &made.id).await;
        self.settle(lines, "terminate of a stopped server", refused);
        self.cloud.attach_volume(&self.zone, &made.id, data).await.map_err(text)?;
        self.until_volume(data, |v| v.server_id.as_deref() == Some(&made.id) && v.attachment_settled).await?;
        self.kept(lines, "the volume is attached", data.id.clone());
        let twice = self.cloud.attach_volume(&self.zone, &made.id, data).await;
        self.settle(lines, "a second attachment of the same volume", twice);
        let refused = self.cloud.delete_volume(&self.zone, data).await;
        self.settle(lines, "deletion of a block volume that is in use", refused);
        Ok(made)
    }

    async fn server_running(&self, lines: &mut Vec<Line>, server: &SeenServer) -> Step<()> {
        let began = Instant::now();
        self.until_server(&server.id, |s| s.allowed.contains(&inventiv_core::observed::Allowed::Start)).await?;
        self.cloud.start_server(&self.zone, &server.id).await.map_err(text)?;
        self.until_server(&server.id, |s| s.state == ServerState::Running).await?;
        self.kept(lines, "it starts", format!("after {:.0} s", began.elapsed().as_secs_f32()));
        let refused = self.cloud.delete_server(&self.zone, &server.id).await;
        self.settle(lines, "deletion of a running server", refused);
        Ok(())
    }

    async fn ends(&self, lines: &mut Vec<Line>, server: &SeenServer, data: &VolumeRef) -> Step<()> {
        let may = inventiv_core::observed::Allowed::Terminate;
        self.until_server(&server.id, |s| s.allowed.contains(&may)).await?;
        let began = Instant::now();
        self.cloud.terminate_server(&self.zone, &server.id).await.map_err(text)?;
        let gone = self.until_server_gone(&server.id).await?;
        self.kept(
            lines,
            "terminate takes it away, and a typed not-found says so",
            format!("{gone}, after {:.0} s", began.elapsed().as_secs_f32()),
        );
        let blocks = server.attachments.iter().filter(|a| a.volume_type == BLOCK_KIND);
        let boots = blocks.map(|a| VolumeRef { id: a.volume_id.clone(), volume_type: a.volume_type.clone() });
        for volume in boots.chain([data.clone()]) {
            let began = Instant::now();
            let there = self.cloud.volume(&self.zone, &volume).await.map_err(text)?;
            if volume.id == data.id && matches!(there, Existence::Gone(_)) {
                self.tell(lines, Line::Settled("after its deletion in use", "the volume is gone".to_owned()));
                continue;
            }
            self.until_volume(&volume, |v| v.state == VolumeState::Available).await?;
            self.kept(
                lines,
                "its block volume stays and becomes free",
                format!("{} after {:.0} s", volume.id, began.elapsed().as_secs_f32()),
            );
            self.cloud.delete_volume(&self.zone, &volume).await.map_err(text)?;
            match self.cloud.volume(&self.zone, &volume).await.map_err(text)? {
                Existence::Gone(answer) => self.kept(lines, "a deleted volume is a typed not-found", answer.answer),
                Existence::Exists(_) => return Err(format!("{} is still there after its deletion", volume.id)),
            }
        }
        Ok(())
    }

    /// What nobody has recorded: writes down whether it was accepted, or with which words it was refused.
    fn settle<T>(&self, lines: &mut Vec<Line>, what: &'static str, done: Result<Answer<T>, Error>) {
        let seen = match done {
            Ok(_) => "accepted".to_owned(),
            Err(e) => format!("HTTP {}: {}", e.status.map_or_else(|| "-".to_owned(), |s| s.to_string()), e.message),
        };
        self.tell(lines, Line::Settled(what, seen));
    }

    async fn until_volume(&self, volume: &VolumeRef, done: impl Fn(&SeenVolume) -> bool) -> Step<SeenVolume> {
        let began = Instant::now();
        loop {
            match self.cloud.volume(&self.zone, volume).await.map_err(text)? {
                Existence::Exists(seen) if done(&seen) => return Ok(seen),
                Existence::Exists(seen) if began.elapsed() > self.patience => {
                    return Err(format!("volume {} is {:?} after {:?}", volume.id, seen.state, self.patience));
                }
                Existence::Exists(_) => tokio::time::sleep(self.every).await,
                Existence::Gone(_) => return Err(format!("volume {} is gone", volume.id)),
            }
        }
    }

    async fn until_server(&self, id: &str, done: impl Fn(&SeenServer) -> bool) -> Step<SeenServer> {
        let began = Instant::now();
        loop {
            match self.cloud.server(&self.zone, id).await.map_err(text)? {
                Existence::Exists(seen) if done(&seen) => return Ok(seen),
                Existence::Exists(seen) if began.elapsed() > self.patience => {
                    return Err(format!("server {id} is {} after {:?}", seen.state.text(), self.patience));
                }
                Existence::Exists(_) => tokio::time::sleep(self.every).await,
                Existence::Gone(_) => return Err(format!("server {id} is gone")),
            }
        }
    }

    async fn until_server_gone(&self, id: &str) -> Step<String> {
        let began = Instant::now();
        loop {
            match self.cloud.server(&self.zone, id).await.map_err(text)? {
                Existence::Gone(gone) => return Ok(gone.answer),
                Existence::Exists(seen) if began.elapsed() > self.patience => {
                    return Err(format!("server {id} is {} after {:?}", seen.state.text(), self.patience));
                }
                Existence::Exists(_) => tokio::time::sleep(self.every).await,
            }
        }
    }

    /// Takes away everything that bears the suite's name, and what hangs on it, until a complete listing shows none.
    ///
    /// # Errors
    /// Says what could not be taken away.
    pub async fn clean(&self, lines: &mut Vec<Line>) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let picture = self.cloud.observe(&self.zone).await.map_err(text)?;
            let servers: Vec<&SeenServer> = picture.servers.iter().filter(|s| s.name.starts_with(PREFIX)).collect();
            let on = |v: &SeenVolume| servers.iter().any(|s| s.has(&v.id));
            let volumes: Vec<&SeenVolume> =
                picture.volumes.iter().filter(|v| v.name.starts_with(PREFIX) || on(v)).collect();
            if servers.is_empty() && volumes.is_empty() && picture.complete {
                return Ok(());
            }
            if began.elapsed() > self.patience * 2 {
                let names = servers.iter().map(|s| &s.id).chain(volumes.iter().map(|v| &v.id));
                return Err(format!("still there: {}", names.cloned().collect::<Vec<_>>().join(", ")));
            }
            for server in servers {
                self.remove_server(lines, server, &picture.volumes).await?;
            }
            for volume in volumes.into_iter().filter(|v| v.state == VolumeState::Available) {
                let named = VolumeRef { id: volume.id.clone(), volume_type: volume.volume_type.clone() };
                if self.cloud.delete_volume(&self.zone, &named).await.is_ok() {
                    self.tell(lines, Line::Removed(format!("volume {} {}", volume.id, volume.name)));
                }
            }
            tokio::time::sleep(self.every).await;
        }
    }

    /// Its volumes get the suite's name first: once it is gone, nothing else would tell whose they are.
    async fn remove_server(&self, lines: &mut Vec<Line>, server: &SeenServer, volumes: &[SeenVolume]) -> Step<()> {
        for a in &server.attachments {
            let named = volumes.iter().any(|v| v.id == a.volume_id && v.name.starts_with(PREFIX));
            if !named {
                let volume = VolumeRef { id: a.volume_id.clone(), volume_type: a.volume_type.clone() };
                self.cloud.tag_volume(&self.zone, &volume, &format!("{PREFIX}-boot"), &[]).await.map_err(text)?;
            }
        }
        let done = match server.state {
            ServerState::Running | ServerState::StoppedInPlace => {
                self.cloud.terminate_server(&self.zone, &server.id).await
            }
            ServerState::Stopped => self.cloud.delete_server(&self.zone, &server.id).await,
            ServerState::Starting | ServerState::Stopping | ServerState::Locked | ServerState::Other(_) => {
                return Ok(());
            }
        };
        // A refusal is tried again at the next look: the state may have changed.
        if done.is_ok() {
            self.tell(lines, Line::Removed(format!("server {} {}", server.id, server.name)));
        }
        Ok(())
    }
}

fn text(error: Error) -> String {
    error.to_string()
}

fn expect(holds: bool, why: impl FnOnce() -> String) -> Step<()> {
    if holds { Ok(()) } else { Err(why()) }
}
