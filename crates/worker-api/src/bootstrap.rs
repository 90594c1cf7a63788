//! What a new server needs, as files of its user data, to receive the worker's program over mutual TLS.

use crate::tls::Identity;
use inventiv_core::cloud_config::{WorkerFile, WorkerFiles};

/// The program that receives the worker's program. It needs Python's standard library and nothing else: cloud-init is
/// written in Python, so every server with cloud-init has it.
pub const SCRIPT: &str = include_str!("bootstrap.py");
/// The folder of certificates on a server.
pub const TLS_FOLDER: &str = "/etc/inventiv/tls";
/// The worker's program on a server.
pub const PROGRAM: &str = "/usr/local/bin/inventiv";

const BOOTSTRAP_UNIT: &str = include_str!("inventiv-bootstrap.service");
const WORKER_UNIT: &str = include_str!("inventiv-worker.service");

/// The files of the user data, and the commands to run once.
#[must_use]
pub fn files(authority_pem: &str, identity: &Identity) -> WorkerFiles {
    let file = |path: &str, mode: &'static str, content: &str| WorkerFile {
        path: path.to_owned(),
        mode,
        content: content.to_owned(),
    };
    WorkerFiles {
        files: vec![
            file(&format!("{TLS_FOLDER}/authority.pem"), "0644", authority_pem),
            file(&format!("{TLS_FOLDER}/certificate.pem"), "0644", &identity.certificate_pem),
            file(&format!("{TLS_FOLDER}/key.pem"), "0600", &identity.key_pem),
            file("/usr/local/lib/inventiv/bootstrap.py", "0755", SCRIPT),
            file("/etc/systemd/system/inventiv-bootstrap.service", "0644", BOOTSTRAP_UNIT),
            file("/etc/systemd/system/inventiv-worker.service", "0644", WORKER_UNIT),
        ],
        commands: vec![
            // A reset within half a minute would leave empty files.
            "sync".to_owned(),
            "systemctl daemon-reload".to_owned(),
            "systemctl enable inventiv-bootstrap.service inventiv-worker.service".to_owned(),
            "systemctl start --no-block inventiv-bootstrap.service".to_owned(),
        ],
    }
}
