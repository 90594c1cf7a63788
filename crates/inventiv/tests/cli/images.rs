//! Images: listed, and checked before an instance is recorded.

use crate::server::{Cloud, Server, text};
use serde_json::Value;

#[test]
fn an_image_that_does_not_fit_is_refused_before_anything_is_made_and_names_what_does() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &cloud.url);
    let create = |kind: &str, more: &[&str]| {
        let base = ["instance", "create", "--yes", "--zone", "fr-par-2", "--type", kind, "--data-volume-gb", "0"];
        server.run(&[&base[..], more].concat())
    };
    let nobodys = "11111111-1111-4111-8111-111111111111";
    for (kind, image, says) in [
        ("L4-1-24G", vec!["--image", "nosuch"], "ubuntu_jammy_gpu_os_12"),
        ("L4-1-24G", vec!["--image", nobodys], "ubuntu_jammy_gpu_os_12"),
        // The default image is for GPUs.
        ("PLAY2-PICO", vec![], "ubuntu_jammy"),
        ("PLAY2-PICO", vec!["--image", "ubuntu_jammy_gpu_os_12"], "ubuntu_jammy"),
    ] {
        let out = create(kind, &image);
        assert_eq!(out.status.code(), Some(4), "{kind} {image:?}: {}", text(&out.stderr));
        let reported = text(&out.stderr);
        assert!(reported.contains("does not fit") && reported.contains(says), "{kind} {image:?}: {reported}");
    }
    assert_eq!(text(&server.run(&["instance", "list", "--all", "-o", "json"]).stdout).trim(), "[]");
    assert_eq!(cloud.left(), 0);
    let list = |more: &[&str]| server.run(&[&["image", "list", "--zone", "fr-par-2"], more].concat());
    let fitting: Vec<Value> = serde_json::from_slice(&list(&["--type", "PLAY2-PICO", "-o", "json"]).stdout).unwrap();
    let fits = |i: &Value| i["instance_types"].as_array().unwrap().iter().any(|t| t == "PLAY2-PICO");
    assert!(!fitting.is_empty() && fitting.iter().all(fits), "{fitting:#?}");
    let all: Vec<Value> = serde_json::from_slice(&list(&["-o", "json"]).stdout).unwrap();
    assert!(all.len() > fitting.len(), "{} of {}", fitting.len(), all.len());
    let table = text(&list(&[]).stdout);
    assert!(table.contains("ubuntu_jammy_gpu_os_12") && table.lines().all(|l| l.chars().count() <= 80), "{table}");
    let names = text(&list(&["-o", "name", "--type", "L4-1-24G"]).stdout);
    // An image that is listed for a type can be used with it.
    let image = names.lines().find(|l| l.contains("gpu")).unwrap();
    let made = create("L4-1-24G", &["--image", image, "--wait"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    for (wrong, says) in [(vec!["--type", "nosuch"], "instance_type"), (vec!["--zone", "mars-1"], "zone")] {
        let out = server.run(
            &[&["image", "list", "--zone", "fr-par-2"][..2 + 2 * usize::from(wrong[0] == "--type")], &wrong].concat(),
        );
        assert_eq!(out.status.code(), Some(4), "{wrong:?}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains(says), "{wrong:?}: {}", text(&out.stderr));
    }
}

#[test]
fn many_requests_at_once_ask_for_their_image_once() {
    let cloud = Cloud::start();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &cloud.url);
    let asked = || {
        let journal = cloud.emulator.journal();
        let entries = journal["entries"].as_array().unwrap();
        entries.iter().filter(|e| e["path"] == "/marketplace/v2/local-images").count()
    };
    let before = asked();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let args = [
                    "instance",
                    "create",
                    "--yes",
                    "--zone",
                    "fr-par-2",
                    "--type",
                    "L4-1-24G",
                    "--data-volume-gb",
                    "0",
                ];
                let out = server.run(&args);
                assert!(out.status.success(), "{}", text(&out.stderr));
            });
        }
    });
    assert_eq!(asked() - before, 1);
}
