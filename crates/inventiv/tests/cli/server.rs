//! A control plane process, its emulated cloud, and how to run the executable.

use scaleway_emulator::Emulator;
use scaleway_emulator::options::{ClockMode, Options};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn inventiv(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inventiv"));
    command.args(args).env_clear().envs(env.iter().copied()).stdin(Stdio::null());
    command.output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A control plane process with its own folder.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) folder: PathBuf,
    pub(crate) url: String,
    pub(crate) env: Vec<(String, String)>,
}

impl Server {
    pub(crate) fn start(folder: &Path, cloud: &str) -> Self {
        Self::start_with(folder, cloud, &[])
    }

    /// With more variables, which win.
    pub(crate) fn start_with(folder: &Path, cloud: &str, more: &[(&str, &str)]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let path = |name: &str| folder.join(name).display().to_string();
        let mut env = vec![
            ("SCW_SECRET_KEY".to_owned(), "22222222-2222-4222-8222-222222222222".to_owned()),
            ("SCW_DEFAULT_PROJECT_ID".to_owned(), "11111111-1111-4111-8111-111111111111".to_owned()),
            ("SCW_API_URL".to_owned(), cloud.to_owned()),
            ("INVENTIV_LISTEN".to_owned(), format!("127.0.0.1:{port}")),
            ("INVENTIV_DATABASE_URL".to_owned(), format!("sqlite:{}", path("inventiv.db"))),
            ("INVENTIV_TOKEN_FILE".to_owned(), path("token")),
            ("INVENTIV_URL".to_owned(), url.clone()),
            ("INVENTIV_ZONES".to_owned(), "fr-par-2".to_owned()),
            // A kill between an intent and its call leaves an unconfirmed creation for this long.
            ("INVENTIV_CREATE_GRACE_SECONDS".to_owned(), "3".to_owned()),
            ("INVENTIV_CONSISTENCY_WINDOW_SECONDS".to_owned(), "2".to_owned()),
        ];
        env.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let child = Self::spawn(&env);
        let server = Self { child, folder: folder.to_owned(), url, env };
        server.wait();
        server
    }

    pub(crate) fn spawn(env: &[(String, String)]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inventiv"));
        command.arg("serve").env_clear().envs(env.iter().cloned()).stdin(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Waits until it has a catalogue.
    pub(crate) fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let out = self.run(&["offer", "list", "--output", "json"]);
            if out.status.success() && text(&out.stdout).contains("L40S-1-48G") {
                return;
            }
            std::thread::yield_now();
        }
        panic!("the control plane at {} did not start", self.url);
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let env: Vec<(&str, &str)> = self.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        inventiv(args, &env)
    }

    pub(crate) fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::spawn(&self.env);
        self.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The emulator over HTTP, with a clock that is fifty times faster.
pub(crate) struct Cloud {
    pub(crate) emulator: Emulator,
    pub(crate) url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Cloud {
    pub(crate) fn start() -> Self {
        Self::start_at(None)
    }

    /// With a clock that begins at a time, in microseconds since 1970; `None`: now.
    pub(crate) fn start_at(start_us: Option<i64>) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let emulator = Emulator::new(Options { clock: ClockMode::Scaled(50), start_us, ..Options::default() });
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = emulator.clone();
        runtime.spawn(async move { serving.serve(listener, std::future::pending()).await });
        Self { emulator, url, _runtime: runtime }
    }

    pub(crate) fn env(&self) -> [(&str, &str); 3] {
        [
            ("SCW_API_URL", self.url.as_str()),
            ("SCW_SECRET_KEY", "22222222-2222-4222-8222-222222222222"),
            ("SCW_DEFAULT_PROJECT_ID", "11111111-1111-4111-8111-111111111111"),
        ]
    }

    pub(crate) fn left(&self) -> usize {
        let state = self.emulator.state();
        ["servers", "volumes", "ips"].iter().map(|k| state[*k].as_array().unwrap().len()).sum()
    }

    /// The cloud-init of a server.
    pub(crate) fn user_data(&self, server: &str) -> String {
        let path = format!("/instance/v1/zones/fr-par-2/servers/{server}/user_data/cloud-init");
        let request = http::Request::get(path).header("x-auth-token", "any").body(bytes::Bytes::new()).unwrap();
        text(self.emulator.handle(&request).body())
    }

    /// Runs the doctor until it has created a server.
    pub(crate) fn doctor_with_a_server(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inventiv"));
        command.args(["doctor", "--live", "--yes"]).env_clear().envs(self.env()).stdin(Stdio::null());
        let doctor = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let began = Instant::now();
        while self.emulator.state()["servers"].as_array().unwrap().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(60), "it creates nothing");
            std::thread::yield_now();
        }
        doctor
    }
}
