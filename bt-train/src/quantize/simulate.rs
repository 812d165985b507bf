//! A contraction program in real arithmetic: the same stages and places as on the device, in f64.

use crate::plan::TensorMap;
use crate::plan::lower::Lowered;
use bt_core::internals::program::{NONE, Odometer, Store, TILE, TILE_M, TILE_N, k_pairs, panel};

/// Values of a store, one per place of a tile; `None` where the tile is wider than the output.
pub type Stored<T> = [Option<T>; TILE];

/// Where a stage stores a tile, in values from the start of the scratch (of z for a store that adds).
pub fn places(
    lowered: &Lowered,
    index: usize,
    odometer: &Odometer,
    m_tile: usize,
    n_tile: usize,
) -> Stored<usize> {
    let stage = &lowered.stages[index].record;
    let out_word = stage.turn(odometer).out_word;
    std::array::from_fn(|at| {
        let place = (at / TILE_N, at % TILE_N);
        stage.place(&lowered.tables, out_word, (m_tile, n_tile), place)
    })
}

/// A lowered map with its weights, ready to run on frames of real numbers.
#[derive(Debug)]
pub struct Simulation<'a> {
    lowered: &'a Lowered,
    /// Per stage `[slice][m][k]`, rows and columns padded to the tile: `[slice][2·m_tiles][2·k_pairs]`.
    weights: Vec<Vec<f64>>,
    memory: Vec<f64>,
    /// What z starts from.
    start: Vec<f64>,
    accs: Vec<Vec<f64>>,
}

impl<'a> Simulation<'a> {
    /// The program of `lowered` with the entries of `map`.
    pub fn new(lowered: &'a Lowered, map: &TensorMap) -> Self {
        let weights = lowered
            .stages
            .iter()
            .map(|stage| {
                let (rows, columns) = (stage.rows(), stage.columns());
                let (m, k) = (
                    stage.record.m_tiles as usize * 2,
                    stage.record.k_pairs as usize * 2,
                );
                let mut padded = vec![0.0; stage.record.slices as usize * m * k];
                for (index, value) in stage.weights(map).into_iter().enumerate() {
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
            start: vec![0.0; lowered.shape.height()],
            accs: lowered
                .stages
                .iter()
                .map(|stage| vec![0.0; (stage.record.tiles() * TILE).get()])
                .collect(),
        }
    }

    /// The same whose z starts from these values; none: zeros.
    #[must_use]
    pub fn starting_from(mut self, start: &[f64]) -> Self {
        if !start.is_empty() {
            self.start = start.to_vec();
        }
        self
    }

    /// z `[4J]`: W·x of one frame and what it starts from.
    pub fn run(&mut self, frame: &[f64]) -> Vec<f64> {
        self.run_watched(frame, |_, _, _| ())
    }

    /// As [`run`](Self::run), showing `watch` what every stage stores, tile by tile: the stage, the first
    /// row of the tile and its values; a store that adds to z shows the sum.
    pub fn run_watched(
        &mut self,
        frame: &[f64],
        watch: impl FnMut(usize, usize, Stored<f64>),
    ) -> Vec<f64> {
        self.run_with(frame, |_, _, _| (), watch)
    }

    /// As [`run`](Self::run), showing `read` what every stage is about to read: the stage, its slice and the
    /// scratch.
    pub fn run_reading(
        &mut self,
        frame: &[f64],
        read: impl FnMut(usize, usize, &[f64]),
    ) -> Vec<f64> {
        self.run_with(frame, read, |_, _, _| ())
    }

    fn run_with(
        &mut self,
        frame: &[f64],
        mut read: impl FnMut(usize, usize, &[f64]),
        mut watch: impl FnMut(usize, usize, Stored<f64>),
    ) -> Vec<f64> {
        let lowered = self.lowered;
        let record = &lowered.record;
        let extents = &record.extents[..record.digits as usize];
        let mut z = self.start.clone();
        let mut odometer = Odometer::new();
        for slab in frame.chunks(record.slab_values as usize) {
            for (index, &value) in slab.iter().enumerate() {
                let half = if record.gather_table == NONE {
                    let (row, k) = (
                        index / record.row_values as usize,
                        index % record.row_values as usize,
                    );
                    panel::half(k_pairs(record.row_values as usize), k, row)
                } else {
                    lowered.tables[record.gather_table as usize + index] as usize
                };
                self.memory[record.slab_word as usize * 2 + half] = value;
            }
            let wrapped = odometer.wrapped(extents);
            for stage in 0..lowered.stages.len() {
                if lowered.stages[stage].record.depth as usize >= wrapped {
                    let turn = lowered.stages[stage].record.turn(&odometer);
                    read(stage, turn.slice, &self.memory);
                    self.stage(stage, &odometer, &mut z, &mut watch);
                }
            }
            odometer.advance(extents);
        }
        z
    }

    fn stage(
        &mut self,
        index: usize,
        odometer: &Odometer,
        z: &mut [f64],
        watch: &mut impl FnMut(usize, usize, Stored<f64>),
    ) {
        let lowered = self.lowered;
        let stage = &lowered.stages[index].record;
        let (m_tiles, n_tiles, pairs) = (
            stage.m_tiles as usize,
            stage.n_tiles as usize,
            stage.k_pairs as usize,
        );
        let turn = stage.turn(odometer);
        let columns = pairs * 2;
        let slice_start = turn.slice * m_tiles * TILE_M * columns;
        for (m_tile, n_tile) in (0..m_tiles).flat_map(|m| (0..n_tiles).map(move |n| (m, n))) {
            let tile = m_tile * n_tiles + n_tile;
            let mut sums = [0.0; TILE];
            for (at, sum) in sums.iter_mut().enumerate() {
                let (row, col) = (m_tile * TILE_M + at / TILE_N, n_tile * TILE_N + at % TILE_N);
                let w = &self.weights[index][slice_start + row * columns..][..columns];
                let x = &self.memory[stage.input_word as usize * 2..];
                *sum = (0..columns)
                    .map(|k| w[k] * x[panel::half(pairs, k, col)])
                    .sum();
            }
            let acc = &mut self.accs[index][tile * TILE..][..TILE];
            for (acc, sum) in acc.iter_mut().zip(sums) {
                *acc = if turn.accumulate.starts() {
                    sum
                } else {
                    *acc + sum
                };
            }
            if turn.accumulate.stores() {
                let values: [f64; TILE] = std::array::from_fn(|at| acc[at]);
                let places = places(lowered, index, odometer, m_tile, n_tile);
                let adds = Store::from_number(stage.store).is_some_and(Store::adds);
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
