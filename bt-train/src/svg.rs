//! Pictures: a frame, words in it, and how words are written so that no browser takes them for markup.

use std::fmt::Write;

/// Colours of lines.
pub const BLUE: &str = "#1f5fa8";
/// See [`BLUE`].
pub const RED: &str = "#c0501f";
/// See [`BLUE`].
pub const GREEN: &str = "#2e8540";
/// See [`BLUE`].
pub const OCHRE: &str = "#a07800";
/// See [`BLUE`].
pub const PURPLE: &str = "#7b4fa0";
/// Axes and what is told beside the lines.
pub const GREY: &str = "#666666";

/// A text as SVG and HTML want it, between tags or in an attribute. Characters that no XML file may hold become
/// U+FFFD.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\0'..'\u{20}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push('\u{fffd}');
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// The start of a picture of this size; `</svg>` ends it.
pub fn head(width: usize, height: usize) -> String {
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>
"##
    )
}

/// Puts words into a picture: at x, y, which the anchor (`start`, `middle`, `end`) tells the meaning of.
pub fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    styled(svg, (x, y), anchor, "", text);
}

/// The same with more attributes.
pub fn styled(svg: &mut String, (x, y): (f64, f64), anchor: &str, more: &str, text: &str) {
    let text = escape(text);
    let _ = writeln!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}"{more}>{text}</text>"#
    );
}

/// About how wide a text is at this size of its letters: enough, whatever the font.
pub fn width(text: &str, size: f64) -> f64 {
    let letters = text.chars().map(|c| match c {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | '.' | ',' | ' ' => 0.4,
        'm' | 'w' | 'M' | 'W' | '@' => 0.95,
        'A'..='Z' => 0.75,
        c if c.is_ascii() => 0.62,
        _ => 1.05,
    });
    letters.sum::<f64>() * size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        assert_eq!(
            escape("<b a=\"1\" c='2'>&amp;\n\u{0}\u{1b}é日"),
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp; \u{fffd}\u{fffd}é日"
        );
    }
}
