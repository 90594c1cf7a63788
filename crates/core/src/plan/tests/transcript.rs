//! Plays an instance life cycle against a cloud that the test controls, and writes it down.

use super::*;
use crate::cloud::Spares;
use crate::plan::Plan;
use std::path::Path;

/// An instance life cycle that is written down as it happens.
pub(super) struct Transcript {
    pub(super) stage: Stage,
    pub(super) lines: Vec<String>,
    /// The last observation, so that identical ones are written once.
    pub(super) last: String,
    pub(super) again: usize,
}

impl Transcript {
    pub(super) fn new(title: &str) -> Self {
        Self { stage: Stage::new(), lines: vec![title.to_owned(), String::new()], last: String::new(), again: 0 }
    }

    pub(super) fn at(&self) -> String {
        let s = self.stage.now.ms_since(T0) / 1_000;
        format!("{:02}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60)
    }

    pub(super) fn line(&mut self, who: &str, text: &str) {
        self.flush();
        let at = self.at();
        self.lines.push(format!("{at}  {who:<9} {text}"));
    }

    pub(super) fn flush(&mut self) {
        if self.again > 0 {
            self.lines.push(format!("          … and {} more identical observation(s)", self.again));
            self.again = 0;
        }
        self.last.clear();
    }

    pub(super) fn cloud(&mut self, text: &str) {
        self.line("cloud:", text);
    }

    pub(super) fn user(&mut self, text: &str) {
        self.line("user:", text);
    }

    pub(super) fn pass(&mut self, seconds: i64) {
        self.stage.now = self.stage.now.plus_ms(seconds * 1_000);
    }

    pub(super) fn seen(&self) -> String {
        let servers = self.stage.servers.iter().map(|s| format!("server {} ({})", s.id, s.state.text()));
        let volumes = self.stage.volumes.iter().map(|v| match &v.server_id {
            Some(on) => format!("{} on {on}", v.id),
            None if v.state == VolumeState::Available => v.id.clone(),
            None => format!("{} ({:?})", v.id, v.state),
        });
        let all: Vec<String> = servers.chain(volumes).collect();
        if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
    }

    /// Observes once, writes what follows, and returns the actions that need a response.
    pub(super) fn observe(&mut self) -> Vec<Action> {
        let before = self.stage.agg.instance.status;
        let (_, planned) = self.stage.step();
        let mut text = vec![format!("sees {}", self.seen())];
        let changed = planned.recorded.instance.status != before;
        let shown = planned.to_string();
        text.extend(shown.lines().skip(usize::from(!changed)).map(|line| self.relative(line, &planned)));
        let notes = &planned.recorded.instance.notes;
        let noted: String = notes.iter().map(|n| n.text.as_str()).collect::<Vec<_>>().join(";");
        let key = format!("{}|{noted}|{:?}", self.seen(), self.stage.agg.instance.status);
        if planned.actions.is_empty() && planned.events.is_empty() && key == self.last {
            self.again += 1;
            return Vec::new();
        }
        self.flush();
        let at = self.at();
        for (n, line) in text.iter().enumerate() {
            self.lines.push(if n == 0 {
                format!("{at}  we:       {line}")
            } else {
                format!("                    {line}")
            });
        }
        self.last = if planned.actions.is_empty() { key } else { String::new() };
        planned.actions
    }

    /// A line of a plan with the time of its note from now.
    pub(super) fn relative(&self, line: &str, planned: &Plan) -> String {
        let times = planned.recorded.instance.notes.iter().filter_map(|n| n.until);
        times.fold(line.to_owned(), |line, until| {
            let seconds = until.ms_since(self.stage.now) / 1_000;
            line.replace(&format!("(until {until})"), &format!("(until {seconds} s from now)"))
        })
    }

    /// Observes so many times, while the cloud carries out every action.
    pub(super) fn go(&mut self, times: usize) {
        for _ in 0..times {
            for action in self.observe() {
                self.accept(&action);
            }
        }
    }

    pub(super) fn lose(&mut self, action: &Action, text: &str) {
        self.cloud(text);
        self.stage.answer(action, Err(lost()));
    }

    pub(super) fn refuse(&mut self, action: &Action, kind: ErrorKind, message: &str) {
        self.cloud(&format!("refuses: {message}"));
        self.stage.answer(action, Err(CallError { kind, effect: Effect::None, message: message.into() }));
    }

    /// The cloud carries out the action, and responds.
    pub(super) fn accept(&mut self, action: &Action) {
        let reply = self.take_effect(action);
        self.stage.answer(action, Ok(reply));
    }

    /// The cloud carries out the action. Returns its response.
    pub(super) fn take_effect(&mut self, action: &Action) -> CallResult {
        let agg = self.stage.agg.clone();
        let volume = action.volume_id().and_then(|id| agg.volume(id)).and_then(|v| v.provider_id.clone());
        let server = action.server_id().and_then(|id| agg.server_by_id(id)).and_then(|s| s.provider_id.clone());
        let (volume, server) = (volume.unwrap_or_default(), server.unwrap_or_default());
        let stage = &mut self.stage;
        match action {
            Action::Create(Creation::Server(row)) => {
                let id = format!("s{}", row.attempt);
                let mut made = observed_server(&id, &row.name, ServerState::Stopped);
                if stage.profile.born_running {
                    made.state = ServerState::Running;
                    made.allowed = vec![Allowed::Stop, Allowed::Terminate, Allowed::Reboot];
                    made.addresses = vec!["1.2.3.4".into()];
                }
                for (a, id) in
                    made.attachments.iter_mut().zip([format!("boot{}", row.attempt), format!("scr{}", row.attempt)])
                {
                    a.volume_id = id;
                }
                let (boot, scratch) = (made.attachments[0].volume_id.clone(), made.attachments[1].volume_id.clone());
                stage.servers.push(made.clone());
                stage.volumes.push(observed_volume(&boot, "img_sbs_volume_0", "sbs_volume", Some(&id)));
                stage.volumes.push(of_size(
                    1_600,
                    observed_volume(&scratch, "autogenerated scratch volume", "scratch", Some(&id)),
                ));
                return CallResult::Server(Box::new(made));
            }
            Action::Create(Creation::Volume(row)) => {
                let made = observed_volume(&format!("data{}", row.attempt), &row.name, "sbs_volume", None);
                let made = of_size(row.size_bytes.unwrap() / GB, made);
                stage.volumes.push(made.clone());
                return CallResult::Volume(Box::new(made));
            }
            Action::Volume(_, VolumeCall::Attach(_)) => {
                let on = stage.servers.iter_mut().find(|s| s.id == server).unwrap();
                on.attachments.push(attachment(2, &volume, "sbs_volume"));
                let v = stage.volumes.iter_mut().find(|v| v.id == volume).unwrap();
                (v.server_id, v.attachment_settled, v.state) = (Some(server), true, VolumeState::InUse);
            }
            Action::Volume(_, VolumeCall::Detach(_)) => {
                stage.servers.iter_mut().for_each(|s| s.attachments.retain(|a| a.volume_id != volume));
                let v = stage.volumes.iter_mut().find(|v| v.id == volume).unwrap();
                (v.server_id, v.state) = (None, VolumeState::Available);
            }
            Action::Server(_, ServerCall::Start) => {
                let s = stage.servers.iter_mut().find(|s| s.id == server).unwrap();
                (s.state, s.addresses) = (ServerState::Running, vec!["1.2.3.4".into()]);
                s.allowed = vec![Allowed::Stop, Allowed::Terminate, Allowed::Reboot];
            }
            Action::Server(_, ServerCall::Stop) => {
                let s = stage.servers.iter_mut().find(|s| s.id == server).unwrap();
                (s.state, s.addresses, s.allowed) = (ServerState::Stopped, Vec::new(), vec![Allowed::Start]);
            }
            Action::Server(_, ServerCall::Terminate) | Action::Server(_, ServerCall::Delete) => {
                let spares_all = stage.profile.removal_while_running == Spares::EveryVolume;
                let terminates = matches!(action, Action::Server(_, ServerCall::Terminate)) && !spares_all;
                stage.servers.retain(|s| s.id != server);
                let on_it = |v: &ObservedVolume| v.server_id.as_deref() == Some(&server);
                stage.volumes.retain(|v| !(terminates && on_it(v) && !v.is_block()));
                for v in stage.volumes.iter_mut().filter(|v| v.server_id.as_deref() == Some(&server)) {
                    (v.server_id, v.state) = (None, VolumeState::Available);
                }
            }
            Action::Volume(_, VolumeCall::Delete) => stage.volumes.retain(|v| v.id != volume),
            Action::Volume(_, VolumeCall::ProveGone) => {
                let there = stage.volumes.iter().any(|v| v.id == volume);
                return if there { CallResult::StillThere } else { proof(&volume, stage.now) };
            }
            Action::Server(_, ServerCall::ProveGone) => {
                let there = stage.servers.iter().any(|s| s.id == server);
                return if there { CallResult::StillThere } else { proof(&server, stage.now) };
            }
            Action::Volume(_, VolumeCall::Tag) => {
                let row = action.volume_id().and_then(|id| agg.volume(id)).unwrap();
                let name = agg.volume_name(row, "test").text();
                let v = stage.volumes.iter_mut().find(|v| v.id == volume).unwrap();
                v.name = name;
                return CallResult::Volume(Box::new(v.clone()));
            }
            Action::Server(_, ServerCall::Tag)
            | Action::Server(_, ServerCall::SetUserData)
            | Action::Server(_, ServerCall::Reboot)
            | Action::Volume(_, VolumeCall::Resize(_)) => {}
        }
        CallResult::Accepted
    }

    pub(super) fn terminate(&mut self) {
        self.user("terminate it");
        self.stage.cancel();
    }

    /// Compares with the file, or writes it.
    pub(super) fn end(mut self, file: &str) {
        self.flush();
        let i = &self.stage.agg.instance;
        self.lines.push(String::new());
        self.lines.push(format!("In the end it is {}; the cloud holds {}.", i.status, self.seen()));
        let open = crate::proof::open_points(&self.stage.agg);
        self.lines.push(if open.is_empty() {
            "It is proven clean.".into()
        } else {
            format!("Open: {}.", open.join("; "))
        });
        let text = self.lines.join("\n") + "\n";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/tests/transcripts").join(file);
        if std::env::var_os("INVENTIV_UPDATE_TRANSCRIPTS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, written, "{file}: INVENTIV_UPDATE_TRANSCRIPTS=1 rewrites it");
    }
}

fn of_size(gb: i64, volume: ObservedVolume) -> ObservedVolume {
    ObservedVolume { size_bytes: Some(gb * GB), ..volume }
}
