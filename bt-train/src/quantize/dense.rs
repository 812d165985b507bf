//! i8 weights with one scale per row for dense maps.

use super::tensor::QuantizeError;
use bt_core::internals::kernel::{ByteRows, RowsForm};
use bt_core::internals::model::bound;
use bt_core::internals::model::layout::DenseRecord;
use ndarray::{Array2, ArrayView2};

/// A dense map in integers; places count from the start of the scratch.
#[derive(Debug, Clone)]
pub struct IntegerDense {
    /// Sizes and shift.
    pub record: DenseRecord,
    /// Weights `[rows][K]`.
    pub levels: Vec<i8>,
    /// Per row: LSB of z per unit of the sum, times 2³².
    pub scales: Vec<u32>,
    /// LSB of z per unit.
    pub z_scale: f64,
}

impl IntegerDense {
    /// The weights [rows, K] that the integers stand for, for inputs of LSB `input_lsb`.
    pub fn real(&self, input_lsb: f64) -> Array2<f64> {
        let record = &self.record;
        let (rows, columns) = (record.rows as usize, record.values as usize);
        let part_scale = f64::from(1u32 << record.slice_shift);
        Array2::from_shape_fn((rows, columns), |(row, k)| {
            let unit = f64::from(self.scales[row]) / 4_294_967_296.0 / part_scale;
            let level = f64::from(self.levels[row * columns + k]);
            level * unit / (self.z_scale * input_lsb)
        })
    }

    /// The weights as they lie in a file, in the record's form.
    pub fn weights(&self) -> Vec<u32> {
        let (columns, slice) = (
            self.record.values as usize,
            self.record.slice_values as usize,
        );
        match self.record.rows_form() {
            Some(RowsForm::Bytes) => byte_rows(&self.levels, columns),
            _ => row_pairs(&self.levels, columns, slice),
        }
    }

    /// What lies behind the scales: 128 Σ w of rows of bytes.
    pub fn sums(&self) -> Vec<u32> {
        if self.record.rows_form() != Some(RowsForm::Bytes) {
            return Vec::new();
        }
        let rows = self.levels.chunks(self.record.values as usize);
        let sum = |row: &[i8]| row.iter().map(|&w| 128 * i32::from(w)).sum::<i32>() as u32;
        rows.map(sum).collect()
    }
}

/// Levels [rows][columns] as `[slice][row pair][k / 2]`, lanes 256·a + b.
fn row_pairs(levels: &[i8], columns: usize, slice: usize) -> Vec<u32> {
    let pairs = slice.div_ceil(2);
    let row_pairs = levels.len() / columns / 2;
    let mut words = Vec::with_capacity(columns / slice * row_pairs * pairs);
    for first in (0..columns).step_by(slice) {
        for pair in 0..row_pairs {
            let level = |row: usize, k: usize| match k < slice {
                true => i32::from(levels[row * columns + first + k]),
                false => 0,
            };
            let lane = |k: usize| (256 * level(2 * pair, k) + level(2 * pair + 1, k)) as u16;
            words.extend(
                (0..pairs).map(|k| u32::from(lane(2 * k)) | u32::from(lane(2 * k + 1)) << 16),
            );
        }
    }
    words
}

/// The same as rows of bytes.
fn byte_rows(levels: &[i8], columns: usize) -> Vec<u32> {
    let pairs = columns.div_ceil(2);
    let rows = levels.len() / columns;
    let blocks = rows / ByteRows::ROWS * ByteRows::blocks(pairs);
    let mut words = vec![0; blocks * ByteRows::BLOCK_WORDS];
    let bytes: &mut [i8] = bytemuck::cast_slice_mut(&mut words);
    for (row, levels) in levels.chunks(columns).enumerate() {
        for (k, &level) in levels.iter().enumerate() {
            bytes[ByteRows::byte(pairs, row, k)] = level;
        }
    }
    words
}

/// Quantizes `weight` [rows, K] for integer inputs up to `input_max`, real value = integer · `input_lsb`,
/// in slices of so many inputs, in rows of a form, that are gathered where the input is `streamed`, for a z of
/// `z_scale` LSB per unit. A negative `input_lsb` is turned into weights of the other sign.
///
/// # Errors
///
/// [`QuantizeError`] when a weight is not finite or too large for a row's scale.
pub fn quantize(
    weight: ArrayView2<'_, f64>,
    (slice, form): (usize, RowsForm),
    input_max: u32,
    input_lsb: f64,
    streamed: bool,
    z_scale: f64,
) -> Result<IntegerDense, QuantizeError> {
    let (own_rows, columns) = weight.dim();
    // Rows come in pairs: one of zeros makes them even.
    let rows = own_rows.next_multiple_of(2);
    if weight.iter().any(|w| !w.is_finite()) {
        return Err(QuantizeError::NotFinite);
    }
    let slices = columns / slice;
    let pairs = slice.div_ceil(2);
    let mut levels = vec![0i8; rows * columns];
    let mut lsbs = vec![0.0; rows];
    let sign = input_lsb.signum();
    for (row, weights) in weight.outer_iter().enumerate() {
        let largest = weights.iter().fold(0.0f64, |a, w| a.max(w.abs()));
        let mut lsb = match largest {
            0.0 => 1.0,
            largest => largest / 127.0,
        };
        // One slice has no shift to save it: rows too heavy for 32 bits get a coarser LSB.
        loop {
            let row_levels = weights
                .iter()
                .map(|w| (sign * w / lsb).round().clamp(-127.0, 127.0) as i8);
            let sum: u64 = row_levels
                .clone()
                .map(|w| u64::from(w.unsigned_abs()))
                .sum();
            if slices > 1 || sum * u64::from(input_max) <= i32::MAX as u64 {
                levels[row * columns..][..columns]
                    .iter_mut()
                    .zip(row_levels)
                    .for_each(|(place, w)| *place = w);
                break;
            }
            lsb *= 1.05;
        }
        lsbs[row] = lsb;
    }
    let words = row_pairs(&levels, columns, slice);
    let mut slice_shift = 0;
    loop {
        let worst = bound::dense(&words, pairs, rows / 2, slice_shift, input_max);
        // Rows were made to fit where there is one slice; of several, plans take none that could leave
        // 31 bits, and a shift of at most 16 makes their sum fit.
        if worst <= i32::MAX as u64 {
            break;
        }
        slice_shift += 1;
    }
    let scales = lsbs.iter().take(own_rows).map(|lsb| {
        let lsb = lsb * input_lsb.abs();
        let scale = lsb * z_scale * f64::from(1u32 << slice_shift) * 4_294_967_296.0;
        if scale.round() <= f64::from(i32::MAX) {
            Ok(scale.round() as u32)
        } else {
            Err(QuantizeError::TooLarge {
                reach: lsb * 127.0 * f64::from(input_max),
            })
        }
    });
    let scales = scales.chain((own_rows..rows).map(|_| Ok(0)));
    Ok(IntegerDense {
        record: DenseRecord {
            rows: rows as u32,
            values: columns as u32,
            slice_values: slice as u32,
            slice_word: 0,
            // Sums lie behind the slice that is gathered.
            acc_word: if streamed { pairs as u32 } else { 0 },
            weights_word: 0,
            scales_word: 0,
            slice_shift: slice_shift as u16,
            form: form.number(),
        },
        levels,
        scales: scales.collect::<Result<_, _>>()?,
        z_scale,
    })
}

/// Signal-to-noise ratio of the quantized weights' z on integer frames whose LSB is `lsb`, dB.
pub fn snr_db(
    integers: &IntegerDense,
    weight: ArrayView2<'_, f64>,
    frames: &[Vec<i16>],
    lsb: f64,
) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    let rounded = integers.real(lsb);
    for (weights, rounded) in weight.outer_iter().zip(rounded.outer_iter()) {
        for frame in frames {
            let (mut wanted, mut found) = (0.0, 0.0);
            for ((w, r), &q) in weights.iter().zip(rounded).zip(frame) {
                let x = f64::from(q) * lsb;
                wanted += w * x;
                found += r * x;
            }
            signal += wanted * wanted;
            noise += ((found * integers.z_scale).round() / integers.z_scale - wanted).powi(2);
        }
    }
    10.0 * (signal / f64::max(noise, f64::MIN_POSITIVE)).log10()
}
