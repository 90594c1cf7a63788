//! Ten instance life cycles with faults that made other systems lose servers, volumes or data: one readable file each.
//!
//! The tests define what the cloud does; what the planner does follows from its rules. `INVENTIV_UPDATE_TRANSCRIPTS=1`
//! rewrites the files: review the difference before you commit it.

use super::*;
use crate::cloud::{Spares, UserData};
use crate::plan::Plan;
use std::path::Path;

struct Transcript {
    stage: Stage,
    lines: Vec<String>,
    /// The last observation, so that identical ones are written once.
    last: String,
    again: usize,
}

impl Transcript {
    fn new(title: &str) -> Self {
        Self { stage: Stage::new(), lines: vec![title.to_owned(), String::new()], last: String::new(), again: 0 }
    }

    fn at(&self) -> String {
        let s = self.stage.now.ms_since(T0) / 1_000;
        format!("{:02}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60)
    }

    fn line(&mut self, who: &str, text: &str) {
        self.flush();
        let at = self.at();
        self.lines.push(format!("{at}  {who:<9} {text}"));
    }

    fn flush(&mut self) {
        if self.again > 0 {
            self.lines.push(format!("          … and {} more identical observation(s)", self.again));
            self.again = 0;
        }
        self.last.clear();
    }

    fn cloud(&mut self, text: &str) {
        self.line("cloud:", text);
    }

    fn user(&mut self, text: &str) {
        self.line("user:", text);
    }

    fn pass(&mut self, seconds: i64) {
        self.stage.now = self.stage.now.plus_ms(seconds * 1_000);
    }

    fn seen(&self) -> String {
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
    fn observe(&mut self) -> Vec<Action> {
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
    fn relative(&self, line: &str, planned: &Plan) -> String {
        let times = planned.recorded.instance.notes.iter().filter_map(|n| n.until);
        times.fold(line.to_owned(), |line, until| {
            let seconds = until.ms_since(self.stage.now) / 1_000;
            line.replace(&format!("(until {until})"), &format!("(until {seconds} s from now)"))
        })
    }

    /// Observes so many times, while the cloud carries out every action.
    fn go(&mut self, times: usize) {
        for _ in 0..times {
            for action in self.observe() {
                self.accept(&action);
            }
        }
    }

    fn lose(&mut self, action: &Action, text: &str) {
        self.cloud(text);
        self.stage.answer(action, Err(lost()));
    }

    fn refuse(&mut self, action: &Action, kind: ErrorKind, message: &str) {
        self.cloud(&format!("refuses: {message}"));
        self.stage.answer(action, Err(CallError { kind, effect: Effect::None, message: message.into() }));
    }

    /// The cloud carries out the action, and responds.
    fn accept(&mut self, action: &Action) {
        let reply = self.take_effect(action);
        self.stage.answer(action, Ok(reply));
    }

    /// The cloud carries out the action. Returns its response.
    fn take_effect(&mut self, action: &Action) -> CallResult {
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

    fn terminate(&mut self) {
        self.user("terminate it");
        self.stage.cancel();
    }

    /// Compares with the file, or writes it.
    fn end(mut self, file: &str) {
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

fn ready(title: &str) -> Transcript {
    let mut t = Transcript::new(title);
    t.go(6);
    assert_eq!(t.stage.agg.instance.status, Status::Ready);
    t
}

#[test]
fn killed_after_the_create() {
    let mut t =
        Transcript::new("The control plane is killed after the cloud created the server, before that is recorded.");
    let actions = t.observe();
    t.take_effect(&actions[0]);
    t.cloud("creates server s1; the response is lost because the process was killed");
    t.go(8);
    t.end("01-killed-after-the-create.txt");
}

#[test]
fn a_volume_whose_creation_answers_502() {
    let mut t = Transcript::new("The response to the creation of the data volume is 502, and the volume exists.");
    t.go(1);
    for action in t.observe() {
        if matches!(action, Action::Create(Creation::Volume(_))) {
            t.take_effect(&action);
            t.lose(&action, "creates volume data1, and responds with 502");
        } else {
            t.accept(&action);
        }
    }
    t.go(6);
    t.end("02-a-volume-whose-creation-answers-502.txt");
}

#[test]
fn the_list_lags() {
    let mut t = Transcript::new("The response to the creation is lost, and for minutes no listing shows the server.");
    let actions = t.observe();
    t.lose(&actions[0], "creates server s1; the response is lost, and no listing shows the server yet");
    for _ in 0..120 {
        t.observe();
    }
    t.cloud("now shows server s1");
    t.take_effect(&actions[0]);
    t.go(8);
    t.end("03-the-list-lags.txt");
}

#[test]
fn cancelled_while_it_is_made() {
    let mut t = Transcript::new(
        "The user terminates the instance while its server is being created, and the response is lost.",
    );
    let actions = t.observe();
    t.lose(&actions[0], "is creating server s1; the response is lost");
    t.terminate();
    t.go(3);
    t.cloud("shows server s1");
    t.take_effect(&actions[0]);
    t.go(12);
    t.end("04-cancelled-while-it-is-made.txt");
}

#[test]
fn deletion_is_refused_for_hours() {
    let mut t = ready("For hours, the credentials lack the permission to delete.");
    t.terminate();
    t.go(1);
    for _ in 0..6 {
        for action in t.observe() {
            if matches!(action, Action::Volume(_, VolumeCall::Delete)) {
                t.refuse(&action, ErrorKind::Unauthorized, "insufficient permissions");
            } else {
                t.accept(&action);
            }
        }
        t.pass(1_800);
    }
    t.cloud("accepts the credentials again");
    t.go(4);
    t.end("05-deletion-is-refused-for-hours.txt");
}

#[test]
fn a_404_that_is_not_true() {
    let mut t = ready("The cloud responds with 404 for a volume that exists and is billed.");
    t.terminate();
    t.go(1);
    for action in t.observe() {
        if matches!(action, Action::Volume(_, VolumeCall::Delete)) {
            t.refuse(&action, ErrorKind::NotFound, "404 for a volume that exists");
        } else {
            t.accept(&action);
        }
    }
    t.go(30);
    t.end("06-a-404-that-is-not-true.txt");
}

#[test]
fn volumes_survive_their_server() {
    let mut t = Transcript::new("Block volumes survive their server: each is deleted or retained separately.");
    t.stage.agg.instance.spec.data_volume.as_mut().unwrap().delete_on_terminate = false;
    t.go(6);
    t.terminate();
    t.go(8);
    t.end("07-volumes-survive-their-server.txt");
}

#[test]
fn every_error_is_not_not_found() {
    let mut t = ready("While the deletions are proven, the cloud responds with 403, 500 and 429.");
    t.terminate();
    t.go(1);
    for (kind, text) in
        [(ErrorKind::Unauthorized, "403"), (ErrorKind::Unavailable, "500"), (ErrorKind::RateLimited, "429")]
    {
        for action in t.observe() {
            if matches!(action, Action::Server(_, ServerCall::ProveGone)) {
                t.refuse(&action, kind, text);
            } else {
                t.accept(&action);
            }
        }
        t.pass(30);
    }
    t.go(6);
    t.end("08-every-error-is-not-not-found.txt");
}

#[test]
fn two_servers_with_one_name() {
    let mut t =
        Transcript::new("The create request is duplicated on its way: two servers have one name, and both are billed.");
    let actions = t.observe();
    t.take_effect(&actions[0]);
    let mut duplicate = t.stage.servers[0].clone();
    duplicate.id = "s9".into();
    duplicate.created_at = Some(T0.plus_ms(500));
    duplicate.attachments = vec![attachment(0, "boot9", "sbs_volume")];
    t.stage.servers.push(duplicate);
    t.stage.volumes.push(observed_volume("boot9", "img_sbs_volume_0", "sbs_volume", Some("s9")));
    t.lose(&actions[0], "creates servers s1 and s9; the response is lost");
    t.go(12);
    t.terminate();
    t.go(8);
    t.end("09-two-servers-with-one-name.txt");
}

#[test]
fn a_late_arrival() {
    let mut t = Transcript::new("The server of an abandoned attempt appears after all, while another server runs.");
    let actions = t.observe();
    t.lose(&actions[0], "does not respond");
    for _ in 0..3 {
        t.observe();
    }
    t.pass(600);
    t.go(7);
    t.cloud("shows server s1, of the first attempt");
    t.take_effect(&actions[0]);
    t.go(8);
    t.end("10-a-late-arrival.txt");
}

#[test]
fn a_cloud_whose_servers_run_from_their_creation() {
    let mut t = Transcript::new(
        "In another cloud, servers run as soon as they are created, with their user data, and their removal spares every \
         volume.",
    );
    t.stage.profile.born_running = true;
    t.stage.profile.user_data = UserData::WithCreation;
    t.stage.profile.removal_while_running = Spares::EveryVolume;
    t.go(6);
    assert_eq!(t.stage.agg.instance.status, Status::Ready);
    t.user("retain the scratch volume");
    let scratch = t.stage.agg.volumes.iter_mut().find(|v| v.provider_id.as_deref() == Some("scr1")).unwrap();
    scratch.set_policy(false);
    t.terminate();
    t.go(10);
    t.end("11-a-cloud-whose-servers-run-from-their-creation.txt");
}

#[test]
fn stopped_and_started_again_while_its_zone_is_out_of_stock() {
    let mut t = ready("The user stops the instance, and starts it again while its zone is out of stock.");
    t.user("stop it");
    t.stage.agg.instance.desired = Desired::Stopped;
    t.go(4);
    t.user("start it");
    t.stage.agg.instance.desired = Desired::Present;
    for _ in 0..160 {
        for action in t.observe() {
            if matches!(action, Action::Server(_, ServerCall::Start)) {
                t.stage.answer(&action, Ok(CallResult::Accepted));
                t.cloud("accepts the start, and the server stays stopped: the zone is out of stock");
            } else {
                t.accept(&action);
            }
        }
        t.pass(9);
    }
    assert_eq!(t.stage.agg.instance.failure, None, "its volumes hold data");
    t.cloud("has stock again");
    t.pass(600);
    t.go(3);
    assert_eq!(t.stage.agg.instance.status, Status::Ready);
    t.user("reboot it");
    t.stage.agg.instance.reboot_requested_at = Some(t.stage.now);
    t.go(3);
    t.terminate();
    t.go(8);
    t.end("12-stopped-and-started-while-out-of-stock.txt");
}
