//! A tensor map in integers: its run by the device's own kernels, and its noise.

use super::simulate::{Simulation, Stored};
use super::z::ZFormat;
use crate::plan::TensorMap;
use crate::plan::lower::Lowered;
use bt_core::internals::map;
use bt_core::internals::program::{
    Contraction, NONE, Odometer, Operands, Program, ProgramRecord, StageRecord, Store, TILE,
    TILE_M, TILE_N,
};

/// A tensor map in integers: stages, packed weights and tables, places counted as in [`Lowered`].
#[derive(Debug, Clone)]
pub struct IntegerMap {
    /// Stages with shifts and bits filled in.
    pub stages: Vec<StageRecord>,
    /// Packed weights of all stages.
    pub weights: Vec<u32>,
    /// LSB per unit of every stage's output.
    pub scales: PerBlock,
    /// How z is kept.
    pub z: ZFormat,
}

/// One number per stage and block of its rows ([`row_blocks`](crate::plan::lower::LoweredStage::row_blocks)).
pub type PerBlock = Vec<Vec<f64>>;

impl IntegerMap {
    /// z (without bias) of one frame, by the device's own kernels.
    pub fn run(&self, lowered: &Lowered, frame: &[i16]) -> Vec<i16> {
        self.run_watched(lowered, frame, |_, _, _| ())
    }

    /// As [`run`](Self::run), showing `watch` what every stage has stored, tile by tile, in the order
    /// of [`Simulation::run_watched`].
    pub fn run_watched(
        &self,
        lowered: &Lowered,
        frame: &[i16],
        mut watch: impl FnMut(usize, usize, Stored<i16>),
    ) -> Vec<i16> {
        let height = lowered.shape.height();
        let base = height.div_ceil(2);
        let mut memory = vec![0u32; base + lowered.scratch_words];
        let places: &mut [i16] = bytemuck::cast_slice_mut(&mut memory);
        for (place, start) in places.iter_mut().zip(self.z.integers()) {
            *place = start;
        }
        let stages: Vec<StageRecord> = self.stages.iter().map(|stage| place(stage, base)).collect();
        let program = Program {
            record: &ProgramRecord {
                slab_word: lowered.record.slab_word + base as u32,
                ..lowered.record
            },
            stages: &stages,
            paired_row: 0,
        };
        let operands = Operands {
            weights: &self.weights,
            tables: &lowered.tables,
        };
        let mut odometer = Odometer::new();
        for slab in frame.chunks(lowered.record.slab_values as usize) {
            map::program::gather_portable(&program, operands.tables, slab, &mut memory);
            let mut show = |index: usize, run: &Contraction<'_>, memory: &[u32]| {
                if !run.accumulate.stores() {
                    return;
                }
                let halves: &[i16] = bytemuck::cast_slice(memory);
                let (m_tiles, n_tiles) = (run.stage.m_tiles as usize, run.stage.n_tiles as usize);
                for (m_tile, n_tile) in (0..m_tiles).flat_map(|m| (0..n_tiles).map(move |n| (m, n)))
                {
                    let stored = std::array::from_fn(|at| {
                        let place = (at / TILE_N, at % TILE_N);
                        let tile = (m_tile, n_tile);
                        let half = run
                            .stage
                            .place(operands.tables, run.out_word, tile, place)?;
                        Some(halves[half])
                    });
                    watch(index, m_tile * TILE_M, stored);
                }
            };
            map::program::run_portable(&program, &operands, &odometer, &mut memory, &mut show);
            odometer.advance(program.extents());
        }
        let z: &[i16] = bytemuck::cast_slice(&memory[..base]);
        z[..height].to_vec()
    }
}

/// What quantization does to the output of one stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Signal over noise power, dB; everything before the stage included.
    pub snr_db: f64,
    /// Share of values cut off at the ends of the range.
    pub saturated: f64,
}

impl IntegerMap {
    /// The noise of every stage on `frames`, integers of LSB `input_lsb`, against real arithmetic.
    pub fn noise(
        &self,
        lowered: &Lowered,
        map: &TensorMap,
        frames: &[Vec<i16>],
        input_lsb: f64,
    ) -> Vec<Noise> {
        let stages = self.stages.len();
        let (mut signal, mut noise) = (vec![0.0; stages], vec![0.0; stages]);
        let (mut saturated, mut count) = (vec![0u64; stages], vec![0u64; stages]);
        let mut simulation = Simulation::new(lowered, map).starting_from(&self.z.start);
        for frame in frames {
            let real: Vec<f64> = frame.iter().map(|&q| f64::from(q) * input_lsb).collect();
            let mut wanted: Vec<Stored<f64>> = Vec::new();
            simulation.run_watched(&real, |_, _, stored| wanted.push(stored));
            let mut wanted = wanted.into_iter();
            self.run_watched(lowered, frame, |stage, first_row, stored| {
                let wanted = wanted.next().unwrap_or([None; TILE]);
                let limit = f64::from((1u32 << (self.stages[stage].bits - 1)) - 1);
                for (at, (found, wanted)) in stored.into_iter().zip(wanted).enumerate() {
                    let (Some(found), Some(wanted)) = (found, wanted) else {
                        continue;
                    };
                    let block = lowered.stages[stage].block_of_row(first_row + at / TILE_N);
                    let scale = self.scales[stage][block];
                    let found = f64::from(found);
                    signal[stage] += wanted * wanted;
                    noise[stage] += (found / scale - wanted).powi(2);
                    count[stage] += 1;
                    // The largest value of calibration lies at the limit and is not cut off.
                    let cut = found.abs() >= limit && (wanted * scale).abs() > limit + 1.0;
                    saturated[stage] += u64::from(cut);
                }
            });
        }
        (0..stages)
            .map(|stage| Noise {
                snr_db: 10.0 * (signal[stage] / f64::max(noise[stage], f64::MIN_POSITIVE)).log10(),
                saturated: saturated[stage] as f64 / count[stage].max(1) as f64,
            })
            .collect()
    }
}

/// A stage with places counted from the start of the arena, whose scratch starts at `base`.
pub fn place(stage: &StageRecord, base: usize) -> StageRecord {
    let mut placed = *stage;
    let base = base as u32;
    placed.input_word += base;
    if placed.acc_word != NONE {
        placed.acc_word += base;
    }
    if !adds(stage) {
        placed.out_word += base;
    }
    placed
}

/// Whether a stage adds to z.
pub(super) fn adds(record: &StageRecord) -> bool {
    Store::from_number(record.store).is_some_and(Store::adds)
}
