//! The executable: no machine outlives it, however it ends.

use crate::{INSTANCE, SYSTEM, group_of, image, read};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Program {
    child: Child,
    address: String,
}

impl Program {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_scaleway-emulator"))
            .args(["--listen", "127.0.0.1:0", "--clock", "x1000", "--boot", SYSTEM, "--state-dir"])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().trim_start_matches("listening on http://").split(' ').next().unwrap().to_owned();
        Self { child, address }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (mut stream, body) = (TcpStream::connect(&self.address).unwrap(), body.to_string());
        let head = "host: e\r\nx-auth-token: t\r\nconnection: close\r\ncontent-length:";
        write!(stream, "{method} {path} HTTP/1.1\r\n{head} {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < until, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn no_machine_outlives_the_emulator() {
    for name in ["-TERM", "-INT", "-KILL"] {
        let home = tempfile::tempdir().unwrap();
        let mut program = Program::start(home.path());
        let image = image(|path| program.ask("GET", path, &Value::Null));
        let body = json!({"name": "s", "commercial_type": "PLAY2-PICO", "image": image});
        let made = program.ask("POST", INSTANCE, &body);
        let id = made["server"]["id"].as_str().unwrap();
        program.ask("POST", &format!("{INSTANCE}/{id}/action"), &json!({"action": "poweron"}));
        let disk = home.path().join("servers").join(id);
        eventually("the system is up", || disk.join("beats").exists());
        let pid = read(&disk.join("pids")).trim().to_owned();
        assert!(group_of(&pid) > 0);
        program.signal(name);
        let status = program.child.wait().unwrap();
        assert_eq!(status.success(), name != "-KILL", "{name}: {status}");
        eventually(name, || group_of(&pid) == 0);
        assert!(disk.exists(), "a given folder is kept");
    }
}
