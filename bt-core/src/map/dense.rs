//! Dense maps: i8 weights with one scale per row. `parse` refuses models that have them where feature `dense` is
//! off; the tests of it here leave their code out of the program.

use crate::kernel::{self, ByteRows, DenseRows, RowsForm, Sample};
use crate::model::Feature;
use crate::model::layout::DenseRecord;
use crate::proven::Proven;
use crate::q::half;

/// Puts values `from..` of a slice into its buffer.
pub(super) fn gather<S: Sample>(
    record: &DenseRecord,
    from: usize,
    values: &[S],
    memory: &mut [u32],
) {
    if !Feature::Dense.is_built() {
        return;
    }
    let Some(buffer) = memory.get_mut(record.slice_word as usize..).proven() else {
        return;
    };
    let buffer: &mut [i16] = bytemuck::cast_slice_mut(buffer);
    let Some(places) = buffer.get_mut(from..).proven() else {
        return;
    };
    debug_assert!(places.len() >= values.len());
    S::widen_all(values, places);
}

/// Multiplies the gathered slice `slice` of a frame; the last one adds the sums to z.
#[inline(never)]
pub(super) fn slice(record: &DenseRecord, weights: &[u32], slice: usize, memory: &mut [u32]) {
    if !Feature::Dense.is_built() {
        return;
    }
    let rows = record.rows as usize;
    let k_pairs = record.slice_values.div_ceil(2) as usize;
    let buffer = record.slice_word as usize;
    if record.slice_values == record.values {
        return whole(record, weights, (buffer, k_pairs), (0, rows / 2), memory);
    }
    let words = rows / 2 * k_pairs;
    let Some(weights_of_part) = weights
        .get(record.weights_word as usize + slice * words..)
        .and_then(|rest| rest.get(..words))
        .proven()
    else {
        return;
    };
    let acc = record.acc_word as usize;
    let Some((x, sums)) = two_regions(memory, (buffer, k_pairs), (acc, rows)).proven() else {
        return;
    };
    let shift = record.slice_shift.into();
    kernel::dense(
        &DenseRows {
            weights: weights_of_part,
            k_pairs,
        },
        x,
        half(shift),
        |row, sum| {
            if let Some(total) = sums.get_mut(row).proven() {
                let sum = sum.wrapping_shr(shift);
                *total = if slice == 0 {
                    sum
                } else {
                    (*total as i32).wrapping_add(sum)
                } as u32;
            }
        },
    );
    if (slice + 1) * record.slice_values as usize == record.values as usize {
        let (z, rest) = memory.split_at_mut((rows / 2).min(memory.len()));
        let z: &mut [i16] = bytemuck::cast_slice_mut(z);
        let Some(sums) = rest.get(acc.saturating_sub(rows / 2)..).proven() else {
            return;
        };
        let scales = scales(record, weights);
        debug_assert_eq!((z.len(), scales.len()), (rows, rows));
        debug_assert!(sums.len() >= rows);
        for ((z, &sum), &scale) in z.iter_mut().zip(sums).zip(scales) {
            *z = kernel::add_rescaled(*z, sum as i32, scale);
        }
    }
}

/// Adds the whole product to z: one slice, x where it lies; of both their first words and how many.
pub(super) fn whole(
    record: &DenseRecord,
    weights: &[u32],
    x: (usize, usize),
    z: (usize, usize),
    memory: &mut [u32],
) {
    if !Feature::Dense.is_built() {
        return;
    }
    if record.rows_form() == Some(RowsForm::Bytes) {
        return whole_of_bytes(record, weights, x, z, memory);
    }
    let Some((x, z)) = two_regions(memory, x, z).proven() else {
        return;
    };
    let k_pairs = record.values.div_ceil(2) as usize;
    let scales = scales(record, weights);
    let Some(rows) = weights
        .get(record.weights_word as usize..)
        .and_then(|rows| rows.get(..record.rows as usize / 2 * k_pairs))
        .proven()
    else {
        return;
    };
    kernel::dense_add(
        &DenseRows {
            weights: rows,
            k_pairs,
        },
        x,
        scales,
        z,
    );
}

/// The same of rows of bytes.
// On its own: beside it the loop over pairs of rows, compiled for a core without assembly, spills registers.
#[inline(never)]
fn whole_of_bytes(
    record: &DenseRecord,
    weights: &[u32],
    x: (usize, usize),
    z: (usize, usize),
    memory: &mut [u32],
) {
    let Some((x, z)) = two_regions(memory, x, z).proven() else {
        return;
    };
    let (rows, k_pairs) = (record.rows as usize, record.values.div_ceil(2) as usize);
    let blocks = rows / ByteRows::ROWS * ByteRows::blocks(k_pairs);
    let sums = record.scales_word.saturating_add(record.rows);
    let rows = ByteRows {
        weights: words(weights, record.weights_word, blocks * ByteRows::BLOCK_WORDS),
        sums: words(weights, sums, rows),
        k_pairs,
    };
    kernel::bytes_add(&rows, x, scales(record, weights), z);
}

fn scales<'m>(record: &DenseRecord, weights: &'m [u32]) -> &'m [u32] {
    words(weights, record.scales_word, record.rows as usize)
}

fn words(weights: &[u32], first: u32, words: usize) -> &[u32] {
    weights
        .get(first as usize..)
        .and_then(|rest| rest.get(..words))
        .proven()
        .unwrap_or(&[])
}

/// Two disjoint regions.
fn two_regions(
    memory: &mut [u32],
    read: (usize, usize),
    write: (usize, usize),
) -> Option<(&mut [u32], &mut [u32])> {
    if read.0 < write.0 {
        let (head, tail) = memory.split_at_mut_checked(write.0)?;
        let read = head.get_mut(read.0..)?.get_mut(..read.1)?;
        Some((read, tail.get_mut(..write.1)?))
    } else {
        let (head, tail) = memory.split_at_mut_checked(read.0)?;
        let write = head.get_mut(write.0..)?.get_mut(..write.1)?;
        Some((tail.get_mut(..read.1)?, write))
    }
}
