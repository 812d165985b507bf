//! Pictures: a frame, words in it, and charts of lines.

use std::fmt::Write;

/// Name and colour of a line, and its values epoch after epoch.
pub type Line<'a> = ((&'a str, &'static str), Vec<f64>);

/// Colours of lines.
pub const BLUE: &str = "#1f5fa8";
/// See [`BLUE`].
pub const RED: &str = "#c0501f";
/// See [`BLUE`].
pub const GREEN: &str = "#2e8540";

/// A picture of losses and, below them, of accuracies, epoch after epoch.
pub fn charts(titles: [&str; 2], losses: &[Line<'_>], accuracies: &[Line<'_>]) -> String {
    let mut svg = head(WIDTH + 80, 2 * (HEIGHT + 60));
    let values = losses.iter().flat_map(|(_, values)| values);
    let largest = values.fold(1e-9f64, |most, &value| most.max(value));
    let [loss, accuracy] = titles;
    chart(&mut svg, 30, loss, largest, losses);
    chart(&mut svg, 30 + HEIGHT + 60, accuracy, 1.0, accuracies);
    svg + "</svg>\n"
}

/// Size of a chart's field.
const WIDTH: usize = 600;
const HEIGHT: usize = 200;

/// A field from 0 to `largest` with lines.
fn chart(svg: &mut String, top: usize, title: &str, largest: f64, lines: &[Line<'_>]) {
    const LEFT: usize = 60;
    let _ = writeln!(
        svg,
        r##"<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999999"/>"##
    );
    text(svg, LEFT - 6, top + 10, "end", &format!("{largest:.3}"));
    text(svg, LEFT - 6, top + HEIGHT, "end", "0");
    let epochs = lines.iter().map(|(_, line)| line.len()).max().unwrap_or(0);
    for (place, ((name, colour), line)) in lines.iter().enumerate() {
        let points: Vec<String> = line
            .iter()
            .enumerate()
            .map(|(epoch, value)| {
                let x = LEFT as f64 + WIDTH as f64 * (epoch + 1) as f64 / epochs as f64;
                let y = top as f64 + HEIGHT as f64 * (1.0 - value / largest);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        let _ = writeln!(
            svg,
            r#"<polyline fill="none" stroke="{colour}" points="{}"/>"#,
            points.join(" ")
        );
        let label = format!(r#"<tspan fill="{colour}">{title}, {name}</tspan>"#);
        let _ = writeln!(
            svg,
            r#"<text x="{}" y="{}">{label}</text>"#,
            LEFT + 200 * place,
            top - 8
        );
    }
    text(
        svg,
        LEFT + WIDTH,
        top + HEIGHT + 16,
        "end",
        &format!("{epochs} epochs"),
    );
}

/// The start of a picture of this size; `</svg>` ends it.
pub fn head(width: usize, height: usize) -> String {
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>
"##
    )
}

/// Puts words into a picture: at x, y, which the anchor (`start`, `middle`, `end`) tells the meaning of.
pub fn text(svg: &mut String, x: usize, y: usize, anchor: &str, text: &str) {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _ = writeln!(
        svg,
        r#"<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>"#
    );
}
