use crate::limits::{MAX_DESCRIPTION_BYTES, MAX_TITLE_BYTES};

/// Whether a text can stand as the title of a device or listing: 1 to 120 bytes on one line, not blank, and nothing in
/// it that hides or reorders what people read.
pub(crate) fn is_title(text: &str) -> bool {
    text.len() <= MAX_TITLE_BYTES && !text.trim().is_empty() && !text.chars().any(deceives)
}

/// Whether a text can stand as a description: 2000 bytes at most, line breaks allowed.
pub(crate) fn is_description(text: &str) -> bool {
    text.len() <= MAX_DESCRIPTION_BYTES && !text.chars().any(|c| c != '\n' && deceives(c))
}

/// Control characters, and those that set the direction of text without being seen (Unicode TR 9, TR 36).
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_one_honest_line() {
        for (text, good) in [
            ("Gate", true),
            ("Büro – 東京 🚲 שער", true),
            ("", false),
            ("  ", false),
            ("two\nlines", false),
            ("nul\0", false),
            ("\u{1b}[31m", false),
            ("evil\u{202e}gnp", false),
        ] {
            assert_eq!(is_title(text), good, "{text:?}");
        }
        assert!(!is_title(&"a".repeat(MAX_TITLE_BYTES + 1)));
        assert!(is_description("two\nlines") && is_description(""));
        assert!(!is_description("\u{2066}") && !is_description("\r"));
    }
}
