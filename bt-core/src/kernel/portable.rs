//! The specification: safe Rust, plain loops. Every other implementation gives the same bits.
//!
//! Sums wrap, which never happens: `Model::parse` has proven that no accumulator can leave i32.
//! Slices that are too short end a loop early instead of panicking; `Model::parse` has excluded it, and a
//! debug build asserts it.

use super::{ByteRows, DenseRows, HeadRows, Sample};
use crate::program::panel::{half_in_row, pair_order, row_word};
use crate::program::{Accumulate, Contraction, DISCARD, StageRecord, Store, TILE, TILE_N, k_pairs};
use crate::proven::Proven;
use crate::q::{half, saturate};

/// `C[m,n] = Σ_k W[m,k]·X[n,k]` over all tiles of one stage, requantised and stored.
///
/// `memory` is the whole arena: X, accumulators and destination lie in it at the places the stage
/// names. Rounds half up (the rounding constant is the start value), saturates to `stage.bits`. Where sums are
/// kept and `stage.slice_shift` is not 0, a run's sums begin anew and are added to the kept ones when they have
/// been shifted, rounded half up likewise.
pub fn contract(run: &Contraction<'_>, memory: &mut [u32]) {
    let stage = run.stage;
    let Some(store) = Store::from_number(stage.store).proven() else {
        return;
    };
    if run.accumulate == Accumulate::First && stage.slice_shift > 0 {
        start_kept(stage, memory);
    }
    match (run.accumulate, store) {
        (Accumulate::First | Accumulate::Middle, _) => tiles(run, memory, |memory, tile| {
            if let Some(kept) = chunk_mut(memory, tile.kept) {
                *kept = tile.sums.map(|value| value as u32);
            }
        }),
        (_, Store::Pairs) => tiles(run, memory, |memory, tile| {
            if let Some(words) = chunk_mut(memory, tile.out) {
                *words = pack_tile(columns(tile.sums), stage);
            }
        }),
        (_, Store::Columns) => tiles(run, memory, |memory, tile| {
            if let Some([a01, b01, _, _, a23, b23]) = chunk_mut(memory, tile.out) {
                [*a01, *a23, *b01, *b23] = pack_tile(neighbours(tile.sums), stage);
            }
        }),
        (_, Store::AddRows) => tiles(run, memory, |memory, tile| {
            let [a01, a23, b01, b23] = pack_tile(neighbours(tile.sums), stage);
            let second = tile.out + stage.row_stride as usize;
            for (at, first, last) in [(tile.out, a01, a23), (second, b01, b23)] {
                if let Some(words) = chunk_mut::<2>(memory, at) {
                    words[0] = add_pairs(words[0], first);
                    words[1] = add_pairs(words[1], last);
                }
            }
        }),
        (_, Store::Scatter | Store::AddScatter) => tiles(run, memory, |memory, tile| {
            let values = tile.sums.map(|sum| requantize(sum, stage));
            let table = run.rows.get(tile.index * TILE..);
            let table = table.proven().unwrap_or(&[]);
            debug_assert!(table.len() >= TILE);
            let memory = memory.get_mut(run.out_word..);
            let memory = memory.proven().unwrap_or(&mut []);
            let halves: &mut [i16] = bytemuck::cast_slice_mut(memory);
            for (&offset, value) in table.iter().zip(values) {
                if offset == DISCARD {
                    continue;
                }
                if let Some(place) = halves.get_mut(offset as usize).proven() {
                    *place = if store.adds() {
                        place.saturating_add(value)
                    } else {
                        value
                    };
                }
            }
        }),
    }
}

/// The sums of one tile and the places that belong to it.
struct Tile {
    /// In order m0·n0..n3, m1·n0..n3.
    sums: [i32; TILE],
    /// `m_tile · n_tiles + n_tile`.
    index: usize,
    /// Where its sums are kept, if they are.
    kept: usize,
    /// Where it is stored, unless a table says so.
    out: usize,
}

/// Computes every tile of a stage and passes it on.
#[inline(always)]
fn tiles(run: &Contraction<'_>, memory: &mut [u32], mut finish: impl FnMut(&mut [u32], Tile)) {
    let stage = run.stage;
    let pairs = stage.k_pairs as usize;
    let n_tiles = stage.n_tiles as usize;
    let slice_shift = stage.slice_shift(run.accumulate);
    // Sums go on from the kept ones, unless they are shifted before they join them.
    let goes_on = !run.accumulate.starts() && slice_shift == 0;
    let round = half(match slice_shift {
        0 => stage.shift.into(),
        _ => slice_shift,
    });
    let mut index = 0;
    let mut kept = stage.acc_word as usize;
    let mut weights = run.weights;
    debug_assert!(run.rows.len() >= stage.m_tiles as usize);
    for &row in run.rows.iter().take(stage.m_tiles as usize) {
        let Some((w, rest)) = weights.split_at_checked(pairs * 2).proven() else {
            return;
        };
        weights = rest;
        let row = run.out_word + row as usize;
        let mut x_start = stage.input_word as usize;
        for n_tile in 0..n_tiles {
            let mut sums = [round; TILE];
            if goes_on && let Some(words) = chunk_mut(memory, kept) {
                sums = words.map(|word| word as i32);
            }
            let Some(x) = memory.get(x_start..x_start + pairs * TILE_N).proven() else {
                return;
            };
            super::tile(w, x, &mut sums);
            if slice_shift > 0
                && let Some(kept) = chunk_mut(memory, kept)
            {
                join(kept, slice_shift, &mut sums);
            }
            let column = stage.column(run.cols, n_tile);
            let tile = Tile {
                sums,
                index,
                kept,
                out: row + column,
            };
            finish(memory, tile);
            (index, kept, x_start) = (index + 1, kept.wrapping_add(TILE), x_start + pairs * TILE_N);
        }
    }
}

/// Starts kept sums from the rounding constant.
#[inline(never)]
fn start_kept(stage: &StageRecord, memory: &mut [u32]) {
    let first = stage.acc_word as usize;
    let kept = memory.get_mut(first..first + stage.tiles().get() * TILE);
    let kept = kept.proven().unwrap_or(&mut []);
    kept.fill(half(u32::from(stage.shift)) as u32);
}

/// Shifts the sums of a slice and adds the kept ones.
#[inline(never)]
fn join(kept: &[u32; TILE], slice_shift: u32, sums: &mut [i32; TILE]) {
    // Eight times the same: a loop would take as many instructions again.
    let [a0, a1, a2, a3, b0, b1, b2, b3] = sums.map(|sum| sum.wrapping_shr(slice_shift));
    let [k0, k1, k2, k3, l0, l1, l2, l3] = kept.map(|kept| kept as i32);
    *sums = [
        k0.wrapping_add(a0),
        k1.wrapping_add(a1),
        k2.wrapping_add(a2),
        k3.wrapping_add(a3),
        l0.wrapping_add(b0),
        l1.wrapping_add(b1),
        l2.wrapping_add(b2),
        l3.wrapping_add(b3),
    ];
}

/// Words `at..at + N`.
#[inline(always)]
fn chunk_mut<const N: usize>(memory: &mut [u32], at: usize) -> Option<&mut [u32; N]> {
    memory.get_mut(at..).proven()?.first_chunk_mut().proven()
}

/// Adds the products of one register tile, two rows of W times four rows of X, to its sums, in order
/// m0·n0..n3, m1·n0..n3.
#[inline(always)]
pub fn tile(w: &[u32], x: &[u32], sums: &mut [i32; TILE]) {
    debug_assert_eq!(w.len() * 2, x.len());
    let [a0, a1, a2, a3, b0, b1, b2, b3] = sums;
    for (w, x) in w.as_chunks::<2>().0.iter().zip(x.as_chunks::<4>().0) {
        for (x, a, b) in [
            (x[0], &mut *a0, &mut *b0),
            (x[1], &mut *a1, &mut *b1),
            (x[2], &mut *a2, &mut *b2),
            (x[3], &mut *a3, &mut *b3),
        ] {
            *a = dual(w[0], x, *a);
            *b = dual(w[1], x, *b);
        }
    }
}

/// `sum + lo(a)·lo(b) + hi(a)·hi(b)`: SMLAD.
#[inline(always)]
fn dual(a: u32, b: u32, sum: i32) -> i32 {
    let low = i32::from(a as i16).wrapping_mul(i32::from(b as i16));
    let high = ((a as i32) >> 16).wrapping_mul((b as i32) >> 16);
    sum.wrapping_add(low).wrapping_add(high)
}

/// Sums that share a word: the two of each column.
#[inline(always)]
fn columns([a0, a1, a2, a3, b0, b1, b2, b3]: [i32; TILE]) -> [[i32; 2]; 4] {
    [[a0, b0], [a1, b1], [a2, b2], [a3, b3]]
}

/// Sums that share a word: neighbours in each row.
#[inline(always)]
fn neighbours([a0, a1, a2, a3, b0, b1, b2, b3]: [i32; TILE]) -> [[i32; 2]; 4] {
    [[a0, a1], [a2, a3], [b0, b1], [b2, b3]]
}

/// A tile's values, two to a word.
#[inline(always)]
fn pack_tile(sums: [[i32; 2]; 4], stage: &StageRecord) -> [u32; 4] {
    if stage.shift == 16 && stage.bits == 16 {
        // The top halves of any sums.
        return sums.map(|[low, high]| low as u32 >> 16 | high as u32 & 0xFFFF_0000);
    }
    sums.map(|[low, high]| pack(requantize(low, stage), requantize(high, stage)))
}

/// Shifts right (the rounding constant is in the sum already) and saturates to the stage's bits.
#[inline(always)]
fn requantize(sum: i32, stage: &StageRecord) -> i16 {
    let value = sum.wrapping_shr(u32::from(stage.shift));
    let limit = (1i32 << (stage.bits.wrapping_sub(1) % 16)) - 1;
    value.min(limit).max(-limit - 1) as i16
}

#[inline(always)]
fn pack(low: i16, high: i16) -> u32 {
    u32::from(low as u16) | u32::from(high as u16) << 16
}

/// Adds two pairs of i16, each with saturation: QADD16.
#[inline(always)]
fn add_pairs(a: u32, b: u32) -> u32 {
    pack(
        (a as i16).saturating_add(b as i16),
        ((a >> 16) as i16).saturating_add((b >> 16) as i16),
    )
}

/// Puts values `from..from + values.len()` of a slab whose rows are rows of X into its panels (words).
///
/// Value `v` is element k = v mod `row_values` of row n = v div `row_values`; where 8-bit values are
/// pushed, each four of a row lie in [`pair_order`].
pub fn gather_rows<S: Sample>(panels: &mut [u32], row_values: usize, from: usize, values: &[S]) {
    debug_assert!(row_values > 0);
    if row_values == 0 {
        return;
    }
    let (mut row, k) = (from / row_values, from % row_values);
    let mut values = values;
    // The rest of a row that an earlier piece began.
    if k > 0 {
        let (head, rest) = values.split_at(values.len().min(row_values - k));
        block_of_row(panels, row_values, row, k, head);
        (row, values) = (row + 1, rest);
    }
    let (whole, tail) = values.split_at(values.len() / row_values * row_values);
    S::gather_whole_rows(panels, row_values, row, whole);
    if !tail.is_empty() {
        let row = row + whole.len() / row_values;
        block_of_row(panels, row_values, row, 0, tail);
    }
}

/// Whole rows from `row` on.
pub(super) fn whole_rows<S: Sample>(
    panels: &mut [u32],
    row_values: usize,
    row: usize,
    values: &[S],
) {
    let pairs = k_pairs(row_values);
    for (row, values) in (row..).zip(values.chunks_exact(row_values.max(1))) {
        // From the row's first word to its last.
        let start = row_word(pairs, row);
        let Some(words) = panels
            .get_mut(start..)
            .and_then(|words| words.get_mut(..pairs * TILE_N - (TILE_N - 1)))
            .proven()
        else {
            return;
        };
        let (fours, tail) = values.as_chunks::<4>();
        let mut places = words.chunks_mut(8);
        for (&four, words) in fours.iter().zip(&mut places) {
            debug_assert!(words.len() > 4);
            if let [low, _, _, _, high, ..] = words {
                [*low, *high] = S::widen_four(four);
            }
        }
        if let Some(words) = places.next() {
            for (k, &value) in tail.iter().enumerate() {
                put(words, k, value);
            }
        }
    }
}

/// Values of one row from element k on.
fn block_of_row<S: Sample>(
    panels: &mut [u32],
    row_values: usize,
    row: usize,
    k: usize,
    values: &[S],
) {
    let first = row_word(k_pairs(row_values), row);
    let Some(words) = panels.get_mut(first..).proven() else {
        return;
    };
    let (mut k, mut values) = (k, values);
    loop {
        if k.is_multiple_of(4)
            && k + 4 <= row_values
            && let Some((&four, rest)) = values.split_first_chunk()
        {
            if let Some([low, _, _, _, high]) = chunk_mut(words, k * 2) {
                [*low, *high] = S::widen_four(four);
            }
            (k, values) = (k + 4, rest);
        } else if let Some((&value, rest)) = values.split_first() {
            let place = match size_of::<S>() {
                1 => pair_order(k, row_values),
                _ => k,
            };
            put(words, place, value);
            (k, values) = (k + 1, rest);
        } else {
            return;
        }
    }
}

/// One value at its place in its row, whose first word is that of `words`.
fn put<S: Sample>(words: &mut [u32], k: usize, value: S) {
    let halves: &mut [i16] = bytemuck::cast_slice_mut(words);
    if let Some(place) = halves.get_mut(half_in_row(k)).proven() {
        *place = value.widen();
    }
}

/// Zeros words.
pub fn clear(words: &mut [u32]) {
    words.fill(0);
}

/// Copies words, as many as both have.
pub fn copy(to: &mut [u32], from: &[u32]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from;
    }
}

/// Puts values to the i16 places their table entries name; there is an entry for every value.
pub fn gather_table<S: Sample>(panels: &mut [i16], table: &[u16], values: &[S]) {
    debug_assert!(table.len() >= values.len());
    for (&place, &value) in table.iter().zip(values) {
        if let Some(place) = panels.get_mut(place as usize).proven() {
            *place = value.widen();
        }
    }
}

/// The same of whole pairs of rows of so many values, each pair of which shares the words that the first row's
/// entries name.
pub fn gather_pairs<S: Sample>(panels: &mut [u32], table: &[u16], row: usize, values: &[S]) {
    debug_assert!(row > 0 && values.len().is_multiple_of(2 * row) && table.len() >= values.len());
    let pair = (2 * row).max(1);
    for (table, values) in table.chunks_exact(pair).zip(values.chunks_exact(pair)) {
        let Some((low, high)) = values.split_at_checked(row).proven() else {
            return;
        };
        for (&place, (&low, &high)) in table.iter().zip(low.iter().zip(high)) {
            debug_assert!(place.is_multiple_of(2));
            if let Some(word) = panels.get_mut(usize::from(place) / 2).proven() {
                *word = pack(low.widen(), high.widen());
            }
        }
    }
}

/// Adds the products of a dense map's rows with x (i16 pairs in words), times each row's scale over
/// 2³², to z (row pairs in words), with saturation.
// On its own: in what calls it, registers are spilled in the inner loop.
#[inline(never)]
pub fn dense_add(rows: &DenseRows<'_>, x: &[u32], scales: &[u32], z: &mut [u32]) {
    let z: &mut [i16] = bytemuck::cast_slice_mut(z);
    debug_assert_eq!(z.len(), scales.len());
    dense(rows, x, 0, |row, sum| {
        if let (Some(z), Some(&scale)) = (z.get_mut(row).proven(), scales.get(row).proven()) {
            *z = add_rescaled(*z, sum, scale);
        }
    });
}

/// As [`dense_add`] of rows of bytes. x may be taken apart meanwhile; it is left as it was.
#[inline(never)]
pub fn bytes_add(rows: &ByteRows<'_>, x: &mut [u32], scales: &[u32], z: &mut [u32]) {
    let x: &[i16] = bytemuck::cast_slice(x);
    let z: &mut [i16] = bytemuck::cast_slice_mut(z);
    debug_assert!(x.len() == 2 * rows.k_pairs && z.len() == scales.len());
    debug_assert!(rows.k_pairs > 0 && z.len().is_multiple_of(ByteRows::ROWS));
    let (first, rest) = x.split_at(ByteRows::first(rows.k_pairs).min(x.len()));
    for (row, (z, &scale)) in z.iter_mut().zip(scales).enumerate() {
        let blocks = ByteRows::row(rows.weights, rows.k_pairs, row);
        let values = core::iter::once(first).chain(rest.chunks(ByteRows::BLOCK));
        let mut sum = 0i32;
        for (weights, values) in blocks.zip(values) {
            for (&w, &x) in weights.iter().zip(values) {
                sum = sum.wrapping_add(i32::from(w).wrapping_mul(i32::from(x)));
            }
        }
        *z = add_rescaled(*z, sum, scale);
    }
}

/// z + (sum · scale) / 2³², half up: SMMULR, SXTAH and SSAT. Only the whole saturates, for a bias may
/// bring back a share that i16 cannot hold.
#[inline(always)]
pub fn add_rescaled(z: i16, sum: i32, scale: u32) -> i16 {
    let product = i64::from(sum) * i64::from(scale) + (1 << 31);
    saturate(i32::from(z).wrapping_add((product >> 32) as i32))
}

/// Products of the row pairs of a dense map with x (i16 pairs in words): calls `finish(row, sum)`
/// for every row, the sum started at `start`.
pub fn dense(rows: &DenseRows<'_>, x: &[u32], start: i32, mut finish: impl FnMut(usize, i32)) {
    debug_assert!(x.len() == rows.k_pairs && rows.weights.len().is_multiple_of(rows.k_pairs));
    for (pair, weights) in rows.weights.chunks_exact(rows.k_pairs.max(1)).enumerate() {
        let (mut a, mut b) = (start, start);
        for (&w, &x) in weights.iter().zip(x) {
            for (w, x) in [(w as i16, x as i16), ((w >> 16) as i16, (x >> 16) as i16)] {
                let low = i32::from(w as i8);
                let high = (i32::from(w) - low) >> 8;
                a = a.wrapping_add(high.wrapping_mul(i32::from(x)));
                b = b.wrapping_add(low.wrapping_mul(i32::from(x)));
            }
        }
        finish(2 * pair, a);
        finish(2 * pair + 1, b);
    }
}

/// Adds to every sum the products of its row with x (i16 pairs in words), whose first `rows.values` are read; wraps.
pub fn head_add(rows: &HeadRows<'_>, x: &[u32], sums: &mut [i32]) {
    let x: &[i16] = bytemuck::cast_slice(x);
    let x = x.get(..rows.values).proven().unwrap_or(&[]);
    let row = |index: usize| {
        let row = rows.weights.get(index * rows.stride..);
        row.and_then(|row| row.get(..x.len())).proven()
    };
    // Two rows share what is read of x.
    let (pairs, last) = sums.as_chunks_mut::<2>();
    let first_of_last = 2 * pairs.len();
    for (pair, sums) in pairs.iter_mut().enumerate() {
        let (Some(a), Some(b)) = (row(2 * pair), row(2 * pair + 1)) else {
            return;
        };
        super::two_rows((a, b), x, sums);
    }
    if let [sum] = last
        && let Some(row) = row(first_of_last)
    {
        for (&x, &weight) in x.iter().zip(row) {
            *sum = sum.wrapping_add(i32::from(weight).wrapping_mul(i32::from(x)));
        }
    }
}

/// Adds to two sums the products of two rows with x; all of one length.
#[inline(always)]
pub fn two_rows((a, b): (&[i16], &[i16]), x: &[i16], sums: &mut [i32; 2]) {
    for (&x, (&a, &b)) in x.iter().zip(a.iter().zip(b)) {
        let product = |weight: i16| i32::from(weight).wrapping_mul(i32::from(x));
        *sums = [
            sums[0].wrapping_add(product(a)),
            sums[1].wrapping_add(product(b)),
        ];
    }
}
