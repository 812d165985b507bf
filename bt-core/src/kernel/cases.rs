//! What every implementation of the kernels must give to the bit: the host's tests compare the
//! portable one with an i64 reference, and a program on the chip runs the same list.

use bytemuck::Zeroable;

use super::{ByteRows, Centred, DenseRows, HeadRows, Sample, gather_rows, portable};
use crate::cases::{Digest, Noise};
use crate::program::{
    Accumulate, Contraction, DISCARD, StageRecord, Store, TILE, VECTOR_PAIRS, panel,
};

/// The digest of the right results. It changes with the list and with the model file's version.
pub const DIGEST: u32 = 0xC565_C0BC;

/// Largest extents of a case; of one in four, which has one row of tiles, so many.
const TILES_MAX: usize = 3;
const ROW_TILES_MAX: usize = 17;
const PAIRS_MAX: usize = 40;
/// Most tiles of a case.
const ALL_TILES_MAX: usize = 17;

/// Places in the memory of a contraction, words.
const ACC: usize = TILES_MAX * PAIRS_MAX * 4;
const OUT: usize = ACC + ALL_TILES_MAX * TILE;
const MEMORY: usize = OUT + ROW_TILES_MAX * 8 + 24;
const WEIGHTS: usize = TILES_MAX * PAIRS_MAX * 2;

/// Most row pairs of a dense product.
const ROW_PAIRS_MAX: usize = WEIGHTS / PAIRS_MAX;

/// Most words of x and most fours of rows of a product of rows of bytes: ten blocks, one more than a round of eight.
const BYTE_PAIRS_MAX: usize = 80;
const BYTE_GROUPS_MAX: usize = 3;
const BYTE_WORDS_MAX: usize =
    BYTE_GROUPS_MAX * ByteRows::blocks(BYTE_PAIRS_MAX) * ByteRows::BLOCK_WORDS;

/// Most values of a row of a head, and most rows.
const VALUES_MAX: usize = 2 * PAIRS_MAX;
const HEAD_ROWS_MAX: usize = 9;

/// Contractions in the list: every store, accumulation and remainder of the unrolled loops many times.
const CONTRACTIONS: usize = 1920;
/// Every store with every accumulation and every form of the shift.
const FORMS: usize = 60;
const OTHERS: usize = 120;

/// Runs the kernels of this build over the list and folds all results into one number.
pub fn digest() -> u32 {
    digest_of(&Kernels {
        contract: super::contract,
        dense_add: super::dense_add,
        bytes_add: super::bytes_add,
        head_add: super::head_add,
        clear: super::clear,
        copy: super::copy,
    })
}

/// As [`digest`], of the portable kernels.
pub fn portable_digest() -> u32 {
    digest_of(&Kernels {
        contract: portable::contract,
        dense_add: portable::dense_add,
        bytes_add: portable::bytes_add,
        head_add: portable::head_add,
        clear: portable::clear,
        copy: portable::copy,
    })
}

struct Kernels {
    contract: fn(&Contraction<'_>, &mut [u32]),
    dense_add: fn(&DenseRows<'_>, &[u32], &[u32], &mut [u32]),
    bytes_add: fn(&ByteRows<'_>, &mut [u32], &[u32], &mut [u32]),
    head_add: fn(&HeadRows<'_>, &[u32], &mut [i32]),
    clear: fn(&mut [u32]),
    copy: fn(&mut [u32], &[u32]),
}

fn digest_of(kernels: &Kernels) -> u32 {
    let mut digest = Digest::new();
    let mut noise = Noise(0x2545_f491);
    for index in 0..CONTRACTIONS {
        contraction(index, &mut noise, |run, memory| {
            (kernels.contract)(run, memory);
            memory.iter().for_each(|&word| digest.add(word));
        });
    }
    for index in 0..OTHERS {
        dense(index, &mut noise, |rows, x, scales, z| {
            (kernels.dense_add)(rows, x, scales, z);
            z.iter().for_each(|&word| digest.add(word));
        });
        bytes(index, &mut noise, |rows, x, scales, z| {
            (kernels.bytes_add)(rows, x, scales, z);
            x.iter().chain(&*z).for_each(|&word| digest.add(word));
        });
        head(index, &mut noise, |rows, x, sums| {
            (kernels.head_add)(rows, x, sums);
            sums.iter().for_each(|&sum| digest.add(sum as u32));
        });
        rows(index, &mut noise, &mut digest);
        words(&mut noise, |cleared, to, from| {
            (kernels.clear)(cleared);
            (kernels.copy)(to, from);
            cleared
                .iter()
                .chain(&*to)
                .for_each(|&word| digest.add(word));
        });
    }
    digest.value()
}

/// One random contraction: extremes among its values, sums that keep to 32 bits.
fn contraction(index: usize, noise: &mut Noise, run: impl FnOnce(&Contraction<'_>, &mut [u32])) {
    let store = [
        Store::Pairs,
        Store::Columns,
        Store::AddRows,
        Store::Scatter,
        Store::AddScatter,
    ];
    let (Some(&store), Some(&accumulate)) = (
        store.get(index % 5),
        [
            Accumulate::Single,
            Accumulate::First,
            Accumulate::Middle,
            Accumulate::Last,
        ]
        .get(index / 5 % 4),
    ) else {
        return;
    };
    let is_long = index / 20 % 4 == 3;
    let (m_tiles, n_tiles) = if is_long {
        (1, below(noise, ROW_TILES_MAX) + 1)
    } else {
        (below(noise, TILES_MAX) + 1, below(noise, TILES_MAX) + 1)
    };
    // Every other time rows of one to four vectors, or of one or two and a pair, stored at even distances and by a
    // table, which have loops of their own.
    let whole = index / FORMS % 2 == 1;
    // Half of the others have 9 or 10 pairs and even distances: those whose code stands apart.
    let apart = (!whole).then_some(9 + index / FORMS / 2 % 4);
    let apart = apart.filter(|&pairs| pairs < 11);
    let pairs = if whole {
        let vectors = index / FORMS / 2 % 4 + 1;
        let pair = usize::from(vectors < 3 && below(noise, 2) == 1);
        vectors * VECTOR_PAIRS + pair
    } else {
        apart.unwrap_or_else(|| below(noise, PAIRS_MAX) + 1)
    };
    // X has room for so many.
    let pairs = pairs.min(ACC / 4 / n_tiles);
    // The cheap cases are common in models.
    let (shift, bits) = match index % 3 {
        0 => (16, 16),
        1 => (16, below(noise, 15) + 2),
        _ if apart.is_some() || below(noise, 2) == 0 => {
            (below(noise, 4) + 12, below(noise, 2) + 15)
        }
        _ => (below(noise, 16) + 1, below(noise, 15) + 2),
    };
    let slice_shift = match (accumulate, index / 20 % 3) {
        (Accumulate::Single, _) | (_, 0) => 0,
        _ => below(noise, 15) + 2,
    };
    let mut memory = [0; MEMORY];
    memory.fill_with(|| pair(noise));
    if let Some(kept) = memory.get_mut(ACC..OUT) {
        kept.fill_with(|| (noise.next() as i32 >> 2) as u32);
    }
    let mut weights = [0; WEIGHTS];
    // Magnitudes up to 256: 80 products and a kept sum stay below 2^31.
    weights.fill_with(|| {
        let pair = noise.next();
        let small = |half: u32| ((half as i16) >> 7) as u16;
        u32::from(small(pair)) | u32::from(small(pair >> 16)) << 16
    });
    let mut rows = [0u16; ALL_TILES_MAX * TILE];
    let mut cols = [0u16; ROW_TILES_MAX];
    if store.is_table() {
        let count = m_tiles * n_tiles * TILE;
        for (at, place) in rows.iter_mut().take(count).enumerate() {
            *place = if below(noise, 8) == 0 {
                DISCARD
            } else {
                (count - 1 - at) as u16
            };
        }
    } else {
        for (at, row) in rows.iter_mut().take(m_tiles).enumerate() {
            *row = (at * 40) as u16;
        }
        for (at, col) in cols.iter_mut().enumerate() {
            *col = (at * 8) as u16;
        }
    }
    let even = if whole {
        (index / FORMS / 8).is_multiple_of(2)
    } else {
        apart.is_some() || below(noise, 2) == 1
    };
    let even = even && !store.is_table();
    let stage = StageRecord {
        acc_word: ACC as u32,
        out_word: OUT as u32,
        row_stride: 20,
        m_tiles: m_tiles as u16,
        n_tiles: n_tiles as u16,
        k_pairs: pairs as u16,
        slices: 1,
        store: store as u8,
        shift: shift as u8,
        bits: bits as u8,
        slice_shift: slice_shift as u8,
        col_stride: if even { 8 } else { 0 },
        ..StageRecord::zeroed()
    };
    let entries = if store.is_table() {
        m_tiles * n_tiles * TILE
    } else {
        m_tiles
    };
    let (Some(weights), Some(rows), Some(cols)) = (
        weights.get(..m_tiles * pairs * 2),
        rows.get(..entries),
        cols.get(..if store.is_table() || even { 0 } else { n_tiles }),
    ) else {
        return;
    };
    let contraction = Contraction {
        stage: &stage,
        weights,
        rows,
        cols,
        out_word: OUT,
        accumulate,
    };
    run(&contraction, &mut memory);
}

/// One random dense product.
fn dense(
    index: usize,
    noise: &mut Noise,
    run: impl FnOnce(&DenseRows<'_>, &[u32], &[u32], &mut [u32]),
) {
    let k_pairs = index % PAIRS_MAX + 1;
    let mut x = [0; PAIRS_MAX];
    x.fill_with(|| pair(noise));
    let mut weights = [0; WEIGHTS];
    weights.fill_with(|| {
        let mut lane = || {
            let value = 256 * (below(noise, 255) as i32 - 127) + below(noise, 255) as i32 - 127;
            u32::from(value as i16 as u16)
        };
        lane() | lane() << 16
    });
    let mut scales = [0; 2 * ROW_PAIRS_MAX];
    scales.fill_with(|| noise.next() >> (1 + below(noise, 16)));
    let mut z = [0; ROW_PAIRS_MAX];
    z.fill_with(|| pair(noise));
    let rows = below(noise, ROW_PAIRS_MAX) + 1;
    if let (Some(weights), Some(x), Some(scales), Some(z)) = (
        weights.get(..rows * k_pairs),
        x.get(..k_pairs),
        scales.get(..2 * rows),
        z.get_mut(..rows),
    ) {
        run(&DenseRows { weights, k_pairs }, x, scales, z);
    }
}

/// One random dense product of rows of bytes: one block a row and many, first blocks of every length.
fn bytes(
    index: usize,
    noise: &mut Noise,
    run: impl FnOnce(&ByteRows<'_>, &mut [u32], &[u32], &mut [u32]),
) {
    let k_pairs = ByteRows::BLOCK / 2 + index * 7 % (BYTE_PAIRS_MAX - ByteRows::BLOCK / 2 + 1);
    let groups = below(noise, BYTE_GROUPS_MAX) + 1;
    let rows = ByteRows::ROWS * groups;
    let mut x = [0; BYTE_PAIRS_MAX];
    x.fill_with(|| pair(noise));
    let mut weights = [0; BYTE_WORDS_MAX];
    let mut sums = [0i32; ByteRows::ROWS * BYTE_GROUPS_MAX];
    for (row, sum) in sums.iter_mut().enumerate().take(rows) {
        for k in 0..2 * k_pairs {
            let weight = below(noise, 255) as i32 - 127;
            let bytes: &mut [i8] = bytemuck::cast_slice_mut(&mut weights);
            if let Some(place) = bytes.get_mut(ByteRows::byte(k_pairs, row, k)) {
                *place = weight as i8;
                *sum += 128 * weight;
            }
        }
    }
    let mut scales = [0; ByteRows::ROWS * BYTE_GROUPS_MAX];
    scales.fill_with(|| noise.next() >> (1 + below(noise, 16)));
    let mut z = [0; ByteRows::ROWS / 2 * BYTE_GROUPS_MAX];
    z.fill_with(|| pair(noise));
    let words = groups * ByteRows::blocks(k_pairs) * ByteRows::BLOCK_WORDS;
    let sums: &[u32] = bytemuck::cast_slice(&sums);
    if let (Some(weights), Some(sums), Some(x), Some(scales), Some(z)) = (
        weights.get(..words),
        sums.get(..rows),
        x.get_mut(..k_pairs),
        scales.get(..rows),
        z.get_mut(..rows / 2),
    ) {
        let rows = ByteRows {
            weights,
            sums,
            k_pairs,
        };
        run(&rows, x, scales, z);
    }
}

/// One random head, its rows at any half.
fn head(index: usize, noise: &mut Noise, run: impl FnOnce(&HeadRows<'_>, &[u32], &mut [i32])) {
    let values = index % VALUES_MAX + 1;
    let stride = values + below(noise, 4);
    let mut x = [0; PAIRS_MAX];
    x.fill_with(|| pair(noise));
    let mut weights = [0; HEAD_ROWS_MAX * (VALUES_MAX + 4)];
    // Magnitudes up to 512: 80 products and a sum stay below 2^31.
    weights.fill_with(|| noise.next() as i16 >> 6);
    let mut sums = [0; HEAD_ROWS_MAX];
    sums.fill_with(|| noise.next() as i32 >> 2);
    let rows = below(noise, HEAD_ROWS_MAX) + 1;
    if let (Some(weights), Some(x), Some(sums)) = (
        weights.get(below(noise, 4)..),
        x.get(..values.div_ceil(2)),
        sums.get_mut(..rows),
    ) && let Some(weights) = weights.get(..(rows - 1) * stride + values)
    {
        let rows = HeadRows {
            weights,
            stride,
            values,
        };
        run(&rows, x, sums);
    }
}

/// Words to clear, to copy to and to copy from, of any number.
fn words(noise: &mut Noise, run: impl FnOnce(&mut [u32], &mut [u32], &[u32])) {
    let mut memory = [0; 3 * PAIRS_MAX];
    memory.fill_with(|| noise.next());
    let mut up_to = || below(noise, PAIRS_MAX + 1);
    if let Some((cleared, rest)) = memory.split_at_mut_checked(up_to())
        && let Some((to, from)) = rest.split_at_mut_checked(up_to())
        && let Some(from) = from.get(..up_to())
    {
        run(cleared, to, from);
    }
}

/// One slab of every element type, in pieces.
fn rows(index: usize, noise: &mut Noise, digest: &mut Digest) {
    let row_values = index % PAIRS_MAX + 1;
    let mut bytes = [0u8; 5 * PAIRS_MAX];
    bytes.fill_with(|| noise.next() as u8);
    let Some(bytes) = bytes.get(..5 * row_values) else {
        return;
    };
    let first = below(noise, bytes.len());
    gathered(bytes, row_values, first, digest);
    gathered::<Centred>(bytemuck::cast_slice(bytes), row_values, first, digest);
    gathered::<i8>(bytemuck::cast_slice(bytes), row_values, first, digest);
    let mut table = [0u16; 5 * PAIRS_MAX];
    table.fill_with(|| below(noise, 8 * PAIRS_MAX) as u16);
    let mut halves = [0i16; 2 * PAIRS_MAX];
    halves.fill_with(|| noise.next() as i16);
    placed(bytes, &table, digest);
    placed::<Centred>(bytemuck::cast_slice(bytes), &table, digest);
    placed::<i8>(bytemuck::cast_slice(bytes), &table, digest);
    placed(halves.get(..row_values).unwrap_or(&[]), &table, digest);
    if row_values >= 4 {
        let bytes = bytes.get(..PAIRED_ROWS * row_values).unwrap_or(&[]);
        paired(bytes, row_values, index % 4, digest);
        paired::<Centred>(bytemuck::cast_slice(bytes), row_values, index % 4, digest);
        paired::<i8>(bytemuck::cast_slice(bytes), row_values, index % 4, digest);
    }
}

/// Rows of a slab whose pairs share words.
const PAIRED_ROWS: usize = 4;

/// Such a slab as k of panels, from column `column` on.
fn paired<S: Sample>(values: &[S], row: usize, column: usize, digest: &mut Digest) {
    let mut table = [0u16; PAIRED_ROWS * PAIRS_MAX];
    for (v, place) in table.iter_mut().enumerate() {
        *place = panel::half(PAIRED_ROWS / 2, v / row, column + v % row) as u16;
    }
    let mut panels = [0; 8 * PAIRS_MAX];
    S::pairs_to_places(&mut panels, &table, row, values);
    panels.iter().for_each(|&word| digest.add(word));
}

/// All values by a table of places.
fn placed<S: Sample>(values: &[S], table: &[u16], digest: &mut Digest) {
    let mut panels = [0; 4 * PAIRS_MAX];
    S::to_places(bytemuck::cast_slice_mut(&mut panels), table, values);
    panels.iter().for_each(|&word| digest.add(word));
}

/// Two pieces, the first of them `first` long.
fn gathered<S: Sample>(values: &[S], row_values: usize, first: usize, digest: &mut Digest) {
    let mut panels = [0; 2 * PAIRS_MAX * 4];
    let (head, tail) = values.split_at(first.min(values.len()));
    gather_rows(&mut panels, row_values, 0, head);
    gather_rows(&mut panels, row_values, head.len(), tail);
    panels.iter().for_each(|&word| digest.add(word));
}

/// A number below `bound`.
fn below(noise: &mut Noise, bound: usize) -> usize {
    (noise.next() >> 8) as usize % bound.max(1)
}

/// Two i16, one in four an end of the range.
fn pair(noise: &mut Noise) -> u32 {
    let mut half = || match noise.next() {
        value if value % 8 == 0 => 0x8000,
        value if value % 8 == 1 => 0x7FFF,
        value => value >> 16,
    };
    half() | half() << 16
}

#[cfg(test)]
mod tests;
