//! What people look at after a run: its epochs as a table, and as learning curves.

use super::metrics::{Keep, digits};
use super::trainer::Epoch;
use crate::chart::{Axis, Chart, Scale, Series, stacked};
use crate::svg::{BLUE, GREEN, OCHRE, PURPLE, RED};
use std::fmt::Write;

/// Loss and accuracy over the epochs, training and validation, the best of them marked; of values R² instead of
/// the accuracy, 0 where it is below, of bits the nats of a sequence.
pub fn charts(epochs: &[Epoch], best: Option<usize>) -> Vec<Chart<'static>> {
    let of = |value: fn(&Epoch) -> Option<f64>| epochs.iter().filter_map(value).collect::<Vec<_>>();
    let training = |values: Vec<f64>| Series::counted("training", BLUE, &values);
    let validation = |values: Vec<f64>| Series::counted("validation", RED, &values);
    let losses = vec![
        training(of(|epoch| Some(epoch.loss))),
        validation(of(|epoch| Some(epoch.validation?.loss))),
    ];
    let explained = of(|epoch| {
        let values = epoch.validation?.figures.values()?;
        Some(values.r2.unwrap_or(0.0).max(0.0))
    });
    let nats = of(|epoch| epoch.validation?.get(Keep::Nats));
    let (title, figures) = if !nats.is_empty() {
        ("nats", vec![validation(nats)])
    } else if explained.is_empty() {
        let figures = vec![
            training(of(|epoch| epoch.accuracy)),
            validation(of(|epoch| epoch.validation?.figures.accuracy())),
        ];
        ("accuracy", figures)
    } else {
        ("R²", vec![validation(explained)])
    };
    let mark = best.filter(|&epoch| epoch > 0);
    let mark = mark.map(|epoch| (epoch as f64, format!("best: {epoch}")));
    let bleu = vec![validation(of(|epoch| epoch.validation?.get(Keep::Bleu)))];
    [
        over_epochs("loss", Scale::FromZero, losses),
        over_epochs(title, Scale::Linear, figures),
        over_epochs("BLEU-4", Scale::Linear, bleu),
    ]
    .into_iter()
    .filter(|chart| !chart.series.is_empty())
    .map(|chart| Chart {
        mark: mark.clone(),
        ..chart
    })
    .collect()
}

/// A chart of values epoch after epoch; what has none is left out.
fn over_epochs<'a>(title: &'a str, scale: Scale, mut series: Vec<Series<'a>>) -> Chart<'a> {
    series.retain(|series| !series.points.is_empty());
    Chart {
        title,
        x: Axis {
            name: "epoch",
            scale: Scale::Count,
        },
        y: Axis { name: "", scale },
        series,
        mark: None,
    }
}

/// Training loss and accuracy over the epochs of several kinds of models, the means over all models of a
/// kind that came so far.
pub fn compared(kinds: &[(&str, Vec<&[Epoch]>)]) -> String {
    let lines = |value: fn(&Epoch) -> f64| -> Vec<Series<'_>> {
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
            .zip([BLUE, RED, GREEN, OCHRE, PURPLE].into_iter().cycle())
            .map(|((name, models), colour)| {
                let epochs = models.iter().map(|epochs| epochs.len()).max().unwrap_or(0);
                let means: Vec<f64> = (0..epochs).map(|at| mean(models, at)).collect();
                Series::counted(name, colour, &means)
            })
            .collect()
    };
    stacked(&[
        over_epochs("training loss", Scale::FromZero, lines(|epoch| epoch.loss)),
        over_epochs(
            "training accuracy",
            Scale::Linear,
            lines(|epoch| epoch.accuracy.unwrap_or(0.0)),
        ),
    ])
}

/// A table of the epochs for the terminal: first, best and last, and some of those between, with the figure by
/// which the best was kept.
pub fn table(epochs: &[Epoch], best: Option<usize>, keep: Keep) -> String {
    let validation = match keep {
        Keep::Accuracy => "validation",
        keep => keep.name(),
    };
    let score = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.4}"));
    // Values and bits have none.
    let has_accuracy = epochs.iter().any(|epoch| epoch.accuracy.is_some());
    let accuracy = |text: &str| match has_accuracy {
        true => format!("{text:>10}"),
        false => String::new(),
    };
    let mut table = format!(
        "{:>6}{:>10}{}{:>12}{:>12}{:>11}{:>10}",
        "epoch",
        "loss",
        accuracy("accuracy"),
        validation,
        "its loss",
        "rate",
        "gradient"
    );
    let stride = epochs.len().div_ceil(TABLE_EPOCHS).max(1);
    for epoch in epochs {
        let number = epoch.epoch;
        let is_best = best == Some(number);
        if !((number - 1).is_multiple_of(stride) || number == epochs.len() || is_best) {
            continue;
        }
        let _ = write!(
            table,
            "\n{number:>6}{:>10.4}{}{:>12}{:>12}{:>11.2e}{:>10.3}{}",
            epoch.loss,
            accuracy(&score(epoch.accuracy)),
            epoch
                .validation
                .and_then(|score| score.get(keep))
                .map_or("-".into(), digits),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::evaluate::Score;
    use crate::training::metrics::Figures;

    fn epoch(epoch: usize) -> Epoch {
        Epoch {
            epoch,
            loss: 2.0 / epoch as f64,
            accuracy: Some(0.5),
            validation: Some(Score {
                figures: Figures::Classes {
                    accuracy: 0.25,
                    balanced_accuracy: 0.25,
                    macro_f1: 0.125,
                },
                captions: None,
                loss: 1.0,
            }),
            lr: 0.1,
            gradient: 1.0,
        }
    }

    #[test]
    fn a_table_of_epochs_tells_the_first_the_best_and_the_last() {
        let epochs: Vec<Epoch> = (1..=40).map(epoch).collect();
        let text = table(&epochs, Some(6), Keep::Accuracy);
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

    /// The column is the figure that was asked for.
    #[test]
    fn a_table_shows_the_figure_that_is_kept() {
        let text = table(&[epoch(1)], Some(1), Keep::MacroF1);
        assert!(
            text.lines()
                .next()
                .is_some_and(|head| head.contains("macro-f1"))
        );
        assert!(text.contains("0.1250"), "{text}");
    }

    #[test]
    fn curves_hold_a_point_for_every_epoch_and_mark_the_best() {
        let charts = charts(&[epoch(1), epoch(2)], Some(2));
        assert_eq!(charts.len(), 2);
        let loss = &charts[0].series[0];
        assert_eq!(loss.points, [(1.0, 2.0), (2.0, 1.0)]);
        let svg = stacked(&charts);
        assert_eq!(svg.matches("<polyline").count(), 4);
        assert_eq!(svg.matches(">best: 2<").count(), 2);
        // An epoch 0 is the model that learning started from: no place on the axis.
        assert!(!stacked(&super::charts(&[epoch(1)], Some(0))).contains("best"));
    }

    #[test]
    fn kinds_are_compared_by_the_mean_of_their_models() {
        // Losses 2 and 1, and 2 alone: the means are 2 and 1.
        let (two, one) = ([epoch(1), epoch(2)], [epoch(1)]);
        let svg = compared(&[("dense", vec![&two, &one]), ("block-term", vec![&one])]);
        // The field runs from 52 to 382 and from 210 up to 42: 0 to 2 epochs, a loss of 0 to 2.
        assert!(svg.contains(r#"points="217.0,42.0 382.0,126.0""#), "{svg}");
        // One epoch is a dot.
        assert!(svg.contains(r#"<circle cx="217.0" cy="42.0""#), "{svg}");
        assert!(svg.contains(">block-term<"), "{svg}");
        assert_eq!(svg.matches("<polyline").count(), 2);
    }
}
