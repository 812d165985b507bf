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
    /// Counts over sequences, or valid steps, of these labels and predictions.
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

    /// Share of all that is right.
    pub fn accuracy(&self) -> f64 {
        let total: usize = self.counts.iter().flatten().sum();
        let right: usize = (0..self.counts.len())
            .map(|class| self.recall(class).1)
            .sum();
        share(right, total).unwrap_or(0.0)
    }

    /// Mean recall of the classes that occur.
    pub fn balanced_accuracy(&self) -> f64 {
        mean((0..self.counts.len()).filter_map(|class| {
            let (all, right) = self.recall(class);
            share(right, all)
        }))
    }

    /// Mean F1 of the classes that occur or are told.
    pub fn macro_f1(&self) -> f64 {
        mean((0..self.counts.len()).filter_map(|class| {
            let (all, right) = self.recall(class);
            let told: usize = self.counts.iter().map(|row| row[class]).sum();
            share(2 * right, all + told)
        }))
    }

    /// Share of each class that is told; none where it does not occur.
    pub fn recalls(&self) -> Vec<Option<f64>> {
        let recall = |class| {
            let (all, right) = self.recall(class);
            share(right, all)
        };
        (0..self.counts.len()).map(recall).collect()
    }

    /// A line that says so where the accuracy hides a class: one that is told less than half as often as all
    /// are on average.
    pub fn warning(&self, names: &[String]) -> Option<String> {
        let (accuracy, balanced) = (self.accuracy(), self.balanced_accuracy());
        if accuracy - balanced < HIDDEN {
            return None;
        }
        let recalls = self.recalls();
        let found = recalls.iter().enumerate();
        let found = found.filter_map(|(class, recall)| Some((class, (*recall)?)));
        let (class, recall) = found.min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        if recall >= accuracy / 2.0 {
            return None;
        }
        let (all, right) = self.recall(class);
        let name = names.get(class).map_or_else(
            || format!("class {class}"),
            |name| format!("class {class} ({name})"),
        );
        Some(format!(
            "accuracy {accuracy:.4} hides a rare class: of {name} {right} of {all} are told; macro-F1 is {:.4}; \
             train with `class-weights balanced` or `keep macro-f1`",
            self.macro_f1()
        ))
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

/// Points that accuracy may be above the mean recall before it hides something.
const HIDDEN: f64 = 0.05;

fn share(part: usize, all: usize) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

/// Mean; 0 of nothing.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for value in values {
        sum += value;
        count += 1;
    }
    if count == 0 {
        0.0
    } else {
        sum / f64::from(count)
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

    /// 95 of 100 are of one class, and nothing else is told.
    #[test]
    fn a_class_that_accuracy_hides_is_named() {
        let labels: Vec<usize> = (0..100).map(|at| usize::from(at >= 95)).collect();
        let names = ["idle".to_owned(), "fall".to_owned()];
        let line = Confusion::new(2, &labels, &[0; 100])
            .warning(&names)
            .unwrap();
        assert!(
            line.starts_with("accuracy 0.9500 hides a rare class: of class 1 (fall) 0 of 5 are told; macro-F1 is 0.4872"),
            "{line}"
        );
        assert_eq!(Confusion::new(2, &labels, &labels).warning(&names), None);
        // Rare, but told.
        let mut told = labels.clone();
        told[99] = 0;
        assert_eq!(Confusion::new(2, &labels, &told).warning(&names), None);
    }

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
