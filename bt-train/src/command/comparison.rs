//! What the integers cost: the float model as it came beside the integers that were written.

use crate::command::scores::{counted, merge};
use crate::data::DataSet;
use crate::error::Result;
use crate::float::checkpoint::Checkpoint;
use crate::float::head::LossWeights;
use crate::quantize::export::Scheme;
use crate::quantize::fine_tune;
use crate::say;
use crate::training::confusion::Confusion;
use crate::training::evaluate;
use crate::training::material::split_off;
use crate::training::metrics::{Figures, digits};
use crate::training::outcome::Outcome;
use crate::training::settings::Settings;
use ndarray::Array2;
use serde::Serialize;
use serde_json::{Value, json};

/// A loss of accuracy that deserves a warning.
const LOSS_MAX: f64 = 0.003;

/// A growth of the error of values that does, as a share of it.
const GROWTH_MAX: f64 = 0.03;

/// A growth of the nats of bits that does, likewise.
const NATS_GROWTH_MAX: f64 = 0.005;

/// What a part of the data is called that no epoch learned from.
pub(super) const VALIDATION: &str = "validation";

/// Both models on one part of the data.
pub struct Comparison {
    /// `validation`, or `training` where nothing is kept for that.
    pub part: &'static str,
    /// Its sequences, in words.
    counted: String,
    /// In floats.
    pub float: Outcome,
    /// In integers.
    pub fixed: Outcome,
    /// e to the mean loss of a word, in floats and in integers, of a model that tells captions.
    perplexity: Option<[f64; 2]>,
    classes: Vec<ClassRecall>,
}

/// What becomes of the sequences of one class.
#[derive(Debug, Serialize)]
struct ClassRecall {
    class: usize,
    label: String,
    /// Its sequences, or valid steps.
    sequences: usize,
    /// Share of them that the float model tells.
    float_recall: f64,
    /// Share that the integers tell.
    fixed_recall: f64,
}

impl Comparison {
    /// `None` without targets.
    pub fn new(
        settings: &Settings,
        frames: &DataSet,
        float: &Checkpoint,
        kept: &Checkpoint,
        scheme: &Scheme,
    ) -> Result<Option<Comparison>> {
        let (name, part) = match split_off(settings, frames)? {
            (_, Some(validation)) => (VALIDATION, validation),
            (train, None) => ("training", train),
        };
        let Some(targets) = &part.targets else {
            return Ok(None);
        };
        let model = float.model()?;
        let kept = kept.model()?;
        let logits = evaluate::logits(&model, &part);
        let fixed_logits = fine_tune::logits(scheme, &kept, &part)?;
        let perplexity = model.config.words().map(|_| {
            let of = |logits: &Array2<f32>| {
                let weights = LossWeights::default();
                let (loss, _) = model.loss(logits.view(), targets.items.wanted(), &weights);
                loss.loss.exp()
            };
            [of(&logits), of(&fixed_logits)]
        });
        let float = Outcome::of(&model, &part, &targets.items, logits);
        let fixed = Outcome::of(&kept, &part, &targets.items, fixed_logits);
        let classes = match (float.confusion(), fixed.confusion()) {
            (Some(float), Some(fixed)) => {
                let names = &model.config.head.labels;
                let of = |class| ClassRecall::new(class, names, float, fixed);
                (0..float.classes()).map(of).collect()
            }
            _ => Vec::new(),
        };
        Ok(Some(Comparison {
            part: name,
            counted: counted(&part, targets.every_step()),
            float,
            fixed,
            perplexity,
            classes,
        }))
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let mut object = json!({ "part": self.part, "sequences": self.float.sequences });
        for (prefix, outcome) in [("float", &self.float), ("fixed", &self.fixed)] {
            let more = match outcome.figures {
                Figures::Classes { accuracy, .. } => {
                    json!({ format!("{prefix}_accuracy"): accuracy })
                }
                Figures::Values(values) => json!({
                    format!("{prefix}_rmse"): values.rmse,
                    format!("{prefix}_mae"): values.mae,
                    format!("{prefix}_r2"): values.r2,
                }),
                Figures::Bits(bits) => json!({
                    format!("{prefix}_nats"): bits.nats,
                    format!("{prefix}_accuracy"): bits.accuracy,
                }),
            };
            merge(&mut object, &more);
        }
        if let Some([float, fixed]) = self.perplexity {
            let more = json!({ "float_perplexity": float, "fixed_perplexity": fixed });
            merge(&mut object, &more);
        }
        if self.float.confusion().is_some() {
            object["classes"] = json!(self.classes);
        }
        object
    }

    /// What is lost, in words, where that is more than rounding explains: more than 0.3 points and more than
    /// one item of classes, more than 3 % of values, than 0.5 % of bits' nats.
    pub fn loss(&self) -> Option<String> {
        match (self.float.figures, self.fixed.figures) {
            (
                Figures::Classes {
                    accuracy: float, ..
                },
                Figures::Classes {
                    accuracy: fixed, ..
                },
            ) => {
                let least = LOSS_MAX.max(1.0 / self.float.items.max(1) as f64);
                let loss = float - fixed;
                let is_much = loss > least * (1.0 + 1e-9);
                is_much.then(|| format!("lose {:.2} points", 100.0 * loss))
            }
            (Figures::Values(float), Figures::Values(fixed)) => {
                let growth = fixed.rmse / float.rmse - 1.0;
                let is_much = growth > GROWTH_MAX;
                is_much.then(|| format!("raise the RMSE by {:.1} %", 100.0 * growth))
            }
            (Figures::Bits(float), Figures::Bits(fixed)) => {
                let growth = fixed.nats / float.nats - 1.0;
                let is_much = growth > NATS_GROWTH_MAX;
                is_much.then(|| format!("raise the nats by {:.1} %", 100.0 * growth))
            }
            _ => None,
        }
    }

    /// For people.
    pub fn print(&self, classes: bool) {
        let (counted, part) = (&self.counted, self.part);
        match (self.float.figures, self.fixed.figures) {
            (Figures::Values(float), Figures::Values(fixed)) => say!(
                "rmse       {} in floats, {} in integers on the {counted} of the {part} part",
                digits(float.rmse),
                digits(fixed.rmse)
            ),
            (Figures::Bits(float), Figures::Bits(fixed)) => say!(
                "nats       {} a sequence in floats, {} in integers on the {counted} of the {part} part",
                digits(float.nats),
                digits(fixed.nats)
            ),
            (float, fixed) => say!(
                "accuracy   {:.4} in floats, {:.4} in integers on the {counted} of the {part} part",
                float.accuracy().unwrap_or(0.0),
                fixed.accuracy().unwrap_or(0.0)
            ),
        }
        if let Some([float, fixed]) = self.perplexity {
            say!("perplexity {float:.3} in floats, {fixed:.3} in integers");
        }
        if !classes || self.classes.is_empty() {
            return;
        }
        let change = |class: &ClassRecall| class.fixed_recall - class.float_recall;
        let mut changed: Vec<&ClassRecall> = self
            .classes
            .iter()
            .filter(|class| change(class) != 0.0)
            .collect();
        changed.sort_by(|a, b| change(a).total_cmp(&change(b)));
        if changed.is_empty() {
            say!("  every class is told as often as in floats");
            return;
        }
        say!(
            "  {:<16}{:>10}{:>9}{:>9}{:>9}",
            "class",
            "sequences",
            "floats",
            "integers",
            "change"
        );
        for class in changed {
            say!(
                "  {:<16}{:>10}{:>9.4}{:>9.4}{:>+9.4}",
                class.label,
                class.sequences,
                class.float_recall,
                class.fixed_recall,
                change(class)
            );
        }
    }
}

impl ClassRecall {
    fn new(class: usize, names: &[String], float: &Confusion, fixed: &Confusion) -> ClassRecall {
        let (sequences, in_float) = float.recall(class);
        let share = |right: usize| right as f64 / sequences.max(1) as f64;
        ClassRecall {
            class,
            label: names.get(class).cloned().unwrap_or(class.to_string()),
            sequences,
            float_recall: share(in_float),
            fixed_recall: share(fixed.recall(class).1),
        }
    }
}
