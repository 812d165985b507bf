//! The specification: safe Rust, plain loops. Every other implementation gives the same bits.
//!
//! Sums wrap, which never happens: `Model::parse` has proven that no accumulator can leave i32.
//! Slices that are too short end a loop early instead of panicking; `Model::parse` has excluded it.

use super::{Accumulate, Contraction, DenseRows, Sample};
use crate::program::{DISCARD, Store, TILE, pair_order};
use crate::q::saturate;

/// `C[m,n] = Σ_k W[m,k]·X[n,k]` over all tiles of one step, requantised and stored.
///
/// `memory` is the whole arena: X, accumulators and destination lie in it at the places the step
/// names. Rounds half up (the rounding constant is the start value), saturates to `step.bits`.
pub fn contract(run: &Contraction<'_>, memory: &mut [u32]) {
    let step = run.step;
    let pairs = step.k_pairs as usize;
    let n_tiles = step.n_tiles as usize;
    let round = 1i32 << (step.shift - 1);
    let w_panel = pairs * 2;
    let x_panel = pairs * 4;
    for m_tile in 0..step.m_tiles as usize {
        let Some(w) = run.weights.get(m_tile * w_panel..(m_tile + 1) * w_panel) else {
            return;
        };
        for n_tile in 0..n_tiles {
            let tile_index = m_tile * n_tiles + n_tile;
            let x_start = step.input_word as usize + n_tile * x_panel;
            let acc_start = step.acc_word as usize + tile_index * TILE;
            let start = match run.accumulate {
                Accumulate::Single | Accumulate::First => [round; TILE],
                Accumulate::Middle | Accumulate::Last => {
                    let Some(kept) = memory
                        .get(acc_start..)
                        .and_then(|m| m.first_chunk::<TILE>())
                    else {
                        return;
                    };
                    kept.map(|word| word as i32)
                }
            };
            let Some(x) = memory.get(x_start..x_start + x_panel) else {
                return;
            };
            let tile = tile(w, x, start);
            match run.accumulate {
                Accumulate::First | Accumulate::Middle => {
                    let Some(kept) = memory
                        .get_mut(acc_start..)
                        .and_then(|m| m.first_chunk_mut::<TILE>())
                    else {
                        return;
                    };
                    *kept = tile.map(|value| value as u32);
                }
                Accumulate::Single | Accumulate::Last => {
                    store(
                        run,
                        m_tile,
                        n_tile,
                        requantize(tile, step.shift, step.bits),
                        memory,
                    );
                }
            }
        }
    }
}

/// One register tile: two rows of W times four rows of X, in order m0·n0..n3, m1·n0..n3. Two columns
/// at a time: four sums and four operands are what the registers of an Armv6-M core hold.
#[inline(always)]
fn tile(w: &[u32], x: &[u32], sums: [i32; TILE]) -> [i32; TILE] {
    let [a0, a1, a2, a3, b0, b1, b2, b3] = sums;
    let [a0, a1, b0, b1] = half_tile(w, x, [a0, a1, b0, b1]);
    let x = x.get(2..).unwrap_or(&[]);
    let [a2, a3, b2, b3] = half_tile(w, x, [a2, a3, b2, b3]);
    [a0, a1, a2, a3, b0, b1, b2, b3]
}

/// Two columns of a tile; x starts at the first of them.
#[inline(always)]
fn half_tile(w: &[u32], x: &[u32], sums: [i32; 4]) -> [i32; 4] {
    let [mut a0, mut a1, mut b0, mut b1] = sums;
    let (w, _) = w.as_chunks::<2>();
    for ([w0, w1], x) in w.iter().zip(x.chunks(4)) {
        let [x0, x1, ..] = x else { break };
        a0 = dual(*w0, *x0, a0);
        a1 = dual(*w0, *x1, a1);
        b0 = dual(*w1, *x0, b0);
        b1 = dual(*w1, *x1, b1);
    }
    [a0, a1, b0, b1]
}

/// `sum + lo(a)·lo(b) + hi(a)·hi(b)`: SMLAD.
#[inline(always)]
fn dual(a: u32, b: u32, sum: i32) -> i32 {
    let low = i32::from(a as i16).wrapping_mul(i32::from(b as i16));
    let high = ((a as i32) >> 16).wrapping_mul((b as i32) >> 16);
    sum.wrapping_add(low).wrapping_add(high)
}

/// Shifts right (the rounding constant is in the sum already) and saturates to `bits`.
#[inline(always)]
fn requantize(tile: [i32; TILE], shift: u8, bits: u8) -> [i16; TILE] {
    if shift == 16 && bits == 16 {
        // The top half of any sum.
        return tile.map(|value| (value >> 16) as i16);
    }
    if bits == 16 {
        return tile.map(|value| saturate(value >> shift));
    }
    let limit = (1i32 << (bits - 1)) - 1;
    tile.map(|value| (value >> shift).clamp(-limit - 1, limit) as i16)
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

fn store(
    run: &Contraction<'_>,
    m_tile: usize,
    n_tile: usize,
    tile: [i16; TILE],
    memory: &mut [u32],
) {
    let (step, kind) = (run.step, run.store);
    let [a0, a1, a2, a3, b0, b1, b2, b3] = tile;
    if kind.is_table() {
        let first = (m_tile * step.n_tiles as usize + n_tile) * TILE;
        let Some(table) = run.rows.get(first..).and_then(|t| t.first_chunk::<TILE>()) else {
            return;
        };
        for (&offset, value) in table.iter().zip(tile) {
            if offset == DISCARD {
                continue;
            }
            let Some(word) = memory.get_mut(run.out_word + offset as usize / 2) else {
                return;
            };
            let high = offset % 2 == 1;
            let old = if high {
                (*word >> 16) as i16
            } else {
                *word as i16
            };
            let new = if kind.adds() {
                old.saturating_add(value)
            } else {
                value
            };
            *word = if high {
                pack(*word as i16, new)
            } else {
                pack(new, (*word >> 16) as i16)
            };
        }
        return;
    }
    let (Some(&row), Some(&col)) = (run.rows.get(m_tile), run.cols.get(n_tile)) else {
        return;
    };
    let at = run.out_word + row as usize + col as usize;
    match kind {
        Store::Pairs => {
            let Some(words) = memory.get_mut(at..).and_then(|m| m.first_chunk_mut::<4>()) else {
                return;
            };
            *words = [pack(a0, b0), pack(a1, b1), pack(a2, b2), pack(a3, b3)];
        }
        Store::Columns => {
            let Some(words) = memory.get_mut(at..).and_then(|m| m.first_chunk_mut::<6>()) else {
                return;
            };
            words[0] = pack(a0, a1);
            words[1] = pack(b0, b1);
            words[4] = pack(a2, a3);
            words[5] = pack(b2, b3);
        }
        Store::AddRows => {
            for (at, pairs) in [
                (at, [pack(a0, a1), pack(a2, a3)]),
                (at + step.row_stride as usize, [pack(b0, b1), pack(b2, b3)]),
            ] {
                let Some(words) = memory.get_mut(at..).and_then(|m| m.first_chunk_mut::<2>())
                else {
                    return;
                };
                words[0] = add_pairs(words[0], pairs[0]);
                words[1] = add_pairs(words[1], pairs[1]);
            }
        }
        Store::Scatter | Store::AddScatter => {}
    }
}

/// Puts values `from..from + values.len()` of a slab whose rows are rows of X into its panels (words).
///
/// Value `v` is element k = v mod `row_values` of row n = v div `row_values`; where 8-bit values are
/// pushed, each four of a row lie in [`pair_order`](crate::program::pair_order).
pub fn gather_rows<S: Sample>(panels: &mut [u32], row_values: usize, from: usize, values: &[S]) {
    if row_values == 0 {
        return;
    }
    let panel = row_values.div_ceil(2) * 4;
    let (mut row, k) = (from / row_values, from % row_values);
    let mut values = values;
    // The rest of a row that an earlier piece began.
    if k > 0 {
        let (head, rest) = values.split_at(values.len().min(row_values - k));
        part_of_row(panels, panel, row_values, row, k, head);
        (row, values) = (row + 1, rest);
    }
    let (whole, tail) = values.split_at(values.len() / row_values * row_values);
    S::gather_whole_rows(panels, row_values, row, whole);
    if !tail.is_empty() {
        part_of_row(
            panels,
            panel,
            row_values,
            row + whole.len() / row_values,
            0,
            tail,
        );
    }
}

/// Whole rows from `row` on.
pub(super) fn whole_rows<S: Sample>(
    panels: &mut [u32],
    row_values: usize,
    row: usize,
    values: &[S],
) {
    let panel = row_values.div_ceil(2) * 4;
    for (row, values) in (row..).zip(values.chunks_exact(row_values.max(1))) {
        // From the row's first word to its last.
        let start = row / 4 * panel + row % 4;
        let Some(words) = panels
            .get_mut(start..)
            .and_then(|words| words.get_mut(..panel - 3))
        else {
            return;
        };
        let (fours, tail) = values.as_chunks::<4>();
        let mut places = words.chunks_mut(8);
        for (&four, words) in fours.iter().zip(&mut places) {
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
fn part_of_row<S: Sample>(
    panels: &mut [u32],
    panel: usize,
    row_values: usize,
    row: usize,
    k: usize,
    values: &[S],
) {
    let Some(words) = panels.get_mut(row / 4 * panel + row % 4..) else {
        return;
    };
    for (k, &value) in (k..).zip(values) {
        let k = match size_of::<S>() {
            1 => pair_order(k, row_values),
            _ => k,
        };
        put(words, k, value);
    }
}

/// One value at its place in its row, whose first word is that of `words`.
fn put<S: Sample>(words: &mut [u32], k: usize, value: S) {
    let halves: &mut [i16] = bytemuck::cast_slice_mut(words);
    if let Some(place) = halves.get_mut(k / 2 * 8 + k % 2) {
        *place = value.widen();
    }
}

/// Puts values to the i16 places their table entries name.
pub fn gather_table<S: Sample>(panels: &mut [i16], table: &[u16], values: &[S]) {
    for (&place, &value) in table.iter().zip(values) {
        if let Some(place) = panels.get_mut(place as usize) {
            *place = value.widen();
        }
    }
}

/// Adds the products of a dense map's rows with x (i16 pairs in words), times each row's scale over
/// 2³², to z (row pairs in words), with saturation.
pub fn dense_add(rows: &DenseRows<'_>, x: &[u32], scales: &[u32], z: &mut [u32]) {
    let z: &mut [i16] = bytemuck::cast_slice_mut(z);
    dense(rows, x, 0, |row, sum| {
        if let (Some(z), Some(&scale)) = (z.get_mut(row), scales.get(row)) {
            *z = add_rescaled(*z, sum, scale);
        }
    });
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
    let x = x.get(..rows.k_pairs).unwrap_or(x);
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

/// `start + Σ a_k·b_k`, wrapping.
pub fn dot(a: &[i16], b: &[i16], start: i32) -> i32 {
    a.iter().zip(b).fold(start, |sum, (&a, &b)| {
        sum.wrapping_add(i32::from(a).wrapping_mul(i32::from(b)))
    })
}
