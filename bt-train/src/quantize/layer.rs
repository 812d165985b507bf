//! A layer in integers: its weights, and the format of its state.

use super::map::IntegerForm;
use crate::float::checkpoint::Checkpoint;
use crate::shape::{Cell, name};
use bt_core::internals::model::layout::{CELL_FRACTION, CELL_FRACTION_MIN, FilterRecord};

/// The cell state c, i32.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct CellReport {
    /// Largest magnitude in real arithmetic on calibration sequences.
    pub max: f64,
    /// Fraction bits: of an LSTM 24 unless c goes beyond half of their ±128.
    pub fraction: u32,
}

impl CellReport {
    /// The most fraction bits that leave twice the room that calibration has seen.
    pub(super) fn new(cell: Cell, max: f64) -> CellReport {
        if let Some(fraction) = cell.device().state_fraction() {
            return CellReport { max, fraction };
        }
        let holds = |fraction: &u32| 2.0 * max <= f64::from(1u32 << (31 - fraction));
        CellReport {
            max,
            fraction: (CELL_FRACTION_MIN..=CELL_FRACTION)
                .rev()
                .find(holds)
                .unwrap_or(CELL_FRACTION_MIN),
        }
    }
}

/// The weights of a layer under a scheme, in integers.
pub(super) struct Weights<'a> {
    /// Of z, with what the input map makes of integer zeros.
    pub bias: Vec<f64>,
    /// The same with what its integers make of them: an offset that stays in the values then meets the
    /// same weights as the values, and rounding them costs no more than without it.
    pub integer_bias: Vec<f64>,
    /// Of the recurrent map's last gate, where its share is kept apart.
    pub recurrent_bias: Vec<f64>,
    pub input: IntegerForm<'a>,
    pub recurrent: Option<IntegerForm<'a>>,
    /// What becomes of the input map's share, and what z starts from then.
    pub filter: Option<(FilterRecord, Vec<i16>)>,
}

/// The bias of a layer's recurrent map where it has one.
pub(super) fn recurrent_bias(checkpoint: &Checkpoint, at: usize) -> Vec<f64> {
    match checkpoint.config.recurrent_bias_values() {
        0 => Vec::new(),
        _ => checkpoint.values(&name::recurrent_bias(checkpoint.config.cell, at)),
    }
}
