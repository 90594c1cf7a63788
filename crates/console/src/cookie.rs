//! The cookie that holds the token of a session.

use http::{HeaderMap, header};

/// Its name.
const NAME: &str = "inventiv_session";

/// The token in the cookies of a request.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut pairs = all.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME).map(|(_, value)| value).filter(|value| is_plain(value))
}

/// The header that stores a token in the browser for some seconds; 0 removes it.
pub(crate) fn set(token: &str, seconds: i64, is_secure: bool) -> String {
    let secure = if is_secure { "; Secure" } else { "" };
    format!("{NAME}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

/// Whether a text may be the value of a cookie as it is.
pub(crate) fn is_plain(text: &str) -> bool {
    (1..=512).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// Whether the browser uses TLS: what terminates it says so.
pub(crate) fn is_behind_tls(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"https"))
}

#[cfg(test)]
mod tests {
    use super::{set, token};
    use http::{HeaderMap, HeaderValue, header};

    #[test]
    fn the_token_is_found_among_other_cookies() {
        for (cookies, found) in [
            ("inventiv_session=ses_1", Some("ses_1")),
            ("a=b; inventiv_session=ses_1; c=d", Some("ses_1")),
            ("xinventiv_session=ses_1", None),
            ("inventiv_session=", None),
            ("inventiv_session=a b", None),
            ("inventiv_session=a\"b", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(cookies))]);
            assert_eq!(token(&headers), found, "{cookies}");
        }
    }

    #[test]
    fn scripts_and_other_sites_cannot_use_the_cookie() {
        let plain = set("ses_1", 60, false);
        assert_eq!(plain, "inventiv_session=ses_1; Path=/; HttpOnly; SameSite=Strict; Max-Age=60");
        assert_eq!(set("ses_1", 60, true), format!("{plain}; Secure"));
    }
}
