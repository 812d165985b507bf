//! Figures of what a model says beside what it should have said.

use crate::error::{Error, Result};
use crate::float::head::bit_cross_entropy;
use crate::training::bleu::{ORDER, bleu};
use crate::training::confusion::Confusion;
use bt_core::OutputKind;
use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How well predictions fit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Figures {
    /// Of classes, over sequences or valid steps.
    Classes {
        /// Share that is right.
        accuracy: f64,
        /// Mean recall of the classes that occur.
        balanced_accuracy: f64,
        /// Mean F1 of the classes that occur or are told.
        macro_f1: f64,
    },
    /// Of values.
    Values(ValueFigures),
    /// Of bits.
    Bits(BitFigures),
}

/// How near values are, in their own units, over all outputs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ValueFigures {
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// R², the mean over the outputs; null where one of them is constant.
    pub r2: Option<f64>,
}

/// How likely bits are by their logits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BitFigures {
    /// −ln of the probability of all bits of a sequence, the mean over sequences; of a model that draws pictures a
    /// bound of it, one draw of the latent values each.
    pub nats: f64,
    /// Share of bits of which the likelier value is right; of equals 0 is told.
    pub accuracy: f64,
    /// The share of `nats` that the latent values cost: their divergence from N(0, 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<f64>,
}

/// Captions beside what people wrote.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CaptionFigures {
    /// BLEU-1 to BLEU-4, each of 0 to 1.
    pub bleu: [f64; ORDER],
    /// How many of them differ.
    pub distinct: usize,
}

impl CaptionFigures {
    /// Of a caption for each picture and all that people wrote of it.
    ///
    /// # Panics
    /// When there are not as many of both.
    pub fn of(captions: &[Vec<usize>], references: &[Vec<Vec<usize>>]) -> CaptionFigures {
        CaptionFigures {
            bleu: bleu(captions, references),
            distinct: distinct(captions),
        }
    }
}

/// How many captions differ.
pub fn distinct(captions: &[Vec<usize>]) -> usize {
    captions.iter().collect::<BTreeSet<_>>().len()
}

/// For people: `BLEU-1 to 4 62.3 49.3 40.7 33.7, 41 distinct captions`.
impl std::fmt::Display for CaptionFigures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bleu = self.bleu.map(|share| format!("{:.1}", 100.0 * share));
        let (bleu, distinct) = (bleu.join(" "), self.distinct);
        write!(f, "BLEU-1 to 4 {bleu}, {distinct} distinct captions")
    }
}

impl BitFigures {
    /// Of logits [items, K] beside the right bits of so many sequences.
    pub fn of(logits: &Array2<f32>, bits: &Array2<bool>, sequences: usize) -> BitFigures {
        let (loss, _) = bit_cross_entropy(logits.view(), bits.view());
        let right = logits.iter().zip(bits);
        let right = right.filter(|&(&logit, &bit)| (logit > 0.0) == bit).count();
        BitFigures {
            nats: loss.loss * bits.len() as f64 / sequences.max(1) as f64,
            accuracy: right as f64 / bits.len().max(1) as f64,
            divergence: None,
        }
    }

    /// The same where latent values cost so many nats a sequence.
    #[must_use]
    pub fn bounded_by(self, divergence: Option<f64>) -> BitFigures {
        BitFigures {
            nats: self.nats + divergence.unwrap_or(0.0),
            divergence,
            ..self
        }
    }
}

impl Figures {
    /// Of classes by their confusion.
    pub fn of_classes(confusion: &Confusion) -> Figures {
        Figures::Classes {
            accuracy: confusion.accuracy(),
            balanced_accuracy: confusion.balanced_accuracy(),
            macro_f1: confusion.macro_f1(),
        }
    }

    /// Share that is right; none of values.
    pub fn accuracy(&self) -> Option<f64> {
        match *self {
            Figures::Classes { accuracy, .. } => Some(accuracy),
            Figures::Bits(bits) => Some(bits.accuracy),
            Figures::Values(_) => None,
        }
    }

    /// Of values; none of others.
    pub fn values(&self) -> Option<ValueFigures> {
        match *self {
            Figures::Classes { .. } | Figures::Bits(_) => None,
            Figures::Values(values) => Some(values),
        }
    }

    /// One of the figures by its name, where they have it.
    pub fn get(&self, keep: Keep) -> Option<f64> {
        match (*self, keep) {
            (Figures::Classes { accuracy, .. }, Keep::Accuracy) => Some(accuracy),
            (Figures::Classes { macro_f1, .. }, Keep::MacroF1) => Some(macro_f1),
            (
                Figures::Classes {
                    balanced_accuracy, ..
                },
                Keep::BalancedAccuracy,
            ) => Some(balanced_accuracy),
            (Figures::Values(values), Keep::Rmse) => Some(values.rmse),
            (Figures::Values(values), Keep::Mae) => Some(values.mae),
            (Figures::Values(values), Keep::R2) => values.r2,
            (Figures::Bits(bits), Keep::Nats) => Some(bits.nats),
            (Figures::Bits(bits), Keep::Accuracy) => Some(bits.accuracy),
            _ => None,
        }
    }
}

/// For people: `accuracy 0.9120`, `rmse 1.2000, mae 0.9000, r2 0.8100`, or `87.4000 nats a sequence, …`.
impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Figures::Classes { accuracy, .. } => write!(f, "accuracy {accuracy:.4}"),
            Figures::Values(ValueFigures { rmse, mae, r2 }) => {
                write!(f, "rmse {}, mae {}", digits(*rmse), digits(*mae))?;
                r2.map_or(Ok(()), |r2| write!(f, ", r2 {r2:.4}"))
            }
            Figures::Bits(bits) => {
                write!(f, "{} nats a sequence", digits(bits.nats))?;
                if let Some(divergence) = bits.divergence {
                    write!(f, " ({} of them for latent values)", digits(divergence))?;
                }
                write!(f, ", accuracy of bits {:.4}", bits.accuracy)
            }
        }
    }
}

/// A value of any unit in few digits.
pub fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if (1e-3..1e5).contains(&size) => format!("{value:.4}"),
        _ => format!("{value:.3e}"),
    }
}

impl ValueFigures {
    /// Of values [items, K] beside the right ones.
    pub fn of(found: &Array2<f32>, right: &Array2<f32>) -> ValueFigures {
        let outputs: Vec<ValueFigures> = ValueFigures::of_outputs(found, right);
        let mean = |of: &dyn Fn(&ValueFigures) -> f64| {
            outputs.iter().map(of).sum::<f64>() / outputs.len().max(1) as f64
        };
        let r2: Option<Vec<f64>> = outputs.iter().map(|output| output.r2).collect();
        ValueFigures {
            rmse: mean(&|output| output.rmse.powi(2)).sqrt(),
            mae: mean(&|output| output.mae),
            r2: r2.map(|r2| r2.iter().sum::<f64>() / r2.len().max(1) as f64),
        }
    }

    /// The same for each output alone.
    pub fn of_outputs(found: &Array2<f32>, right: &Array2<f32>) -> Vec<ValueFigures> {
        let columns = found.axis_iter(Axis(1)).zip(right.axis_iter(Axis(1)));
        let of = |(found, right): (ndarray::ArrayView1<'_, f32>, ndarray::ArrayView1<'_, f32>)| {
            let count = right.len().max(1) as f64;
            let mean = right.iter().map(|&right| f64::from(right)).sum::<f64>() / count;
            let (mut squares, mut absolutes, mut spread) = (0.0, 0.0, 0.0);
            for (&found, &right) in found.iter().zip(right) {
                let error = f64::from(found) - f64::from(right);
                squares += error * error;
                absolutes += error.abs();
                spread += (f64::from(right) - mean).powi(2);
            }
            ValueFigures {
                rmse: (squares / count).sqrt(),
                mae: absolutes / count,
                r2: (spread > 0.0).then(|| 1.0 - squares / spread),
            }
        };
        columns.map(of).collect()
    }
}

/// The figure that tells which epoch is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The accuracy of classes, the RMSE of values, the nats of bits
    Auto,
    /// Share that is right
    Accuracy,
    /// Mean recall of the classes
    BalancedAccuracy,
    /// Mean F1 of the classes
    MacroF1,
    /// Loss, of classes or values
    Loss,
    /// Root of the mean squared error of values
    Rmse,
    /// Mean absolute error of values
    Mae,
    /// Share of the variance of values that is explained
    R2,
    /// Negative log-likelihood of the bits of a sequence
    Nats,
    /// BLEU-4 of captions, always the likeliest word
    Bleu,
}

impl Keep {
    /// The one that is meant for a head of this kind.
    ///
    /// # Errors
    /// When the head does not have it.
    pub fn of(self, kind: OutputKind) -> Result<Keep> {
        let (auto, others, refusal) = match kind {
            OutputKind::Classes => (
                Keep::Accuracy,
                &[Keep::BalancedAccuracy, Keep::MacroF1, Keep::Bleu][..],
                "a head of classes has none; give `accuracy`, `balanced-accuracy`, `macro-f1`, of captions `bleu`, or `loss`",
            ),
            OutputKind::Values => (
                Keep::Rmse,
                &[Keep::Mae, Keep::R2][..],
                "a head of values has none; give `rmse`, `mae`, `r2` or `loss`",
            ),
            OutputKind::Bits => (
                Keep::Nats,
                &[Keep::Accuracy][..],
                "a head of bits has none; give `nats`, `accuracy` or `loss`",
            ),
        };
        match self {
            Keep::Auto => Ok(auto),
            Keep::Loss => Ok(self),
            keep if keep == auto || others.contains(&keep) => Ok(keep),
            _ => Err(self.refused(refusal)),
        }
    }

    fn refused(self, allowed: &str) -> Error {
        Error::out_of_range(self.name(), allowed).field("keep")
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Keep::Auto => "auto",
            Keep::Accuracy => "accuracy",
            Keep::BalancedAccuracy => "balanced-accuracy",
            Keep::MacroF1 => "macro-f1",
            Keep::Loss => "loss",
            Keep::Rmse => "rmse",
            Keep::Mae => "mae",
            Keep::R2 => "r2",
            Keep::Nats => "nats",
            Keep::Bleu => "bleu",
        }
    }

    /// Whether less of it is better.
    pub fn is_error(self) -> bool {
        matches!(self, Keep::Loss | Keep::Rmse | Keep::Mae | Keep::Nats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// As scikit-learn 1.9 gives them: `accuracy_score`, `balanced_accuracy_score` and `f1_score(average="macro")`
    /// of y = [0]*8 + [1, 1, 2] and predictions [0]*7 + [1, 1, 0, 0]; class 3 neither occurs nor is told.
    #[test]
    fn figures_of_classes() {
        let labels = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2];
        let told = [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0];
        let confusion = Confusion::new(4, &labels, &told);
        let Figures::Classes {
            accuracy,
            balanced_accuracy,
            macro_f1,
        } = Figures::of_classes(&confusion)
        else {
            panic!("classes")
        };
        assert!((accuracy - 0.727_272_727_272_727_3).abs() < 1e-15);
        assert!((balanced_accuracy - 0.458_333_333_333_333_3).abs() < 1e-15);
        assert!((macro_f1 - 0.441_176_470_588_235_3).abs() < 1e-15);
        assert_eq!(confusion.recall(3), (0, 0));
    }

    /// A class that is told but never is counts in macro-F1 (0) and not in the balanced accuracy: y = [0, 0, 1],
    /// told [0, 2, 1] → F1 2/3, 1, 0.
    #[test]
    fn classes_that_are_told_but_never_are() {
        let confusion = Confusion::new(3, &[0, 0, 1], &[0, 2, 1]);
        assert!((confusion.balanced_accuracy() - 0.75).abs() < 1e-15);
        assert!((confusion.macro_f1() - 5.0 / 9.0).abs() < 1e-15);
    }

    /// By hand: errors 1, −2, 0 and 3 of output 0, 0.5 four times of output 1.
    #[test]
    fn figures_of_values() {
        let right = array![[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]];
        let found = array![[2.0, 10.5], [0.0, 20.5], [3.0, 30.5], [7.0, 40.5]];
        let [one, two] = ValueFigures::of_outputs(&found, &right)[..] else {
            panic!("two outputs")
        };
        // Squares 1 + 4 + 0 + 9 = 14 of a spread of 5; 1 of 500.
        assert!((one.rmse - 3.5f64.sqrt()).abs() < 1e-12 && (one.mae - 1.5).abs() < 1e-12);
        assert!((one.r2.unwrap() - (1.0 - 14.0 / 5.0)).abs() < 1e-12);
        assert!((two.rmse - 0.5).abs() < 1e-12 && (two.r2.unwrap() - 0.998).abs() < 1e-12);
        let all = ValueFigures::of(&found, &right);
        assert!((all.rmse - (15.0f64 / 8.0).sqrt()).abs() < 1e-12);
        assert!((all.mae - 1.0).abs() < 1e-12);
        assert!((all.r2.unwrap() - (-1.8 + 0.998) / 2.0).abs() < 1e-12);
        // Nothing varies, so that no share of it can be explained.
        let constant = array![[5.0], [5.0]];
        assert_eq!(ValueFigures::of(&array![[4.0], [5.0]], &constant).r2, None);
    }

    /// By hand: two sequences of two items of two bits; σ(ln 3) = ¾.
    #[test]
    fn figures_of_bits() {
        let three = 3f32.ln();
        let logits = array![[three, -three], [0.0, 0.0], [three, three], [-three, 0.0]];
        let bits = array![[true, false], [false, true], [true, false], [false, false]];
        let figures = BitFigures::of(&logits, &bits, 2);
        let nats = (4.0 * (4f64 / 3.0).ln() + 3.0 * 2f64.ln() + 4f64.ln()) / 2.0;
        assert!((figures.nats - nats).abs() < 1e-6, "{figures:?} {nats}");
        // A logit of 0 tells 0.
        assert_eq!(figures.accuracy, 6.0 / 8.0);
    }

    #[test]
    fn a_figure_that_the_head_does_not_have_is_refused() {
        let kept = |keep: Keep, kind| keep.of(kind).unwrap();
        assert_eq!(kept(Keep::Auto, OutputKind::Values), Keep::Rmse);
        assert_eq!(kept(Keep::Loss, OutputKind::Values), Keep::Loss);
        assert_eq!(kept(Keep::Auto, OutputKind::Bits), Keep::Nats);
        assert_eq!(kept(Keep::Accuracy, OutputKind::Bits), Keep::Accuracy);
        let line = Keep::MacroF1
            .of(OutputKind::Values)
            .unwrap_err()
            .to_string();
        assert!(
            line.starts_with("keep: is macro-f1; a head of values has none"),
            "{line}"
        );
        assert!(Keep::R2.of(OutputKind::Classes).is_err());
        assert!(Keep::Nats.of(OutputKind::Classes).is_err());
        assert!(Keep::Rmse.of(OutputKind::Bits).is_err());
    }
}
