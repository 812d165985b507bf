//! What people look at after a run: confusion of classes, learning curves.

use crate::training::trainer::Epoch;
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

/// Loss and accuracy over the epochs, training and validation.
pub fn curves(epochs: &[Epoch]) -> String {
    let of = |value: fn(&Epoch) -> Option<f64>| epochs.iter().filter_map(value).collect::<Vec<_>>();
    let [training, validation] = [("training", BLUE), ("validation", RED)];
    charts(
        ["loss", "accuracy"],
        &[
            (training, of(|epoch| Some(epoch.loss))),
            (validation, of(|epoch| Some(epoch.validation?.loss))),
        ],
        &[
            (training, of(|epoch| Some(epoch.accuracy))),
            (validation, of(|epoch| Some(epoch.validation?.accuracy))),
        ],
    )
}

/// Training loss and accuracy over the epochs of several kinds of models, the means over all models of a
/// kind that came so far.
pub fn compared(kinds: &[(&str, Vec<&[Epoch]>)]) -> String {
    let lines = |value: fn(&Epoch) -> f64| -> Vec<Line<'_>> {
        let mean = |models: &[&[Epoch]], at: usize| {
            let values: Vec<f64> = models
                .iter()
                .filter_map(|epochs| epochs.get(at))
                .map(value)
                .collect();
            values.iter().sum::<f64>() / values.len().max(1) as f64
        };
        kinds
            .iter()
            .zip([BLUE, RED, GREEN].into_iter().cycle())
            .map(|((name, models), colour)| {
                let epochs = models.iter().map(|epochs| epochs.len()).max().unwrap_or(0);
                (
                    (*name, colour),
                    (0..epochs).map(|at| mean(models, at)).collect(),
                )
            })
            .collect()
    };
    charts(
        ["training loss", "training accuracy"],
        &lines(|epoch| epoch.loss),
        &lines(|epoch| epoch.accuracy),
    )
}

/// Name and colour of a line, and its values epoch after epoch.
type Line<'a> = ((&'a str, &'static str), Vec<f64>);

const BLUE: &str = "#1f5fa8";
const RED: &str = "#c0501f";
const GREEN: &str = "#2e8540";

/// A picture of losses and, below them, of accuracies.
fn charts(titles: [&str; 2], losses: &[Line<'_>], accuracies: &[Line<'_>]) -> String {
    let mut svg = head(WIDTH + 80, 2 * (HEIGHT + 60));
    let values = losses.iter().flat_map(|(_, values)| values);
    let largest = values.fold(1e-9f64, |most, &value| most.max(value));
    let [loss, accuracy] = titles;
    chart(&mut svg, 30, loss, largest, losses);
    chart(&mut svg, 30 + HEIGHT + 60, accuracy, 1.0, accuracies);
    svg + "</svg>\n"
}

/// A table of the epochs for the terminal: first, best and last, and some of those between.
pub fn table(epochs: &[Epoch], best: Option<usize>) -> String {
    let mut table = format!(
        "{:>6}{:>10}{:>10}{:>12}{:>12}{:>11}{:>10}",
        "epoch", "loss", "accuracy", "validation", "its loss", "rate", "gradient"
    );
    let stride = epochs.len().div_ceil(TABLE_EPOCHS).max(1);
    for epoch in epochs {
        let number = epoch.epoch;
        let is_best = best == Some(number);
        if !((number - 1).is_multiple_of(stride) || number == epochs.len() || is_best) {
            continue;
        }
        let score = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.4}"));
        let _ = write!(
            table,
            "\n{number:>6}{:>10.4}{:>10.4}{:>12}{:>12}{:>11.2e}{:>10.3}{}",
            epoch.loss,
            epoch.accuracy,
            score(epoch.validation.map(|score| score.accuracy)),
            score(epoch.validation.map(|score| score.loss)),
            epoch.lr,
            epoch.gradient,
            if is_best { "  best" } else { "" }
        );
    }
    table
}

/// About so many epochs are told in a terminal.
const TABLE_EPOCHS: usize = 10;

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

fn head(width: usize, height: usize) -> String {
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>
"##
    )
}

fn text(svg: &mut String, x: usize, y: usize, anchor: &str, text: &str) {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _ = writeln!(
        svg,
        r#"<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>"#
    );
}

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
    use crate::training::evaluate::Score;

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

    fn epoch(epoch: usize) -> Epoch {
        Epoch {
            epoch,
            loss: 2.0 / epoch as f64,
            accuracy: 0.5,
            validation: Some(Score {
                accuracy: 0.25,
                loss: 1.0,
            }),
            lr: 0.1,
            gradient: 1.0,
        }
    }

    #[test]
    fn a_table_of_epochs_tells_the_first_the_best_and_the_last() {
        let epochs: Vec<Epoch> = (1..=40).map(epoch).collect();
        let text = table(&epochs, Some(6));
        let told: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        let numbers = [
            "1", "5", "6", "9", "13", "17", "21", "25", "29", "33", "37", "40",
        ];
        assert_eq!(told[1..], numbers);
        assert_eq!(
            text.lines().nth(3),
            Some("     6    0.3333    0.5000      0.2500      1.0000    1.00e-1     1.000  best")
        );
    }

    #[test]
    fn curves_hold_a_point_for_every_epoch() {
        let svg = curves(&[epoch(1), epoch(2)]);
        // Loss 2 of at most 2 is the top of the field, half of it the middle.
        assert!(svg.contains(r#"points="360.0,30.0 660.0,130.0""#), "{svg}");
        assert_eq!(svg.matches("<polyline").count(), 4);
    }

    #[test]
    fn kinds_are_compared_by_the_mean_of_their_models() {
        // Losses 2 and 1, and 2 alone: the means are 2 and 1.
        let (two, one) = ([epoch(1), epoch(2)], [epoch(1)]);
        let svg = compared(&[("dense", vec![&two, &one]), ("block-term", vec![&one])]);
        assert!(svg.contains(r#"points="360.0,30.0 660.0,130.0""#), "{svg}");
        assert!(
            svg.contains("loss, block-term") && svg.contains("2 epochs"),
            "{svg}"
        );
        // One of two epochs ends in the middle.
        assert!(svg.contains(r#"points="360.0,30.0"/>"#), "{svg}");
        assert_eq!(svg.matches("<polyline").count(), 4);
    }
}
