//! Tests of `lib.rs` and `file.rs`.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const KEY_A: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
const KEY_B: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn holding(path: &Path, text: &str) -> Keyring {
    write(path, text, 0o600);
    Keyring::read(path).unwrap()
}

#[test]
fn what_is_sealed_opens_again_and_never_looks_the_same_twice() {
    let ring = Keyring::generate().unwrap();
    for plain in [&b""[..], b"x", b"hf_secret", &[0xff; 64 * 1024]] {
        let (first, second) = (ring.seal("a", plain).unwrap(), ring.seal("a", plain).unwrap());
        assert_ne!(first, second);
        assert!(first.starts_with(&format!("v1:{}:", ring.newest_id())), "{first}");
        assert_eq!(ring.open("a", &first).unwrap().as_slice(), plain);
        assert_eq!(ring.open("a", &second).unwrap().as_slice(), plain);
    }
}

#[test]
fn another_context_and_every_flipped_bit_are_refused() {
    let ring = Keyring::generate().unwrap();
    let sealed = ring.seal(&secret_context("a"), b"plain").unwrap();
    for context in ["", "secret", "secret ab", "secret b", "authority a"] {
        assert_eq!(ring.open(context, &sealed), Err(KeyError::Damaged { context: context.to_owned() }));
    }
    for (n, bit) in (0..sealed.len()).flat_map(|n| (0..7).map(move |bit| (n, bit))) {
        let mut bytes = sealed.clone().into_bytes();
        bytes[n] ^= 1 << bit;
        let changed = String::from_utf8(bytes).unwrap();
        // Upper-case digits have the same meaning.
        if changed.to_lowercase() == sealed && changed.starts_with("v1:") {
            continue;
        }
        assert!(ring.open("secret a", &changed).is_err(), "{changed}");
    }
    for text in ["", "v1", "v1::", "v1:00000000:", "v2:00000000:00", "v1:zzzzzzzz:00", &sealed[..sealed.len() - 2]] {
        assert!(ring.open("secret a", text).is_err(), "{text}");
        assert!(!ring.seals_with_newest("v1:00000000:"));
    }
}

#[test]
fn a_removed_key_is_named_with_its_file_and_no_key_is_ever_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let old = holding(&path, &format!("{KEY_A}\n"));
    let sealed = old.seal("secret a", b"plain text").unwrap();
    let new = holding(&path, &format!("{KEY_B}\n"));
    let error = new.open("secret a", &sealed).unwrap_err();
    let expected =
        KeyError::UnknownKey { context: "secret a".to_owned(), id: old.newest_id(), file: path.display().to_string() };
    assert_eq!(error, expected);
    let damaged = old.open("secret b", &sealed).unwrap_err();
    for shown in [format!("{error}"), format!("{damaged}"), format!("{damaged:?}"), format!("{old:?} {new:?}")] {
        for secret in [&KEY_A[..10], &KEY_B[..10], "plain text"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    assert_eq!(format!("{old:?}"), format!("Keyring {{ keys: 1, ids: [\"{}\"] }}", old.newest_id()));
}

#[test]
fn a_key_file_is_read_only_if_it_is_well_formed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    // Text, number of keys or part of the message.
    let cases: [(String, Result<usize, &str>); 9] = [
        (KEY_A.to_owned(), Ok(1)),
        (format!("# first\n\n  {KEY_A}  \r\n{KEY_B}\n"), Ok(2)),
        (String::new(), Err("holds no key")),
        ("# nothing\n\n".to_owned(), Err("holds no key")),
        (format!("{KEY_A}\n{}\n", &KEY_B[1..]), Err("line 2 of the key file")),
        (format!("{KEY_A}00"), Err("line 1 of the key file")),
        (format!("{}g", &KEY_A[1..]), Err("line 1 of the key file")),
        (format!("{KEY_A} {KEY_B}"), Err("line 1 of the key file")),
        ("\n".repeat(100_000), Err("too long")),
    ];
    for (text, expected) in cases {
        write(&path, &text, 0o600);
        match (Keyring::read(&path), expected) {
            (Ok(ring), Ok(keys)) => assert_eq!(ring.keys.read().len(), keys, "{text}"),
            (Err(e), Err(says)) => {
                assert!(e.to_string().contains(says), "{e}");
                assert!(!e.to_string().contains(&KEY_B[1..9]), "{e}");
            }
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn a_key_file_that_others_can_read_or_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false), (0o601, false)] {
        write(&path, KEY_A, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let advice = format!("(mode {mode:04o}): run `chmod 600 {}`", path.display());
        match Keyring::read(&path) {
            Ok(_) => assert!(good, "{mode:o}"),
            Err(e) => assert!(!good && e.to_string().ends_with(&advice), "{mode:o}: {e}"),
        }
        assert_eq!(Keyring::rotate(&path).is_ok(), good, "{mode:o}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_missing_key_file_is_created_once_for_this_user_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    assert!(Keyring::read(&path).unwrap_err().to_string().contains("cannot read the key file"));
    assert!(Keyring::rotate(&path).is_err());
    let ids: Vec<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| Keyring::read_or_create(&path).unwrap().newest_id())).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    assert!(Keyring::read_or_create(&folder.path().join("nowhere/key")).is_err());
}

#[test]
fn a_rotated_file_seals_with_the_new_key_and_opens_with_the_old_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let first = holding(&path, &format!("# ours\n{KEY_A}\n"));
    let sealed = first.seal("a", b"old").unwrap();
    let second = Keyring::rotate(&path).unwrap();
    assert_ne!(second.newest_id(), first.newest_id());
    assert_eq!(second.open("a", &sealed).unwrap().as_slice(), b"old");
    assert_eq!((first.seals_with_newest(&sealed), second.seals_with_newest(&sealed)), (true, false));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.ends_with(&format!("\n# ours\n{KEY_A}\n")), "the old lines stay");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");

    // A process that runs since before the rotation opens what a newer one has sealed.
    let resealed = second.seal("a", b"new").unwrap();
    assert_eq!(first.open("a", &resealed).unwrap().as_slice(), b"new");
    assert_eq!(first.newest_id(), second.newest_id());

    fs::write(folder.path().join("key.new"), "").unwrap();
    let error = Keyring::rotate(&path).unwrap_err().to_string();
    assert!(error.contains("key.new exists"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "a refused rotation changes nothing");
}
