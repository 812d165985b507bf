//! Scores of a part: as arrays of a file, and what they come to.

use crate::data::{Items, NpzWriter, Part, Targets};
use crate::error::{Error, Result};
use crate::training::confusion::Confusion;
use crate::training::evaluate;
use crate::training::metrics::{BitFigures, Figures, ValueFigures};
use bt_core::{Model, OutputKind, argmax};
use ndarray::Array2;
use serde_json::{Value, json};
use std::path::Path;

/// What the rows of a part's scores are.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// The part.
    pub part: &'a Part,
    /// Whether there is one for every valid step, sequence by sequence, and not one for each sequence.
    pub every_step: bool,
    /// What they are.
    pub kind: OutputKind,
}

/// The class where there is none: behind the end of a sequence.
const NO_CLASS: i64 = -1;

impl Rows<'_> {
    /// Writes `logits`, `pred` where they tell classes, and `raw` where there is any: [sequences, K], or
    /// [sequences, steps, K] with zeros behind the end of a sequence, where `pred` is −1.
    ///
    /// # Errors
    /// Names the file.
    pub fn write(&self, path: &Path, logits: &Array2<f32>, raw: Option<&[Vec<i32>]>) -> Result<()> {
        let outputs = logits.ncols();
        let mut writer = NpzWriter::new();
        let values: Vec<f32> = logits.iter().copied().collect();
        let (shape, values) = self.array(&values, outputs, 0.0);
        writer.array("logits", &shape, &values)?;
        if self.kind == OutputKind::Classes {
            let predictions: Vec<i64> = match raw {
                Some(raw) => raw
                    .iter()
                    .map(|raw| argmax(raw).unwrap_or(0) as i64)
                    .collect(),
                None => evaluate::predictions(logits)
                    .into_iter()
                    .map(|class| class as i64)
                    .collect(),
            };
            let (shape, predictions) = self.array(&predictions, 1, NO_CLASS);
            writer.array("pred", &shape[..shape.len() - 1], &predictions)?;
        }
        if let Some(raw) = raw {
            let flat: Vec<i32> = raw.iter().flatten().copied().collect();
            let (shape, raw) = self.array(&flat, outputs, 0);
            writer.array("raw", &shape, &raw)?;
        }
        writer.write(path)
    }

    /// Rows of `width` numbers as an array of sequences, and its shape; what lies `behind` the end of a sequence is
    /// that.
    pub fn array<T: Copy>(&self, rows: &[T], width: usize, behind: T) -> (Vec<usize>, Vec<T>) {
        let sequences = self.part.sequences();
        if !self.every_step {
            return (vec![sequences, width], rows.to_vec());
        }
        let steps = self.part.steps();
        let mut all = Vec::with_capacity(sequences * steps * width);
        let mut rest = rows;
        for (sequence, &length) in self.part.lengths.iter().enumerate() {
            let (own, others) = rest.split_at(length * width);
            all.extend(own);
            all.resize((sequence + 1) * steps * width, behind);
            rest = others;
        }
        (vec![sequences, steps, width], all)
    }
}

/// Logits [rows, K] of raw scores; of values these in the units of the data.
///
/// # Errors
/// Never for rows of the model's own.
pub fn logits(model: &Model<'_>, raw: &[Vec<i32>]) -> Result<Array2<f32>> {
    let unit = 2f64.powi(-model.score_shift());
    let logit = |(output, &raw): (usize, &i32)| {
        let raw = f64::from(raw);
        let real = match model.float_output(output) {
            Some(units) => f64::from(units.offset) + raw * f64::from(units.lsb),
            None => raw * unit,
        };
        real as f32
    };
    let rows = raw.iter().flat_map(|row| row.iter().enumerate().map(logit));
    Array2::from_shape_vec((raw.len(), model.outputs()), rows.collect()).map_err(Error::malformed)
}

/// What raw scores come to beside the targets of their rows.
///
/// # Errors
/// Never for rows of the model's own and targets that were checked against it.
pub fn figures(model: &Model<'_>, targets: &Targets, raw: &[Vec<i32>]) -> Result<Figures> {
    Ok(match &targets.items {
        Items::Classes(labels) => {
            let told = raw.iter().map(|raw| argmax(raw).unwrap_or(0));
            let told: Vec<usize> = told.collect();
            Figures::of_classes(&Confusion::new(model.outputs(), labels, &told))
        }
        Items::Values(values) => Figures::Values(ValueFigures::of(&logits(model, raw)?, values)),
        Items::Bits(bits) => {
            let sequences = targets.sequences();
            Figures::Bits(BitFigures::of(&logits(model, raw)?, bits, sequences))
        }
    })
}

/// What the rows of a model's scores are.
pub fn rows<'p>(model: &Model<'_>, part: &'p Part) -> Rows<'p> {
    Rows {
        part,
        every_step: model.scores_every_step(),
        kind: model.output_kind(),
    }
}

/// For programs: the sequences, the valid steps where each has a target, and the figures.
pub fn report(part: &Part, every_step: bool, figures: Option<Figures>) -> Value {
    let mut object = json!({ "sequences": part.sequences() });
    if every_step {
        object["steps"] = part.lengths.iter().sum::<usize>().into();
    }
    if let Some(figures) = figures {
        merge(&mut object, &json!(figures));
    }
    object
}

/// Puts the fields of one object into another.
pub fn merge(object: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        object[key] = value.clone();
    }
}

/// For people: how many they are.
pub fn counted(part: &Part, every_step: bool) -> String {
    let sequences = part.sequences();
    let captions = part.targets.as_ref().and_then(Targets::caption_lengths);
    if let Some(words) = captions {
        let words: usize = words.iter().sum();
        return format!("{words} words of {sequences} captions");
    }
    match every_step {
        true => {
            let steps: usize = part.lengths.iter().sum();
            format!("{steps} steps of {sequences} sequences")
        }
        false => format!("{sequences} sequences"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Values;
    use std::sync::Arc;

    /// Sequences of 2 and of 1 of 3 steps.
    #[test]
    fn rows_of_steps_lie_where_their_steps_do() {
        let part = Part {
            values: Arc::new(Values::U8(vec![0; 6])),
            width: 1,
            starts: vec![0, 3],
            lengths: vec![2, 1],
            targets: None,
            groups: None,
        };
        let rows = Rows {
            part: &part,
            every_step: true,
            kind: OutputKind::Classes,
        };
        let (shape, all) = rows.array(&[1, 2, 3, 4, 5, 6], 2, 0);
        assert_eq!(shape, [2, 3, 2]);
        assert_eq!(all, [1, 2, 3, 4, 0, 0, 5, 6, 0, 0, 0, 0]);
        let (shape, all) = rows.array(&[7, 8, 9], 1, -1);
        assert_eq!((shape, all), (vec![2, 3, 1], vec![7, 8, -1, 9, -1, -1]));
    }
}
