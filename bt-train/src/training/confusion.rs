//! Which class was taken for which.

use crate::svg::{head, text};
use std::collections::BTreeSet;
use std::fmt::Write;

/// How often each class was taken for each: rows are truth, columns prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    counts: Vec<Vec<usize>>,
}

impl Confusion {
    /// Counts over sequences of these labels and predictions.
    pub fn new(classes: usize, labels: &[usize], predictions: &[usize]) -> Confusion {
        let mut counts = vec![vec![0; classes]; classes];
        for (&label, &prediction) in labels.iter().zip(predictions) {
            counts[label][prediction] += 1;
        }
        Confusion { counts }
    }

    /// Sequences of a class, and how many of them were taken for it.
    pub fn recall(&self, class: usize) -> (usize, usize) {
        let row = &self.counts[class];
        (row.iter().sum(), row[class])
    }

    /// A table for the terminal; nothing where it would not fit.
    pub fn table(&self, names: &[String]) -> String {
        let classes = self.counts.len();
        if classes > TABLE_CLASSES_MAX {
            return String::new();
        }
        let cut: BTreeSet<String> = (0..classes).map(|class| short(names, class, 8)).collect();
        // Names that are the same when cut are of no use; numbers are.
        let names = if cut.len() == classes { names } else { &[] };
        let name = |class| short(names, class, 8);
        let mut table = format!("{:<9}", "is / seen");
        for class in 0..classes {
            let _ = write!(table, "{:>9}", name(class));
        }
        for (class, row) in self.counts.iter().enumerate() {
            let _ = write!(table, "\n{:<9}", name(class));
            for count in row {
                let _ = match count {
                    0 => write!(table, "{:>9}", "."),
                    count => write!(table, "{count:>9}"),
                };
            }
        }
        table
    }

    /// A picture: the darker a field, the larger its share of the row.
    pub fn svg(&self, names: &[String]) -> String {
        const CELL: usize = 36;
        const MARGIN: usize = 80;
        let classes = self.counts.len();
        let size = MARGIN + CELL * classes + 10;
        let mut svg = head(size, size);
        for (truth, row) in self.counts.iter().enumerate() {
            let total = row.iter().sum::<usize>().max(1);
            let y = MARGIN + CELL * truth;
            text(&mut svg, MARGIN - 6, y + 22, "end", &short(names, truth, 9));
            text(
                &mut svg,
                MARGIN + CELL * truth + CELL / 2,
                MARGIN - 8,
                "middle",
                &short(names, truth, 5),
            );
            for (prediction, &count) in row.iter().enumerate() {
                let x = MARGIN + CELL * prediction;
                let share = count as f64 / total as f64;
                let _ = writeln!(
                    svg,
                    r##"<rect x="{x}" y="{y}" width="{CELL}" height="{CELL}" fill="#1f5fa8" fill-opacity="{share:.3}" stroke="#cccccc"/>"##
                );
                if count > 0 {
                    text(&mut svg, x + CELL / 2, y + 22, "middle", &count.to_string());
                }
            }
        }
        svg + "</svg>\n"
    }
}

/// More classes than this do not fit a terminal.
const TABLE_CLASSES_MAX: usize = 14;

/// A class' name, cut to so many characters; its number where it has no name.
fn short(names: &[String], class: usize, characters: usize) -> String {
    match names.get(class) {
        Some(name) => name.chars().take(characters).collect(),
        None => class.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_truth_and_columns_prediction() {
        let confusion = Confusion::new(2, &[0, 0, 1], &[0, 1, 1]);
        let names = ["no".to_owned(), "yes <&>".to_owned()];
        assert_eq!(
            confusion.table(&names),
            "is / seen       no  yes <&>\n\
             no               1        1\n\
             yes <&>          .        1"
        );
        let long = ["speaker_1".to_owned(), "speaker_2".to_owned()];
        assert!(
            confusion
                .table(&long)
                .starts_with("is / seen        0        1")
        );
        assert!(confusion.svg(&names).contains("yes &lt;&amp;"));
    }
}
