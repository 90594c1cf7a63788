//! Tests of `api_key.rs`.

use super::*;

const ID: &str = "01k1c3p9zr5t8wv2xy4a6b7cde";
/// Computed with another program: 160 zero bits, then the first 30 bits of `sha256` over everything before.
const KNOWN: &str = "inv_01k1c3p9zr5t8wv2xy4a6b7cde_00000000000000000000000000000000wbv4av";
const KNOWN_HASH: &str = "af1191964fe5692ca46314fb0790d2780d9963a8a68031945f894021e934496a";

#[test]
fn a_generated_key_reads_back_and_matches_its_hash_alone() {
    let (first, second) = (generate(ID).unwrap(), generate(ID).unwrap());
    assert_ne!(first.text, second.text);
    assert_eq!((first.text.len(), first.hash.len()), (LENGTH, 64));
    assert!(first.text.starts_with(&format!("inv_{ID}_")), "{}", *first.text);
    let read = read(&first.text).unwrap();
    assert_eq!(read.id_body(), ID);
    assert!(read.matches(&first.hash));
    let other_digit = if first.hash.ends_with('0') { "1" } else { "0" };
    let almost = format!("{}{other_digit}", &first.hash[..63]);
    for other in [second.hash.as_str(), "", &first.hash[..63], &first.hash.to_uppercase(), &almost] {
        assert!(!read.matches(other), "{other}");
    }
}

#[test]
fn the_random_part_uses_every_character_at_every_place() {
    let mut seen = [[false; 256]; RANDOM_LENGTH];
    for _ in 0..1_000 {
        let key = generate(ID).unwrap();
        let random = &key.text.as_bytes()[LENGTH - RANDOM_LENGTH - CHECKSUM_LENGTH..LENGTH - CHECKSUM_LENGTH];
        random.iter().zip(&mut seen).for_each(|(b, at)| at[usize::from(*b)] = true);
    }
    for (place, at) in seen.iter().enumerate() {
        let missing: Vec<char> = ALPHABET.iter().filter(|b| !at[usize::from(**b)]).map(|b| char::from(*b)).collect();
        assert!(missing.is_empty(), "{missing:?} never at {place}");
    }
}

#[test]
fn the_form_never_changes_because_keys_are_kept_by_their_users() {
    let read = read(KNOWN).unwrap();
    assert_eq!((read.id_body(), read.hash.as_str()), (ID, KNOWN_HASH));
    assert!(read.matches(KNOWN_HASH));
}

#[test]
fn what_was_not_copied_exactly_is_not_a_key() {
    let key = generate(ID).unwrap();
    let text = key.text.as_str();
    for n in 0..text.len() {
        let mut bytes = text.as_bytes().to_vec();
        bytes[n] = if bytes[n] == b'7' { b'8' } else { b'7' };
        assert!(read(std::str::from_utf8(&bytes).unwrap()).is_none(), "another character at {n}");
        let shorter: String = text.char_indices().filter(|(at, _)| *at != n).map(|(_, c)| c).collect();
        assert!(read(&shorter).is_none(), "without the character at {n}");
        let (start, end) = text.split_at(n);
        assert!(read(&format!("{start}é{}", &end[1..])).is_none(), "not ASCII at {n}");
        assert!(read(&format!("{start}_{}", &end[1..])).is_none() || end.starts_with('_'), "a separator at {n}");
    }
    let upper = text.to_uppercase();
    for wrong in ["", "inv_", "inv__", "Bearer", ID, &upper, &format!("{text} "), &format!(" {text}"), &text[4..]] {
        assert!(read(wrong).is_none(), "{wrong}");
    }
    // The right checksum does not make a wrong form a key.
    let of_wrong_form = |before: &str| {
        let mut text = before.to_owned();
        push_base32(&mut text, checksum(before), CHECKSUM_LENGTH);
        text
    };
    let random = "0".repeat(RANDOM_LENGTH);
    assert!(read(&of_wrong_form(&format!("inv_{ID}_{random}"))).is_some(), "the same with the right form is one");
    for before in [
        format!("inw_{ID}_{random}"),
        format!("inv_{ID}_{}", &random[1..]),
        format!("inv_{}_0{random}", &ID[1..]),
        format!("inv_{ID}_{}l", &random[1..]),
        format!("inv_{}U_{random}", &ID[1..]),
    ] {
        assert!(read(&of_wrong_form(&before)).is_none(), "{before}");
    }
}

#[test]
fn an_id_of_another_form_gets_no_key() {
    for id in ["", "key-01k1c3p9zr5t8wv2xy4a6b7cde", &ID[1..], &ID.to_uppercase(), "01k1c3p9zr5t8wv2xy4a6b7cd_"] {
        assert_eq!(generate(id).unwrap_err(), KeyError::KeyId, "{id}");
    }
}

#[test]
fn no_debug_output_contains_a_key_or_its_hash() {
    let key = generate(ID).unwrap();
    let read = read(&key.text).unwrap();
    let printed = format!("{key:?} {read:?} {:?}", read.clone());
    let secret = &key.text[PREFIX.len() + ID_LENGTH..];
    assert!(!printed.contains(secret) && !printed.contains(&key.hash), "{printed}");
    assert!(printed.contains(ID), "{printed}");
}
