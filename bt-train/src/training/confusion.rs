//! Which class was taken for which.

use crate::svg::{BLUE, RED, escape, head, styled, text, width};
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
        mean((0..self.counts.len()).filter_map(|class| self.f1(class)))
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

    /// A picture with the whole names: the darker a field, the larger its share of the row.
    pub fn svg(&self, names: &[String]) -> String {
        const SIZE: f64 = 12.0;
        const TITLES: f64 = 22.0;
        let classes = self.counts.len();
        let most = self.counts.iter().flatten().max().copied().unwrap_or(0);
        let digits = most.to_string().len() as f64;
        let cell = if classes > 20 { 22.0f64 } else { 30.0 }.max(6.5 * digits + 8.0);
        let names: Vec<String> = (0..classes).map(|class| name(names, class)).collect();
        let longest = names.iter().map(|name| width(name, SIZE));
        let margin = longest.fold(0.0, f64::max) + 12.0;
        let (left, top) = (margin + TITLES, margin + TITLES);
        let field = cell * classes as f64;
        // A short word is no wider than its title.
        let (wide, high) = ((left + field + 10.0).max(130.0), top + field + 10.0);
        let mut svg = head(wide.ceil() as usize, high.ceil() as usize);
        // Where there is little room it shrinks, as far as it can be read.
        let style = format!(
            r#"<svg style="height:auto;max-width:100%;min-width:{:.0}px""#,
            wide * 0.72
        );
        svg = svg.replacen("<svg", &style, 1);
        let middle = left + field / 2.0;
        styled(&mut svg, (middle, 14.0), "middle", GREY_WORDS, "taken for");
        let y = top + field / 2.0;
        let turned = format!(r#"{GREY_WORDS} transform="rotate(-90 14 {y:.1})""#);
        styled(&mut svg, (14.0, y), "middle", &turned, "is");
        for (truth, row) in self.counts.iter().enumerate() {
            let total = row.iter().sum::<usize>().max(1);
            let y = top + cell * truth as f64;
            let baseline = y + cell / 2.0 + 4.0;
            text(&mut svg, left - 6.0, baseline, "end", &names[truth]);
            let x = left + cell * truth as f64 + cell / 2.0 + 4.0;
            let turned = format!(r#" transform="rotate(-90 {x:.1} {:.1})""#, top - 6.0);
            styled(&mut svg, (x, top - 6.0), "start", &turned, &names[truth]);
            for (prediction, &count) in row.iter().enumerate() {
                let x = left + cell * prediction as f64;
                let share = count as f64 / total as f64;
                let colour = if truth == prediction { BLUE } else { RED };
                let told = format!("{} taken for {}", names[truth], names[prediction]);
                let _ = writeln!(
                    svg,
                    r##"<rect x="{x:.1}" y="{y:.1}" width="{cell:.1}" height="{cell:.1}" fill="{colour}" fill-opacity="{share:.3}" stroke="#cccccc"><title>{}: {count} of {total}</title></rect>"##,
                    escape(&told)
                );
                if count > 0 {
                    let ink = if share > 0.55 {
                        r##" fill="#ffffff""##
                    } else {
                        ""
                    };
                    let more = format!(r#"{ink} pointer-events="none""#);
                    let at = (x + cell / 2.0, baseline);
                    styled(&mut svg, at, "middle", &more, &count.to_string());
                }
            }
        }
        svg + "</svg>\n"
    }

    /// Classes.
    pub fn classes(&self) -> usize {
        self.counts.len()
    }

    /// Sequences, or valid steps.
    pub fn items(&self) -> usize {
        self.counts.iter().flatten().sum()
    }

    /// How often a class is told, rightly or not.
    pub fn told(&self, class: usize) -> usize {
        self.counts.iter().map(|row| row[class]).sum()
    }

    /// F1 of a class; none where it neither occurs nor is told.
    pub fn f1(&self, class: usize) -> Option<f64> {
        let (all, right) = self.recall(class);
        share(2 * right, all + self.told(class))
    }

    /// Share of the class that occurs most: what telling it always gives.
    pub fn majority(&self) -> f64 {
        let most = (0..self.classes()).map(|class| self.recall(class).0).max();
        share(most.unwrap_or(0), self.items()).unwrap_or(0.0)
    }
}

const GREY_WORDS: &str = r##" fill="#666666""##;

/// The whole name of a class; its number where it has none.
pub fn name(names: &[String], class: usize) -> String {
    let name = names.get(class).filter(|name| !name.trim().is_empty());
    name.cloned().unwrap_or_else(|| class.to_string())
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
    }

    /// Whole names, in their place; fields are as dark as their share of the row.
    #[test]
    fn a_picture_has_whole_names() {
        let names = ["no".to_owned(), "a long name <&\"'>".to_owned()];
        let svg = Confusion::new(2, &[0, 0, 0, 0, 1], &[0, 0, 0, 1, 1]).svg(&names);
        let escaped = "a long name &lt;&amp;&quot;&#39;&gt;";
        assert_eq!(
            svg.matches(&format!(">{escaped}</text>")).count(),
            2,
            "{svg}"
        );
        assert!(svg.contains(&format!("<title>no taken for {escaped}: 1 of 4</title>")));
        assert!(svg.contains(r#"fill-opacity="0.750""#) && svg.contains(r#"fill-opacity="0.250""#));
        assert!(!svg.contains("name <"));
    }

    #[test]
    fn a_class_has_figures_of_its_own() {
        let confusion = Confusion::new(3, &[0, 0, 0, 1], &[0, 0, 1, 1]);
        assert_eq!(
            (confusion.told(0), confusion.told(1), confusion.told(2)),
            (2, 2, 0)
        );
        // Precision 1 and recall 2/3; precision 1/2 and recall 1.
        assert!((confusion.f1(0).unwrap() - 0.8).abs() < 1e-12);
        assert!((confusion.f1(1).unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(confusion.f1(2), None);
        assert_eq!((confusion.majority(), confusion.items()), (0.75, 4));
    }
}
