//! The provider contract as a test suite: tests run it against the emulator, `inventiv doctor --live` on a real
//! account.
//!
//! It creates the smallest possible resources, under names of its own, and always removes them (`clean`). The next run
//! cleans up after a run that was killed. Behaviour that no recording shows is tried and reported. On a stop request,
//! the call in flight is completed first: a resource that a dropped call creates would be unknown.

mod clean;

pub use clean::{PREFIX, is_own};

use crate::{Answer, CloudProvider, Error, Existence, NewServer, NewVolume, VolumeRef};
use clean::{Role, name};
use inventiv_core::error::Effect;
use inventiv_core::observed::{ObservedServer, ObservedVolume, ServerState, VolumeState};
use inventiv_core::offer::{Availability, BootStorage, Offer};
use std::time::Duration;
use tokio::time::Instant;

/// The last check of a run. If it fails, the report names what is left.
pub const NOTHING_LEFT: &str = "nothing of it is left";
const GB: i64 = 1_000_000_000;

/// The configuration of the suite.
pub struct Suite<'a> {
    /// The account.
    pub cloud: &'a dyn CloudProvider,
    /// The zone.
    pub zone: String,
    /// The server type to create.
    pub instance_type: String,
    /// The label of the image.
    pub image: String,
    /// The polling interval.
    pub every: Duration,
    /// The time-out of each wait, and of the whole clean-up.
    pub patience: Duration,
    /// The time-out of the whole run, without the clean-up.
    pub limit: Duration,
    /// How long after a creation without a response its resource may still appear.
    pub late: Duration,
    /// The id of this run: 12 hexadecimal digits, part of every name.
    pub run: String,
    /// Whether the run should stop.
    pub stop: &'a (dyn Fn() -> bool + Send + Sync),
    /// Receives each line of the report as it happens.
    pub say: &'a (dyn Fn(&Line) + Send + Sync),
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A check that succeeded, and what was observed.
    Kept(&'static str, String),
    /// A check that failed, and why.
    Broken(&'static str, String),
    /// Behaviour that no recording shows, and what the provider did.
    Settled(&'static str, String),
    /// A resource that was removed.
    Removed(String),
    /// A third party's resource that was left alone.
    Spared(String),
}

/// The cheapest available type without a GPU that boots from block storage.
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

/// The report so far, and the resources to remove.
#[derive(Default)]
struct Course {
    lines: Vec<Line>,
    servers: Vec<String>,
    volumes: Vec<VolumeRef>,
    /// When a creation ended without a response.
    unanswered: Option<Instant>,
    ends: Option<Instant>,
}

impl Course {
    /// Notes that the deletion of a volume was accepted: its absence needs no further evidence.
    fn deleted(&mut self, id: &str) {
        self.volumes.iter_mut().filter(|v| v.id == id).for_each(|v| v.deletion_accepted = true);
    }
}

impl Suite<'_> {
    /// Cleans up, runs all checks, and cleans up again. Returns the report.
    pub async fn run(&self) -> Vec<Line> {
        let mut course = Course::default();
        let done = match self.clean_earlier(&mut course).await {
            Ok(()) => {
                course.ends = Some(Instant::now() + self.limit);
                self.all(&mut course).await
            }
            Err(e) => Err(("what an earlier run left is removed", e)),
        };
        match done {
            Err((what, why)) if !(self.stop)() => self.report(&mut course, Line::Broken(what, why)),
            // After a stop request, the interrupted check is not a failure.
            Ok(()) | Err(_) => {}
        }
        match self.clean_own(&mut course).await {
            Ok(how) => self.kept(&mut course, NOTHING_LEFT, how),
            Err(why) => self.report(&mut course, Line::Broken(NOTHING_LEFT, why)),
        }
        course.lines
    }

    fn report(&self, course: &mut Course, line: Line) {
        (self.say)(&line);
        course.lines.push(line);
    }

    fn kept(&self, course: &mut Course, what: &'static str, seen: impl Into<String>) {
        self.report(course, Line::Kept(what, seen.into()));
    }

    /// Fails if the run must stop; called before every creation and every wait.
    fn go_on(&self, course: &Course) -> Step<()> {
        if (self.stop)() {
            return Err("stopped on request".to_owned());
        }
        let late = course.ends.is_some_and(|end| Instant::now() > end);
        expect(!late, || format!("not done within {} minutes", self.limit.as_secs() / 60))
    }

    async fn all(&self, course: &mut Course) -> Result<(), (&'static str, String)> {
        let mut data =
            self.volume_alone(course).await.map_err(|e| ("a block volume is created, found, tagged and grown", e))?;
        let server =
            self.server_stopped(course, &mut data).await.map_err(|e| ("a server is created and gets the volume", e))?;
        let leaves = self.server_running(course, &server).await.map_err(|e| ("a server runs", e))?;
        self.ends(course, &server, &data, leaves)
            .await
            .map_err(|e| ("terminate leaves block volumes, which are then deleted", e))
    }

    /// The created resource. A creation without a response may have created one nevertheless.
    fn made<T>(course: &mut Course, answer: Result<Answer<T>, Error>) -> Step<T> {
        match answer {
            Ok(made) => Ok(made.value),
            Err(e) => {
                if e.effect == Effect::Unknown {
                    course.unanswered = Some(Instant::now());
                }
                Err(text(e))
            }
        }
    }

    async fn volume_alone(&self, course: &mut Course) -> Step<VolumeRef> {
        self.go_on(course)?;
        let first = name(&self.run, Role::Data);
        let new =
            NewVolume { name: first.clone(), tags: vec![PREFIX.to_owned()], size_bytes: GB, perf_iops: Some(5_000) };
        let made = Self::made(course, self.cloud.create_volume(&self.zone, &new).await)?;
        let data = VolumeRef::new(made.id, made.volume_type);
        course.volumes.push(data.clone());
        let seen = self.until_volume(course, &data, |v| v.state == VolumeState::Available).await?;
        expect(seen.size_bytes == Some(GB), || format!("its size is {:?}, not {GB} bytes", seen.size_bytes))?;
        self.kept(course, "a block volume is created in bytes and becomes available", format!("{} of 1 GB", data.id));
        let found = self.cloud.find(&self.zone, &first).await.map_err(text)?;
        let ids: Vec<&str> = found.volumes.iter().map(|v| v.id.as_str()).collect();
        expect(ids == [data.id.as_str()], || format!("the search by its name found {ids:?}"))?;
        self.kept(course, "it is found by its name, and nothing else is", first);
        let renamed = name(&self.run, Role::Renamed);
        self.cloud.tag_volume(&self.zone, &data, &renamed, &["doctor".to_owned()]).await.map_err(text)?;
        let seen = self.until_volume(course, &data, |v| v.name == renamed).await?;
        self.kept(course, "it is renamed at once", seen.name);
        self.report(course, Line::Settled("tags of a block volume by PATCH", "accepted".to_owned()));
        self.cloud.resize_volume(&self.zone, &data, 2 * GB - 1).await.map_err(text)?;
        self.until_volume(course, &data, |v| v.size_bytes == Some(2 * GB) && v.state == VolumeState::Available).await?;
        self.kept(course, "it grows, and a part of a GB is rounded up", "2 GB");
        Ok(data)
    }

    async fn server_stopped(&self, course: &mut Course, data: &mut VolumeRef) -> Step<ObservedServer> {
        let mut made = self.server_made(course).await?;
        let terminated = self.cloud.terminate_server(&self.zone, &made.id).await;
        if self.settle(course, "terminate of a stopped server", terminated) {
            self.until_server_gone(course, &made.id).await?;
            made = self.server_made(course).await?;
        }
        self.cloud.attach_volume(&self.zone, &made.id, data).await.map_err(text)?;
        self.until_volume(course, data, |v| v.server_id.as_deref() == Some(&made.id) && v.attachment_settled).await?;
        self.kept(course, "the volume is attached", data.id.clone());
        let twice = self.cloud.attach_volume(&self.zone, &made.id, data).await;
        self.settle(course, "a second attachment of the same volume", twice);
        let refused = self.cloud.delete_volume(&self.zone, data).await;
        if self.settle(course, "deletion of a block volume that is in use", refused) {
            data.deletion_accepted = true;
            course.deleted(&data.id);
        }
        Ok(made)
    }

    async fn server_made(&self, course: &mut Course) -> Step<ObservedServer> {
        self.go_on(course)?;
        let new = NewServer {
            name: name(&self.run, Role::Server),
            tags: vec![PREFIX.to_owned()],
            instance_type: self.instance_type.clone(),
            image: self.image.clone(),
            boot_storage: BootStorage::Block,
            user_data: None,
        };
        let made = Self::made(course, self.cloud.create_server(&self.zone, &new).await)?;
        course.servers.push(made.id.clone());
        expect(made.state == ServerState::Stopped, || format!("its first state is {}", made.state.text()))?;
        let boot = made.attachments.first().ok_or("the response shows no volume")?;
        let boot = VolumeRef::new(&boot.volume_id, boot.volume_type.clone());
        course.volumes.push(boot.clone());
        self.kept(
            course,
            "a server is created stopped, with its boot volume in the response",
            format!("{} on {}", made.id, boot.id),
        );
        // Its automatic name identifies no run. With this name, the next run finds it if this one is killed.
        let boot_name = name(&self.run, Role::Boot);
        self.cloud.tag_volume(&self.zone, &boot, &boot_name, &[PREFIX.to_owned()]).await.map_err(text)?;
        self.kept(course, "its boot volume is renamed", boot.id);
        self.cloud.set_user_data(&self.zone, &made.id, "#cloud-config\n").await.map_err(text)?;
        self.kept(course, "it accepts cloud-init data", "cloud-init");
        Ok(made)
    }

    /// Returns whether the server's deletion was accepted while it ran.
    async fn server_running(&self, course: &mut Course, server: &ObservedServer) -> Step<bool> {
        let began = Instant::now();
        self.until_server(course, &server.id, |s| s.allowed.contains(&inventiv_core::observed::Allowed::Start)).await?;
        self.cloud.start_server(&self.zone, &server.id).await.map_err(text)?;
        self.until_server(course, &server.id, |s| s.state == ServerState::Running).await?;
        self.kept(course, "it starts", format!("after {:.0} s", began.elapsed().as_secs_f32()));
        let refused = self.cloud.delete_server(&self.zone, &server.id).await;
        Ok(self.settle(course, "deletion of a running server", refused))
    }

    async fn ends(&self, course: &mut Course, server: &ObservedServer, data: &VolumeRef, leaves: bool) -> Step<()> {
        let began = Instant::now();
        if leaves {
            let gone = self.until_server_gone(course, &server.id).await?;
            self.report(
                course,
                Line::Settled("after its deletion while it ran", format!("the server is gone: {gone}")),
            );
        } else {
            let may = inventiv_core::observed::Allowed::Terminate;
            self.until_server(course, &server.id, |s| s.allowed.contains(&may)).await?;
            self.cloud.terminate_server(&self.zone, &server.id).await.map_err(text)?;
            let gone = self.until_server_gone(course, &server.id).await?;
            self.kept(
                course,
                "terminate removes it, and a typed not-found proves it",
                format!("{gone}, after {:.0} s", began.elapsed().as_secs_f32()),
            );
        }
        let blocks = server.attachments.iter().filter(|a| a.volume_type.is_block());
        let boots = blocks.map(|a| VolumeRef::new(&a.volume_id, a.volume_type.clone()));
        for mut volume in boots.chain([data.clone()]) {
            let began = Instant::now();
            let there = self.cloud.volume(&self.zone, &volume).await.map_err(text)?;
            if volume.id == data.id && matches!(there, Existence::Gone(_)) {
                self.report(course, Line::Settled("after its deletion in use", "the volume is gone".to_owned()));
                continue;
            }
            self.until_volume(course, &volume, |v| v.state == VolumeState::Available).await?;
            self.kept(
                course,
                "its block volume stays and becomes available",
                format!("{} after {:.0} s", volume.id, began.elapsed().as_secs_f32()),
            );
            self.cloud.delete_volume(&self.zone, &volume).await.map_err(text)?;
            volume.deletion_accepted = true;
            course.deleted(&volume.id);
            match self.cloud.volume(&self.zone, &volume).await.map_err(text)? {
                Existence::Gone(answer) => self.kept(course, "a deleted volume is a typed not-found", answer.answer),
                Existence::Exists(_) => return Err(format!("{} still exists after its deletion", volume.id)),
            }
        }
        Ok(())
    }

    /// Reports whether a call that no recording shows was accepted or how it was refused; returns whether it was
    /// accepted.
    fn settle<T>(&self, course: &mut Course, what: &'static str, done: Result<Answer<T>, Error>) -> bool {
        let accepted = done.is_ok();
        let seen = match done {
            Ok(_) => "accepted".to_owned(),
            Err(e) => format!("HTTP {}: {}", e.status.map_or_else(|| "-".to_owned(), |s| s.to_string()), e.message),
        };
        self.report(course, Line::Settled(what, seen));
        accepted
    }

    async fn until_volume(
        &self,
        course: &Course,
        volume: &VolumeRef,
        done: impl Fn(&ObservedVolume) -> bool,
    ) -> Step<ObservedVolume> {
        let began = Instant::now();
        loop {
            self.go_on(course)?;
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

    async fn until_server(
        &self,
        course: &Course,
        id: &str,
        done: impl Fn(&ObservedServer) -> bool,
    ) -> Step<ObservedServer> {
        let began = Instant::now();
        loop {
            self.go_on(course)?;
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

    async fn until_server_gone(&self, course: &Course, id: &str) -> Step<String> {
        let began = Instant::now();
        loop {
            self.go_on(course)?;
            match self.cloud.server(&self.zone, id).await.map_err(text)? {
                Existence::Gone(gone) => return Ok(gone.answer),
                Existence::Exists(seen) if began.elapsed() > self.patience => {
                    return Err(format!("server {id} is {} after {:?}", seen.state.text(), self.patience));
                }
                Existence::Exists(_) => tokio::time::sleep(self.every).await,
            }
        }
    }
}

fn text(error: Error) -> String {
    error.to_string()
}

fn expect(holds: bool, why: impl FnOnce() -> String) -> Step<()> {
    if holds { Ok(()) } else { Err(why()) }
}
