//! The table of a comparison.

use crate::command::controls::Control;
use crate::data::PartName;
use crate::say;
use serde::Serialize;

/// One kind of model.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub cell: &'static str,
    pub input_map: &'static str,
    /// Null where the cell has none.
    pub recurrent_map: Option<&'static str>,
    /// Weights of the LSTM and the head.
    pub parameters: usize,
    pub input_parameters: usize,
    /// Of the input map, against a dense one.
    pub input_compression: f64,
    /// Of the layer, against a dense LSTM.
    pub compression: f64,
    pub lr: f32,
    /// On the test part, the mean over the seeds.
    pub accuracy_mean: f64,
    /// Its standard deviation from seed to seed; 0 for one seed.
    pub accuracy_sd: f64,
    pub accuracies: Vec<f64>,
    /// On the validation part, in the epoch chosen; with --refit that of the
    /// model which the rate was chosen by.
    pub validation_mean: Option<f64>,
    /// In integers, as on the device.
    pub fixed_accuracy_mean: f64,
    pub fixed_accuracies: Vec<f64>,
    /// Epochs until the accuracy on the validation part reached 0.9 of its best;
    /// with --refit as `validation_mean`.
    pub epochs_to_90_percent: Option<f64>,
    /// Training, mean over the seeds.
    pub seconds: f64,
    /// Flash of the quantized model.
    pub device_bytes: usize,
    /// RAM of a session.
    pub device_ram_bytes: usize,
    /// Predicted instructions of both maps for one step on the core of `--core`.
    pub instructions: u64,
}

impl Row {
    /// In few words.
    fn name(&self) -> String {
        let recurrent = match self.recurrent_map {
            Some("dense") | None => "",
            Some(_) => ", recurrent too",
        };
        format!("{}, {}{recurrent}", self.cell, self.input_map)
    }
}

/// What accuracies are of.
#[derive(Debug, Serialize)]
pub(super) struct Split {
    /// Sequences that are learned from.
    pub train: usize,
    pub validation: usize,
    pub test: usize,
}

/// Prints all there is.
pub(super) fn print(rows: &[Row], controls: &[Control], split: &Split, seeds: &str, baseline: f64) {
    let test = PartName::Test.word();
    say!(
        "{} sequences to learn from, {} to validate, {} of the {test} part; {seeds}; always telling the commonest class: \
         {baseline:.4}",
        split.train,
        split.validation,
        split.test
    );
    say!(
        "{:<37}{:>11}{:>12}{:>18}{:>9}{:>11}{:>9}{:>10}{:>9}{:>14}",
        "model",
        "parameters",
        "compression",
        "accuracy",
        "fixed",
        "90 % after",
        "seconds",
        "flash",
        "RAM",
        "instructions"
    );
    for control in controls {
        say!(
            "{:<37}{:>11}{:>12}{:>18}",
            control.name(),
            control.parameters,
            "",
            format!("{:.4}         ", control.accuracy)
        );
    }
    for row in rows {
        let accuracy = format!("{:.4} ± {:.4}", row.accuracy_mean, row.accuracy_sd);
        let to_90 = row
            .epochs_to_90_percent
            .map_or("-".into(), |epochs| format!("{epochs:.1}"));
        say!(
            "{:<37}{:>11}{:>12.1}{accuracy:>18}{:>9.4}{to_90:>11}{:>9.1}{:>10}{:>9}{:>14}",
            row.name(),
            row.parameters,
            row.compression,
            row.fixed_accuracy_mean,
            row.seconds,
            row.device_bytes,
            row.device_ram_bytes,
            row.instructions
        );
    }
}
