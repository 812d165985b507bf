//! What a run came to in floats: figures, curves, classes, the model.

use super::Report;
use super::html::{Cell, Page};
use crate::chart::Chart;
use crate::error::times;
use crate::float::config::ModelConfig;
use crate::shape::{self, MapKind, MapShape};
use crate::training::confusion::{Confusion, name};
use crate::training::curves;
use crate::training::metrics::{Figures, ValueFigures, digits};
use crate::training::outcome::{Detail, Outcome};

/// A model in few words.
pub(super) fn title(config: &ModelConfig) -> String {
    let layers = match config.layers {
        1 => String::new(),
        layers => format!("{layers} layers of "),
    };
    format!(
        "{layers}{} {} units, {} input map",
        config.units(),
        match config.cell {
            shape::Cell::Lstm => "LSTM",
            shape::Cell::Gru => "GRU",
            shape::Cell::MinGru => "minGRU",
        },
        config.input.map.name()
    )
}

pub(super) fn summary(page: &mut Page, report: &Report<'_>) {
    page.section("In short", |page| {
        let mut cards = Vec::new();
        if let Some(outcome) = report.validation {
            cards.extend(figures(&outcome.figures));
            if let Some(confusion) = outcome.confusion() {
                let guess = format!("{:.4}", confusion.majority());
                cards.push((guess, "always telling the commonest class".into()));
            }
        }
        if let Some(best) = report.best {
            let of = report.epochs.len();
            cards.push((format!("{} of {of}", best.epoch), "best epoch".into()));
        }
        let config = report.config;
        cards.push((thousands(config.parameters()), "weights in all".into()));
        cards.push((
            format!("{:.1} ×", config.compression()),
            "fewer in the layers than dense".into(),
        ));
        page.cards(&cards);
        let validated = match report.validation {
            None => "nothing is kept for validation".to_owned(),
            Some(outcome) if outcome.items != outcome.sequences => format!(
                "the figures are of {} steps of {} others",
                thousands(outcome.items),
                thousands(outcome.sequences)
            ),
            Some(outcome) => format!(
                "the figures are of {} others",
                thousands(outcome.sequences)
            ),
        };
        let learned = match report.learned {
            Some(count) => format!("{} sequences to learn from", thousands(count)),
            None => "The sequences to learn from were not counted again".to_owned(),
        };
        page.paragraph(&format!(
            "{learned}; {validated}, the validation part. Seed {}.",
            report.settings.seed
        ));
        page.note(
            "The epoch was chosen by the validation part, so its figures are a little too good. bt-train eval \
             tells those of the test part.",
        );
        let names = &config.head.labels;
        let confusion = report.validation.and_then(Outcome::confusion);
        if let Some(warning) = confusion.and_then(|confusion| confusion.warning(names)) {
            page.warning(&warning.replace('`', ""));
        }
    });
}

fn figures(figures: &Figures) -> Vec<(String, String)> {
    match *figures {
        Figures::Classes {
            accuracy,
            balanced_accuracy,
            macro_f1,
        } => vec![
            (format!("{accuracy:.4}"), "accuracy".into()),
            (
                format!("{balanced_accuracy:.4}"),
                "balanced accuracy".into(),
            ),
            (format!("{macro_f1:.4}"), "macro-F1".into()),
        ],
        Figures::Values(ValueFigures { rmse, mae, r2 }) => vec![
            (digits(rmse), "RMSE, in units of y".into()),
            (digits(mae), "MAE, likewise".into()),
            (optional(r2), "R²; telling the mean gives 0".into()),
        ],
        Figures::Bits(bits) => {
            let of_latent = |nats| (digits(nats), "of them for latent values".into());
            let mut rows = vec![(digits(bits.nats), "nats a sequence".into())];
            rows.extend(bits.divergence.map(of_latent));
            rows.push((
                format!("{:.4}", bits.accuracy),
                "share of bits right".into(),
            ));
            rows
        }
    }
}

pub(super) fn curves(page: &mut Page, report: &Report<'_>) {
    let charts = curves::charts(report.epochs, report.best.map(|best| best.epoch));
    if charts.is_empty() {
        return;
    }
    page.section("Epochs", |page| {
        page.charts(&charts.iter().map(Chart::svg).collect::<Vec<_>>());
    });
}

pub(super) fn outcome(page: &mut Page, config: &ModelConfig, outcome: &Outcome) {
    let names = &config.head.labels;
    match &outcome.detail {
        Detail::Classes(confusion) => {
            page.section("What was taken for what", |page| {
                page.picture(&confusion.svg(names));
                page.note(
                    "Rows are the truth; the darker a field, the larger its share of the row.",
                );
            });
            page.section("Class by class", |page| classes(page, confusion, names));
        }
        Detail::Values(outputs) => page.section("Value by value", |page| {
            let rows = outputs.iter().enumerate().map(|(at, figures)| {
                vec![
                    Cell::words(name(names, at)),
                    Cell::number(digits(figures.rmse)),
                    Cell::number(digits(figures.mae)),
                    Cell::number(optional(figures.r2)),
                ]
            });
            page.table(&["value", "RMSE", "MAE", "R²"], rows.collect());
        }),
        Detail::None => {}
    }
}

fn classes(page: &mut Page, confusion: &Confusion, names: &[String]) {
    let rows = (0..confusion.classes()).map(|class| {
        let ((all, right), told) = (confusion.recall(class), confusion.told(class));
        let share = |of: usize| (of > 0).then(|| right as f64 / of as f64);
        vec![
            Cell::words(name(names, class)),
            Cell::number(thousands(all)),
            Cell::number(thousands(told)),
            Cell::Share(share(all)),
            Cell::Share(share(told)),
            Cell::Share(confusion.f1(class)),
        ]
    });
    let head = ["class", "is", "told", "recall", "precision", "F1"];
    page.table(&head, rows.collect());
}

pub(super) fn model(page: &mut Page, report: &Report<'_>) {
    let config = report.config;
    page.section("The model", |page| {
        let mut rows = vec![map("input", &config.input_shape())];
        if config.layers > 1 {
            rows.push(map("input of layers above", &config.upper_input_shape()));
        }
        if let Some(shape) = config.recurrent_shape() {
            rows.push(map("recurrent", &shape));
        }
        let head = ["map", "form", "modes", "weights", "fewer than dense"];
        page.table(&head, rows);
        page.details("All settings", |page| settings(page, report));
    });
}

fn settings(page: &mut Page, report: &Report<'_>) {
    let settings = toml::Table::try_from(report.settings).unwrap_or_default();
    let rows = settings.into_iter().map(|(key, value)| {
        let value = match value {
            toml::Value::String(text) => text,
            // As they were given, an f32 is.
            toml::Value::Float(float) => (float as f32).to_string(),
            other => other.to_string(),
        };
        vec![Cell::words(key), Cell::words(value)]
    });
    page.table(&["setting", "value"], rows.collect());
}

fn map(name: &str, shape: &MapShape) -> Vec<Cell> {
    let form = match shape.kind {
        MapKind::BlockTerm { blocks, rank } => format!("block-term, N = {blocks}, R = {rank}"),
        MapKind::TensorTrain { rank } => format!("tensor-train, rank {rank}"),
        MapKind::Dense => "dense".to_owned(),
    };
    let (own, dense) = (shape.parameters(), shape.dense().parameters());
    vec![
        Cell::words(name),
        Cell::words(form),
        Cell::number(format!(
            "{} → {}",
            times(&shape.inputs),
            times(&shape.outputs)
        )),
        Cell::number(thousands(own)),
        Cell::number(format!("{:.1} ×", dense as f64 / own as f64)),
    ]
}

pub(super) fn optional(value: Option<f64>) -> String {
    value.map_or("–".into(), |value| format!("{value:.4}"))
}

/// A count with its digits in threes.
pub(super) fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
