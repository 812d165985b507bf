//! A contraction program in real arithmetic: the same steps and places as on the device, in f64.

use crate::plan::TensorMap;
use crate::plan::lower::Lowered;
use bt_core::program::{DISCARD, NONE, Odometer, Store, TILE, TILE_M};

/// Values of a store, one per place of a tile; `None` where the tile is wider than the output.
pub type Stored<T> = [Option<T>; TILE];

/// Where a step stores a tile, in values from the start of the scratch (of z for a store that adds).
pub fn places(
    lowered: &Lowered,
    index: usize,
    odometer: &Odometer,
    m_tile: usize,
    n_tile: usize,
) -> Stored<usize> {
    let step = &lowered.steps[index].record;
    let Some(store) = Store::from_byte(step.store) else {
        return [None; TILE];
    };
    let moved = odometer.digit(step.out_digit as usize) as usize * step.out_stride as usize;
    let out = (step.out_word as usize + moved) * 2;
    std::array::from_fn(|at| {
        let (row, col) = (at / 4, at % 4);
        if store.is_table() {
            let tile = m_tile * step.n_tiles as usize + n_tile;
            return match lowered.tables[step.rows_table as usize + tile * TILE + at] {
                DISCARD => None,
                half => Some(out + half as usize),
            };
        }
        let word = lowered.tables[step.rows_table as usize + m_tile] as usize
            + step.column(&lowered.tables[step.cols_table as usize..], n_tile);
        let half = word * 2
            + match store {
                Store::Pairs => 2 * col + row,
                Store::Columns => col / 2 * 8 + row * 2 + col % 2,
                _ => row * step.row_stride as usize * 2 + col,
            };
        Some(out + half)
    })
}

/// A lowered map with its weights, ready to run on frames of real numbers.
#[derive(Debug)]
pub struct Simulation<'a> {
    lowered: &'a Lowered,
    /// Per step `[slice][m][k]`, rows and columns padded to the tile: `[slice][2·m_tiles][2·k_pairs]`.
    weights: Vec<Vec<f64>>,
    memory: Vec<f64>,
    accs: Vec<Vec<f64>>,
}

impl<'a> Simulation<'a> {
    /// The program of `lowered` with the entries of `map`.
    pub fn new(lowered: &'a Lowered, map: &TensorMap) -> Self {
        let weights = lowered
            .steps
            .iter()
            .map(|step| {
                let (rows, columns) = (step.rows(), step.columns());
                let (m, k) = (
                    step.record.m_tiles as usize * 2,
                    step.record.k_pairs as usize * 2,
                );
                let mut padded = vec![0.0; step.record.slices as usize * m * k];
                for (index, value) in step.weights(map).into_iter().enumerate() {
                    let (row, column) = (index / columns, index % columns);
                    padded[(row / rows * m + row % rows) * k + column] = value;
                }
                padded
            })
            .collect();
        Self {
            lowered,
            weights,
            memory: vec![0.0; lowered.scratch_words * 2],
            accs: lowered
                .steps
                .iter()
                .map(|step| vec![0.0; (step.record.tiles() * TILE).get()])
                .collect(),
        }
    }

    /// z `[4J]` = W·x of one frame.
    pub fn run(&mut self, frame: &[f64]) -> Vec<f64> {
        self.run_watched(frame, |_, _, _| ())
    }

    /// As [`run`](Self::run), showing `watch` what every step stores, tile by tile: the step, the first
    /// row of the tile and its values; a store that adds to z shows the sum.
    pub fn run_watched(
        &mut self,
        frame: &[f64],
        mut watch: impl FnMut(usize, usize, Stored<f64>),
    ) -> Vec<f64> {
        let lowered = self.lowered;
        let record = &lowered.record;
        let extents = &record.extents[..record.digits as usize];
        let mut z = vec![0.0; lowered.shape.height()];
        let mut odometer = Odometer::new();
        for slab in frame.chunks(record.slab_values as usize) {
            for (index, &value) in slab.iter().enumerate() {
                let half = if record.gather_table == NONE {
                    let (row, k) = (
                        index / record.row_values as usize,
                        index % record.row_values as usize,
                    );
                    let pairs = (record.row_values as usize).div_ceil(2);
                    (row / 4 * pairs + k / 2) * 8 + row % 4 * 2 + k % 2
                } else {
                    lowered.tables[record.gather_table as usize + index] as usize
                };
                self.memory[record.slab_word as usize * 2 + half] = value;
            }
            let wrapped = odometer.wrapped(extents);
            for step in 0..lowered.steps.len() {
                if lowered.steps[step].record.depth as usize >= wrapped {
                    self.step(step, &odometer, &mut z, &mut watch);
                }
            }
            odometer.advance(extents);
        }
        z
    }

    fn step(
        &mut self,
        index: usize,
        odometer: &Odometer,
        z: &mut [f64],
        watch: &mut impl FnMut(usize, usize, Stored<f64>),
    ) {
        let lowered = self.lowered;
        let step = &lowered.steps[index].record;
        let (m_tiles, n_tiles, pairs) = (
            step.m_tiles as usize,
            step.n_tiles as usize,
            step.k_pairs as usize,
        );
        let slice = if step.slices > 1 {
            odometer.digit(step.depth as usize - 1) as usize
        } else {
            0
        };
        let accumulates = step.acc_word != NONE && step.slices > 1;
        let (first, last) = (
            !accumulates || slice == 0,
            !accumulates || slice + 1 == step.slices as usize,
        );
        let columns = pairs * 2;
        let slice_start = slice * m_tiles * 2 * columns;
        for (m_tile, n_tile) in (0..m_tiles).flat_map(|m| (0..n_tiles).map(move |n| (m, n))) {
            let tile = m_tile * n_tiles + n_tile;
            let mut sums = [0.0; TILE];
            for (at, sum) in sums.iter_mut().enumerate() {
                let (row, col) = (at / 4, at % 4);
                let w =
                    &self.weights[index][slice_start + (m_tile * 2 + row) * columns..][..columns];
                let x = &self.memory[(step.input_word as usize + n_tile * pairs * 4) * 2..];
                *sum = (0..columns)
                    .map(|k| w[k] * x[k / 2 * 8 + col * 2 + k % 2])
                    .sum();
            }
            let acc = &mut self.accs[index][tile * TILE..][..TILE];
            for (acc, sum) in acc.iter_mut().zip(sums) {
                *acc = if first { sum } else { *acc + sum };
            }
            if last {
                let values: [f64; TILE] = std::array::from_fn(|at| acc[at]);
                let places = places(lowered, index, odometer, m_tile, n_tile);
                let adds = Store::from_byte(step.store).is_some_and(Store::adds);
                let stored = std::array::from_fn(|at| {
                    let place = match (places[at], adds) {
                        (None, _) => return None,
                        (Some(half), true) => &mut z[half],
                        (Some(half), false) => &mut self.memory[half],
                    };
                    *place = if adds { *place } else { 0.0 } + values[at];
                    Some(*place)
                });
                watch(index, m_tile * TILE_M, stored);
            }
        }
    }
}
