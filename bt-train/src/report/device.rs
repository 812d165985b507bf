//! What a run came to in integers: memory and work, accuracy beside that of floats, and what rounding costs
//! stage by stage.

use super::html::{Cell, Page};
use super::sections::{optional, thousands};
use crate::quantize::export::{LayerReport, MapReport};
use crate::training::metrics::{Figures, digits};
use crate::training::outcome::Outcome;

/// The integers of a run.
#[derive(Debug)]
pub struct Device<'a> {
    /// Name of the model file, without its folder.
    pub file: String,
    /// The processor that plans and predictions are for, and its clock.
    pub core: String,
    /// Hz; see `core`.
    pub clock_hz: u64,
    /// Arena of a session.
    pub ram_bytes: usize,
    /// The model file.
    pub flash_bytes: usize,
    /// Predicted instructions of all maps for a step.
    pub instructions: u64,
    /// The same in milliseconds at that clock, about.
    pub milliseconds: f64,
    /// Its layers, from the frame on.
    pub layers: &'a [LayerReport],
    /// Of the integers on the validation part, where there is one.
    pub fixed: Option<&'a Outcome>,
    /// Epochs of fine-tuning, and the one that is kept; 0: the model as it came.
    pub fine_tuned: Option<(usize, usize)>,
    /// What a user should know.
    pub warnings: &'a [String],
}

impl Device<'_> {
    pub(super) fn section(&self, page: &mut Page, float: Option<&Outcome>) {
        page.section("On the device", |page| {
            page.cards(&[
                (bytes(self.flash_bytes), format!("flash, {}", self.file)),
                (bytes(self.ram_bytes), "RAM of a session".into()),
                (
                    thousands(usize::try_from(self.instructions).unwrap_or(usize::MAX)),
                    "instructions of the maps a step, predicted".into(),
                ),
                (
                    format!("{:.3} ms", self.milliseconds),
                    format!(
                        "of them on {} at {} MHz, about",
                        self.core,
                        self.clock_hz as f64 / 1e6
                    ),
                ),
            ]);
            if let Some((epochs, best)) = self.fine_tuned {
                page.paragraph(&match best {
                    0 => format!(
                        "Fine-tuned for {epochs} epochs, none of which was better: not taken."
                    ),
                    best => format!("Fine-tuned for {epochs} epochs; the one kept is {best}."),
                });
            }
            if let Some((float, fixed)) = float.zip(self.fixed) {
                beside(page, &float.figures, &fixed.figures);
            }
            for warning in self.warnings {
                page.warning(warning);
            }
        });
        page.section("Rounding, stage by stage", |page| {
            for (at, layer) in self.layers.iter().enumerate() {
                if self.layers.len() > 1 {
                    page.heading(&format!("Layer {at}"));
                }
                stages(page, layer);
            }
            page.note(
                "SNR: the signal over the noise of all rounding so far, on calibration frames; 6 dB are a bit. \
                 Range: what a stage can hold; what is beyond is cut off.",
            );
        });
    }
}

/// Both models on the validation part.
fn beside(page: &mut Page, float: &Figures, fixed: &Figures) {
    let rows: Vec<(&str, String, String)> = match (float, fixed) {
        (
            Figures::Classes {
                accuracy: a,
                balanced_accuracy: b,
                macro_f1: f,
            },
            Figures::Classes {
                accuracy,
                balanced_accuracy,
                macro_f1,
            },
        ) => [
            ("accuracy", a, accuracy),
            ("balanced accuracy", b, balanced_accuracy),
            ("macro-F1", f, macro_f1),
        ]
        .into_iter()
        .map(|(name, a, b)| (name, format!("{a:.4}"), format!("{b:.4}")))
        .collect(),
        (Figures::Values(a), Figures::Values(b)) => vec![
            ("RMSE", digits(a.rmse), digits(b.rmse)),
            ("MAE", digits(a.mae), digits(b.mae)),
            ("R²", optional(a.r2), optional(b.r2)),
        ],
        (Figures::Bits(a), Figures::Bits(b)) => vec![
            ("nats a sequence", digits(a.nats), digits(b.nats)),
            (
                "share of bits right",
                format!("{:.4}", a.accuracy),
                format!("{:.4}", b.accuracy),
            ),
        ],
        _ => Vec::new(),
    };
    let cells = |(name, a, b): (&str, String, String)| {
        vec![Cell::words(name), Cell::number(a), Cell::number(b)]
    };
    page.heading("The same validation part");
    page.table(
        &["", "floats", "integers"],
        rows.into_iter().map(cells).collect(),
    );
}

fn stages(page: &mut Page, layer: &LayerReport) {
    let recurrent = layer.recurrent.as_ref().map(|map| ("recurrent map", map));
    for (name, map) in std::iter::once(("input map", &layer.input)).chain(recurrent) {
        let plan = map.plan.as_deref().unwrap_or("dense, 8-bit rows");
        page.paragraph(&format!(
            "{name}: {plan}. Its share of z comes out with {} dB.",
            decibels(map.snr_db)
        ));
        levels(page, map);
    }
    let (z, cell) = (&layer.z, &layer.cell);
    page.paragraph(&format!(
        "z up to {:.2}, {:.3} % of it beyond ±16; {:.3} % of the gates are wrong. The state goes up to {:.2} and is \
         kept in Q{}.{}.",
        z.max,
        100.0 * z.beyond,
        100.0 * z.wrong,
        cell.max,
        31 - cell.fraction,
        cell.fraction
    ));
}

fn levels(page: &mut Page, map: &MapReport) {
    let rows = map.levels.iter().enumerate().map(|(stage, level)| {
        vec![
            Cell::words(stage),
            Cell::number(decibels(level.snr_db)),
            Cell::number(format!("{:.4}", level.max)),
            Cell::number(format!("{:.4}", level.range)),
            Cell::number(level.bits),
            Cell::number(level.shift),
            Cell::number(format!("{:.2}", level.scale)),
            Cell::number(format!("{:.4}", 100.0 * level.saturated)),
        ]
    });
    let head = [
        "stage",
        "SNR, dB",
        "largest",
        "range",
        "bits",
        "shift",
        "LSB per unit",
        "cut off, %",
    ];
    page.table(&head, rows.collect());
}

/// A ratio, or nothing where calibration saw no signal.
fn decibels(value: f64) -> String {
    match value.is_finite() {
        true => format!("{value:.1}"),
        false => "–".into(),
    }
}

fn bytes(bytes: usize) -> String {
    match bytes {
        0..10_240 => format!("{} B", thousands(bytes)),
        _ => format!("{:.1} KiB", bytes as f64 / 1024.0),
    }
}
