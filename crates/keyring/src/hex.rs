//! Hexadecimal text.

/// Bytes as lower-case hexadecimal text.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(n.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// The bytes of a hexadecimal text, in upper or lower case.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|n| u8::try_from(n).ok())
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn hexadecimal_text_reads_back_and_nothing_else_is_read() {
        for (bytes, text) in [(&[][..], ""), (&[0], "00"), (&[0x0f, 0xa0, 0xff], "0fa0ff")] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Some(bytes));
            assert_eq!(decode(&text.to_uppercase()).as_deref(), Some(bytes));
        }
        for text in ["0", "0g", "é0", " 00", "+1"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
