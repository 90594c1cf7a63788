//! The executable with PostgreSQL as in production: on another machine, behind TLS, with the password in a file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

use inventiv_testkit::Database;
use private_postgres::{Binaries, Postgres};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PASSWORD: &str = "correct-horse-battery";

/// A certificate authority, and a certificate that it issued for 127.0.0.1 only.
struct Papers {
    authority: String,
    certificate: String,
    key: String,
}

fn papers() -> Papers {
    let mut ours = CertificateParams::new(Vec::new()).unwrap();
    ours.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority = ours.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(ours, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    Papers { authority: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
}

/// A PostgreSQL that accepts only TLS with a password, and its port.
fn server(binaries: &Binaries, papers: &Papers) -> (Postgres, u16) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Postgres::start(binaries, &[&format!("port={port}"), "listen_addresses=127.0.0.1"]).unwrap();
    let certificate = server.write("server.crt", &papers.certificate).unwrap();
    let key = server.write("server.key", &papers.key).unwrap();
    let rules =
        server.write("rules", "local all postgres trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n").unwrap();
    for sql in [
        format!("CREATE ROLE inventiv LOGIN PASSWORD '{PASSWORD}'"),
        "CREATE DATABASE inventiv OWNER inventiv".to_owned(),
        format!("ALTER SYSTEM SET ssl_cert_file = '{}'", certificate.display()),
        format!("ALTER SYSTEM SET ssl_key_file = '{}'", key.display()),
        "ALTER SYSTEM SET ssl = on".to_owned(),
        format!("ALTER SYSTEM SET hba_file = '{}'", rules.display()),
    ] {
        server.sql(&sql).unwrap();
    }
    (server, port)
}

fn private(path: PathBuf, text: &str) -> PathBuf {
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn migrate(url: &str, passwords: &Path, check: bool) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inventiv"));
    command.arg("migrate").args(check.then_some("--check")).env_clear().stdin(Stdio::null());
    command.env("INVENTIV_DATABASE_URL", url).env("PGPASSFILE", passwords);
    command.output().unwrap()
}

#[test]
fn behind_tls_with_the_password_in_a_file_and_nothing_less() {
    if !Database::both().contains(&Database::Postgres) {
        return;
    }
    let Some(binaries) = Binaries::find() else {
        println!("skipped: found no PostgreSQL binaries (PG_BIN names their folder)");
        return;
    };
    let (right, others) = (papers(), papers());
    let (mut server, port) = server(&binaries, &right);
    server.resume().unwrap();
    let home = tempfile::tempdir().unwrap();
    let ca = private(home.path().join("ca.pem"), &right.authority);
    let other_ca = private(home.path().join("other.pem"), &others.authority);
    let passwords = private(home.path().join("pgpass"), &format!("127.0.0.1:{port}:inventiv:inventiv:{PASSWORD}\n"));
    let wrong = private(home.path().join("wrong"), &format!("127.0.0.1:{port}:inventiv:inventiv:wrong-{PASSWORD}\n"));
    let none = home.path().join("none");
    let url = |host: &str, mode: &str, ca: &Path| {
        format!("postgres://inventiv@{host}:{port}/inventiv?sslmode={mode}&sslrootcert={}", ca.display())
    };
    let good = url("127.0.0.1", "verify-full", &ca);

    let before = migrate(&good, &passwords, true);
    assert_eq!(before.status.code(), Some(4), "{}", String::from_utf8_lossy(&before.stderr));
    let done = migrate(&good, &passwords, false);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let reported = String::from_utf8_lossy(&done.stdout);
    assert!(reported.contains("up to date"), "{reported}");
    assert_eq!(migrate(&good, &passwords, true).status.code(), Some(0));

    let refused = [
        ("an authority that did not sign it", url("127.0.0.1", "verify-full", &other_ca), &passwords),
        ("a host that the certificate does not name", url("localhost", "verify-full", &ca), &passwords),
        ("without TLS", url("127.0.0.1", "disable", &ca), &passwords),
        ("a wrong password", good.clone(), &wrong),
        ("no password", good, &none),
    ];
    for (what, url, passwords) in refused {
        let out = migrate(&url, passwords, true);
        let reported = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
        assert_eq!(out.status.code(), Some(1), "{what}: {reported}");
        assert!(
            !reported.contains(PASSWORD) && !reported.contains("panicked") && !reported.trim().is_empty(),
            "{what}: {reported}"
        );
        println!("{what}: {}", reported.trim());
    }
}
