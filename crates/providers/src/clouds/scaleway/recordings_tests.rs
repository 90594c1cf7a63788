//! Decodes every recorded response that an implemented call can receive, and classifies every recorded refusal.
//!
//! The recordings are not part of the repository. If they are absent, the tests print this and test nothing.

use super::{classify_error, wire};
use crate::http::ErrorClass;
use flate2::read::GzDecoder;
use inventiv_core::error::{Effect, ErrorKind};
use inventiv_core::observed::{ServerState, VolumeState};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.to_string_lossy().ends_with(".jsonl.gz") {
            found.push(path);
        }
    }
}

struct Exchange {
    method: String,
    parts: Vec<String>,
    status: u16,
    content_type: String,
    body: Value,
}

fn exchanges() -> Option<Vec<Exchange>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/scaleway/recordings");
    if !folder.is_dir() {
        eprintln!("skipped: there are no recordings");
        return None;
    }
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    let mut all = Vec::new();
    for path in paths {
        for line in BufReader::new(GzDecoder::new(File::open(&path).unwrap())).lines() {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let path = line["request"]["path"].as_str().unwrap_or_default();
            all.push(Exchange {
                method: line["request"]["method"].as_str().unwrap_or_default().to_owned(),
                parts: path.split('/').filter(|p| !p.is_empty()).map(str::to_owned).collect(),
                status: u16::try_from(line["response"]["status"].as_u64().unwrap_or(0)).unwrap(),
                content_type: line["response"]["headers"]["content-type"].as_str().unwrap_or_default().to_owned(),
                body: line["response"]["body"].clone(),
            });
        }
    }
    assert!(!all.is_empty());
    Some(all)
}

fn read<T: serde::de::DeserializeOwned>(e: &Exchange) -> T {
    let read = serde_json::from_value(e.body.clone());
    read.unwrap_or_else(|error| panic!("{} {}: {error}\n{}", e.method, e.parts.join("/"), e.body))
}

fn known_server(server: &Value) {
    let seen = wire::server(server);
    assert!(!matches!(seen.state, ServerState::Other(_)), "{seen:?}");
    assert!(seen.attachments.iter().all(|a| a.index < 16 && !a.volume_id.is_empty()), "{seen:?}");
    for a in &seen.attachments {
        assert_eq!(a.volume_type.is_block(), a.size_bytes.is_none(), "{a:?}");
    }
}

fn known_block(volume: &Value) {
    let seen = wire::block(volume);
    assert!(!matches!(seen.state, VolumeState::Other(_)), "{seen:?}");
    assert!(seen.size_bytes.is_some_and(|s| s >= 1_000_000_000), "{seen:?}");
    assert!(matches!(seen.perf_iops, Some(5_000 | 15_000)), "{seen:?}");
}

/// Decodes one response; returns the name of the call if it is one that we make.
fn decode(e: &Exchange) -> Option<&'static str> {
    let parts: Vec<&str> = e.parts.iter().map(String::as_str).collect();
    Some(match (e.method.as_str(), parts.as_slice()) {
        ("GET", ["instance", "v1", "zones", _, "servers"]) => {
            read::<wire::ServerList>(e).servers.iter().for_each(known_server);
            "list servers"
        }
        ("POST", ["instance", "v1", "zones", _, "servers"]) => {
            known_server(&read::<wire::ServerEnvelope>(e).server.0);
            "create server"
        }
        ("GET" | "PATCH", ["instance", "v1", "zones", _, "servers", _]) => {
            known_server(&read::<wire::ServerEnvelope>(e).server.0);
            "server"
        }
        ("POST", ["instance", "v1", "zones", _, "servers", _, "attach-volume" | "detach-volume"]) => {
            known_server(&read::<wire::ServerEnvelope>(e).server.0);
            "attach or detach"
        }
        ("GET", ["instance", "v1", "zones", _, "volumes"]) => {
            for v in read::<wire::LocalList>(e).volumes {
                assert!(!matches!(wire::local(&v).state, VolumeState::Other(_)));
            }
            "list local volumes"
        }
        ("GET" | "PATCH", ["instance", "v1", "zones", _, "volumes", _]) => {
            let seen = wire::local(&read::<wire::LocalEnvelope>(e).volume.0);
            assert!(!matches!(seen.state, VolumeState::Other(_)), "{seen:?}");
            assert!(seen.size_bytes.is_some());
            "local volume"
        }
        ("GET", ["block", "v1" | "v1alpha1", "zones", _, "volumes"]) => {
            let list = read::<wire::BlockList>(e);
            assert!(list.total_count >= list.volumes.len() as u64);
            list.volumes.iter().for_each(known_block);
            "list block volumes"
        }
        ("POST", ["block", "v1" | "v1alpha1", "zones", _, "volumes"])
        | ("GET" | "PATCH", ["block", "v1" | "v1alpha1", "zones", _, "volumes", _]) => {
            known_block(&e.body);
            "block volume"
        }
        ("GET", ["instance", "v1", "zones", _, "products", "servers"]) => {
            let products = read::<wire::Products>(e).servers;
            assert!(products.values().all(|p| p.ncpus > 0 && p.ram > 0 && p.hourly_price >= 0.0));
            "products"
        }
        ("GET", ["instance", "v1", "zones", _, "products", "servers", "availability"]) => {
            let words = read::<wire::Availabilities>(e).servers;
            assert!(words.values().all(|w| matches!(w.availability.as_str(), "available" | "scarce" | "shortage")));
            "availability"
        }
        ("GET", ["marketplace", "v2", "local-images"]) => {
            assert!(read::<wire::LocalImages>(e).local_images.iter().all(|i| i.id.len() == 36));
            "images by label"
        }
        _ => return None,
    })
}

#[test]
fn every_recorded_answer_that_we_can_receive_is_decoded() {
    let Some(all) = exchanges() else { return };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for e in all.iter().filter(|e| (200..300).contains(&e.status) && !e.body.is_null()) {
        if let Some(call) = decode(e) {
            *counts.entry(call).or_default() += 1;
        }
    }
    println!("decoded: {counts:?}");
    assert_eq!(counts.len(), 11, "{counts:?}");
}

#[test]
fn every_recorded_refusal_is_judged_by_its_type() {
    let Some(all) = exchanges() else { return };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for e in all.iter().filter(|e| e.status >= 400) {
        let body = if e.body.is_null() { Vec::new() } else { e.body.to_string().into_bytes() };
        let ErrorClass { kind, effect, message, .. } =
            classify_error::classify_error(crate::http::Purpose::Create, e.status, &e.content_type, &body);
        let word = e.body["type"].as_str().unwrap_or("no body");
        let expected = match (word, e.status) {
            ("not_found", _) => ErrorKind::NotFound,
            ("precondition_failed", _) => ErrorKind::Conflict,
            ("permissions_denied" | "denied_authentication", _) => ErrorKind::Unauthorized,
            ("no body", 429) => ErrorKind::RateLimited,
            ("invalid_arguments", _) if message.contains("not available") => ErrorKind::Conflict,
            ("invalid_arguments", _) => ErrorKind::Refused,
            // User data that does not exist: a 404 without a body is not a typed not-found.
            ("no body", 404) => ErrorKind::Unavailable,
            _ => panic!("{} {}: a refusal without a rule: {} {}", e.method, e.parts.join("/"), e.status, e.body),
        };
        assert_eq!(kind, expected, "{} {}", e.status, e.body);
        assert_eq!(effect, Effect::None, "{} {}", e.status, e.body);
        assert!(!message.is_empty() && message.chars().count() < 500);
        *counts.entry(format!("{} {word}", e.status)).or_default() += 1;
    }
    println!("judged: {counts:?}");
    assert!(counts.len() >= 5, "{counts:?}");
}
