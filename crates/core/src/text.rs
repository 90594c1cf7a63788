//! Hidden characters in texts: those that a screen does not show, or shows as something else.

use std::fmt::Write;

/// Whether a character is a control character, or one that hides, joins or reorders its neighbours (bidirectional
/// controls, zero-width spaces, tags).
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// The text with hidden characters escaped, as in `\u{202e}`: for names that third parties gave.
#[must_use]
pub fn legible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if is_hidden(c) {
            // Writing to a String cannot fail.
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_escaped_and_letters_of_every_script_are_not() {
        for (text, shown) in [
            ("plain", "plain"),
            ("naïve 模型 מודל 🦀", "naïve 模型 מודל 🦀"),
            ("a\u{202E}b", "a\\u{202e}b"),
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\u{200B}\u{2066}\u{FEFF}", "a\\u{200b}\\u{2066}\\u{feff}"),
            ("\u{7f}\u{85}\u{2028}", "\\u{7f}\\u{85}\\u{2028}"),
        ] {
            assert_eq!(legible(text), shown);
            assert_eq!(text.chars().any(is_hidden), text != shown);
        }
    }
}
