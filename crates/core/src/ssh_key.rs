//! Public SSH keys, as `authorized_keys` and `*.pub` files have them.

/// The kinds of keys that OpenSSH accepts.
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];
/// The longest key, in characters: RSA with 16384 bits has fewer.
const LENGTH_MAX: usize = 8_192;

/// Whether a text is one public key on one line, without options.
#[must_use]
pub fn is_public(text: &str) -> bool {
    let mut words = text.split(' ').filter(|w| !w.is_empty());
    let (Some(kind), Some(key)) = (words.next(), words.next()) else { return false };
    let comment = words.collect::<Vec<_>>().join(" ");
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    text.len() <= LENGTH_MAX
        && KINDS.contains(&kind)
        && key.len() >= 40
        && key.starts_with("AAAA")
        && key.bytes().all(base64)
        && !comment.chars().any(crate::text::is_hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_line_of_a_known_kind() {
        let body = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
        for (text, is) in [
            (format!("ssh-ed25519 {body} me@laptop"), true),
            (format!("ssh-ed25519 {body}"), true),
            (format!("ssh-rsa {body} a comment of words"), true),
            (format!("ssh-ed25519 {body}\nssh-rsa {body}"), false),
            (format!("command=\"x\" ssh-ed25519 {body}"), false),
            (format!("ssh-dss {body}"), false),
            (body.to_owned(), false),
            ("ssh-ed25519 short".to_owned(), false),
            ("-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(), false),
            (String::new(), false),
            (format!("ssh-rsa AAAA{}", "B".repeat(LENGTH_MAX)), false),
        ] {
            assert_eq!(is_public(&text), is, "{text}");
        }
    }
}
