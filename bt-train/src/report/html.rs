//! The page: its frame, its style, and the few things that sections are made of.

use crate::svg::escape;
use std::fmt::Write;

/// A page that is being written.
pub(super) struct Page {
    html: String,
}

/// A cell of a table.
pub(super) enum Cell {
    /// Words, to the left; names in any script keep to themselves.
    Words(String),
    /// A number, to the right.
    Number(String),
    /// A share from 0 to 1, with a bar behind it; none where there is nothing to share.
    Share(Option<f64>),
}

impl Cell {
    pub fn words(text: impl ToString) -> Cell {
        Cell::Words(text.to_string())
    }

    pub fn number(value: impl ToString) -> Cell {
        Cell::Number(value.to_string())
    }
}

/// Nothing is fetched and nothing runs, whatever the names of classes are.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

const STYLE: &str = "
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0;background:#f4f4f1;color:#1d1d1b;font:16px/1.45 system-ui,sans-serif}
main{max-width:1060px;margin:0 auto;padding:16px}
h1{font-size:1.5rem;line-height:1.2;margin:.4em 0 .2em;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:0 0 .6em}
h3{font-size:1rem;margin:1.2em 0 .4em}
section{background:#fff;border:1px solid #dddcd6;border-radius:8px;padding:14px 16px;margin:14px 0}
p{margin:.5em 0;overflow-wrap:anywhere}
.note{color:#5c5c58;font-size:.9rem}
.warning{border-left:4px solid #c0501f;padding-left:10px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:10px}
.card{background:#f4f4f1;border-radius:6px;padding:8px 12px}
.card b{display:block;font-size:1.35rem;line-height:1.25;font-variant-numeric:tabular-nums}
.card span{color:#5c5c58;font-size:.85rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr));gap:12px}
.charts svg{width:100%;height:auto;max-width:520px;display:block}
.wide{overflow-x:auto;-webkit-overflow-scrolling:touch}
.wide svg{display:block}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:4px 10px;text-align:right;border-bottom:1px solid #e6e5df;white-space:nowrap}
th{color:#5c5c58;font-weight:600}
th.l,td.l{text-align:left}
td.name{white-space:normal;overflow-wrap:anywhere;min-width:9em;max-width:22em}
summary{cursor:pointer;font-weight:600;padding:6px 0}
td.share{background:linear-gradient(#c9daee,#c9daee) no-repeat left center;min-width:70px}
";

impl Page {
    pub fn new(title: &str) -> Page {
        let title = escape(title);
        Page {
            html: format!(
                "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
                 <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
                 <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
                 <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
            ),
        }
    }

    pub fn section(&mut self, title: &str, fill: impl FnOnce(&mut Page)) {
        let _ = write!(self.html, "<section>\n<h2>{}</h2>\n", escape(title));
        fill(self);
        self.html += "</section>\n";
    }

    pub fn heading(&mut self, text: &str) {
        let _ = writeln!(self.html, "<h3>{}</h3>", escape(text));
    }

    pub fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.html, "<p>{}</p>", escape(text));
    }

    pub fn note(&mut self, text: &str) {
        let _ = writeln!(self.html, "<p class=\"note\">{}</p>", escape(text));
    }

    pub fn warning(&mut self, text: &str) {
        let _ = writeln!(self.html, "<p class=\"warning\">{}</p>", escape(text));
    }

    /// What is shown once somebody asks for it.
    pub fn details(&mut self, title: &str, fill: impl FnOnce(&mut Page)) {
        let title = escape(title);
        let _ = writeln!(self.html, "<details><summary>{title}</summary>");
        fill(self);
        self.html += "</details>\n";
    }

    /// Figures with what they are.
    pub fn cards(&mut self, cards: &[(String, String)]) {
        self.html += "<div class=\"cards\">\n";
        for (figure, what) in cards {
            let (figure, what) = (escape(figure), escape(what));
            let _ = writeln!(
                self.html,
                "<div class=\"card\"><b>{figure}</b><span>{what}</span></div>"
            );
        }
        self.html += "</div>\n";
    }

    /// Charts beside each other where there is room.
    pub fn charts(&mut self, svgs: &[String]) {
        let _ = writeln!(self.html, "<div class=\"charts\">\n{}</div>", svgs.concat());
    }

    /// A picture of its own size, which may be wider than the page.
    pub fn picture(&mut self, svg: &str) {
        let _ = writeln!(self.html, "<div class=\"wide\">\n{svg}</div>");
    }

    /// A table.
    pub fn table(&mut self, head: &[&str], rows: Vec<Vec<Cell>>) {
        self.html += "<div class=\"wide\"><table>\n<tr>";
        let first = rows.first().map_or(&[][..], Vec::as_slice);
        for (at, title) in head.iter().enumerate() {
            let is_words = matches!(first.get(at), Some(Cell::Words(_)));
            let class = if is_words { " class=\"l\"" } else { "" };
            let _ = write!(self.html, "<th{class}>{}</th>", escape(title));
        }
        self.html += "</tr>\n";
        for row in rows {
            self.html += "<tr>";
            for cell in row {
                self.cell(&cell);
            }
            self.html += "</tr>\n";
        }
        self.html += "</table></div>\n";
    }

    fn cell(&mut self, cell: &Cell) {
        let _ = match cell {
            Cell::Words(text) => write!(
                self.html,
                "<td class=\"l name\"><bdi>{}</bdi></td>",
                escape(text)
            ),
            Cell::Number(text) => write!(self.html, "<td>{}</td>", escape(text)),
            Cell::Share(None) => write!(self.html, "<td>–</td>"),
            Cell::Share(Some(share)) => write!(
                self.html,
                "<td class=\"share\" style=\"background-size:{:.1}% 70%\">{share:.3}</td>",
                100.0 * share.clamp(0.0, 1.0)
            ),
        };
    }

    pub fn end(self) -> String {
        self.html + "</main>\n</body>\n</html>\n"
    }
}
