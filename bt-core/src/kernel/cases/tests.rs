use super::*;
use crate::kernel::{ToPlaces, gather_places};
use crate::program::{ProgramRecord, k_pairs};

/// Of how many cases one is taken; prime, so that every kind of case comes. Miri takes some thousand times as long.
const STEP: usize = if cfg!(miri) { 61 } else { 1 };

fn halves(word: u32) -> [i64; 2] {
    [i64::from(word as i16), i64::from((word >> 16) as i16)]
}

/// The definition, in i64: `C[m,n] = Σ W·X`, rounded half up, saturated, stored.
fn reference(run: &Contraction<'_>, before: &[u32]) -> Vec<u32> {
    let stage = run.stage;
    let store = Store::from_number(stage.store).unwrap();
    let mut memory = before.to_vec();
    let pairs = usize::from(stage.k_pairs);
    for m_tile in 0..usize::from(stage.m_tiles) {
        for n_tile in 0..usize::from(stage.n_tiles) {
            let index = m_tile * usize::from(stage.n_tiles) + n_tile;
            for place in 0..TILE {
                let (m, n) = (place / 4, place % 4);
                let kept = ACC + index * TILE + place;
                let start: i64 = match run.accumulate {
                    Accumulate::Single | Accumulate::First => 1 << (stage.shift - 1),
                    Accumulate::Middle | Accumulate::Last => i64::from(before[kept] as i32),
                };
                let mut sum = 0;
                for pair in 0..pairs {
                    let w = halves(run.weights[(m_tile * pairs + pair) * 2 + m]);
                    let x = halves(before[(n_tile * pairs + pair) * 4 + n]);
                    sum += w[0] * x[0] + w[1] * x[1];
                }
                // Half up, as floats have it.
                let coarse = f64::from(1u32 << stage.slice_shift);
                sum = start + (sum as f64 / coarse + 0.5).floor() as i64;
                assert_eq!(sum, i64::from(sum as i32), "the case overflows");
                if matches!(run.accumulate, Accumulate::First | Accumulate::Middle) {
                    memory[kept] = sum as i32 as u32;
                    continue;
                }
                let limit = 1i64 << (stage.bits - 1);
                let value = (sum >> stage.shift).clamp(-limit, limit - 1);
                let half = match store {
                    Store::Scatter | Store::AddScatter => match run.rows[index * TILE + place] {
                        DISCARD => continue,
                        offset => OUT * 2 + usize::from(offset),
                    },
                    _ => {
                        let at = OUT + usize::from(run.rows[m_tile]) + 8 * n_tile;
                        match store {
                            Store::Pairs => (at + n) * 2 + m,
                            Store::Columns => (at + n / 2 * 4 + m) * 2 + n % 2,
                            _ => (at + m * stage.row_stride as usize) * 2 + n,
                        }
                    }
                };
                let old = halves(memory[half / 2])[half % 2];
                let new = if store.adds() { old + value } else { value };
                let new = new.clamp(-32_768, 32_767) as i16 as u16;
                let keep = if half % 2 == 0 { 0xFFFF_0000 } else { 0xFFFF };
                memory[half / 2] = memory[half / 2] & keep | u32::from(new) << (half % 2 * 16);
            }
        }
    }
    memory
}

#[test]
fn contractions_are_those_of_the_definition() {
    let mut noise = Noise(7);
    for index in (0..4 * CONTRACTIONS).step_by(STEP) {
        contraction(index, &mut noise, |run, memory| {
            let wanted = reference(run, memory);
            portable::contract(run, memory);
            assert_eq!(
                memory, wanted,
                "{index}: {:?} {:?}",
                run.stage, run.accumulate
            );
        });
    }
}

#[test]
fn dense_products_are_those_of_the_definition() {
    let mut noise = Noise(8);
    for index in (0..4 * OTHERS).step_by(STEP) {
        dense(index, &mut noise, |rows, x, scales, z| {
            let before = z.to_vec();
            portable::dense_add(rows, x, scales, z);
            for (row, &scale) in scales.iter().enumerate() {
                let words = &rows.weights[row / 2 * rows.k_pairs..][..rows.k_pairs];
                let sum: i64 = words
                    .iter()
                    .zip(x)
                    .map(|(&w, &x)| {
                        let weight = |lane: i64| {
                            let low = i64::from(lane as i8);
                            if row % 2 == 1 {
                                low
                            } else {
                                (lane - low) / 256
                            }
                        };
                        let (w, x) = (halves(w), halves(x));
                        weight(w[0]) * x[0] + weight(w[1]) * x[1]
                    })
                    .sum();
                let share = (sum * i64::from(scale) + (1 << 31)) >> 32;
                let wanted = (halves(before[row / 2])[row % 2] + share).clamp(-32_768, 32_767);
                assert_eq!(halves(z[row / 2])[row % 2], wanted, "{index} row {row}");
            }
        });
    }
}

/// Weights found by their places, the sum by i64.
#[test]
fn products_of_rows_of_bytes_are_those_of_the_definition() {
    let mut noise = Noise(10);
    let mut lengths = std::collections::BTreeSet::new();
    // A length comes again after 73 cases.
    for index in (0..4 * OTHERS).step_by(STEP.min(5)) {
        bytes(index, &mut noise, |rows, x, scales, z| {
            let (before, values) = (z.to_vec(), x.to_vec());
            lengths.insert(rows.k_pairs);
            portable::bytes_add(rows, x, scales, z);
            assert_eq!(x, values);
            let weights: &[i8] = bytemuck::cast_slice(rows.weights);
            let x: &[i16] = bytemuck::cast_slice(x);
            for (row, &scale) in scales.iter().enumerate() {
                let weight = |k| i64::from(weights[ByteRows::byte(rows.k_pairs, row, k)]);
                let of_bytes: i64 = (0..x.len()).map(weight).sum();
                assert_eq!(i64::from(rows.sums[row] as i32), 128 * of_bytes);
                let products = x.iter().enumerate();
                let sum: i64 = products.map(|(k, &x)| weight(k) * i64::from(x)).sum();
                let share = (sum * i64::from(scale) + (1 << 31)) >> 32;
                let wanted = (halves(before[row / 2])[row % 2] + share).clamp(-32_768, 32_767);
                assert_eq!(halves(z[row / 2])[row % 2], wanted, "{index} row {row}");
            }
        });
    }
    assert_eq!(
        lengths,
        (ByteRows::BLOCK / 2..=BYTE_PAIRS_MAX).collect(),
        "first blocks of every length"
    );
}

#[test]
fn every_weight_of_rows_of_bytes_has_a_place_of_its_own() {
    for k_pairs in [8, 9, 15, 16, 20, 128] {
        let words = 2 * ByteRows::blocks(k_pairs) * ByteRows::BLOCK_WORDS;
        let mut taken = vec![false; 4 * words];
        for (row, k) in (0..8).flat_map(|row| (0..2 * k_pairs).map(move |k| (row, k))) {
            let place = &mut taken[ByteRows::byte(k_pairs, row, k)];
            assert!(!std::mem::replace(place, true), "{k_pairs}: {row}, {k}");
        }
    }
}

#[test]
fn heads_are_those_of_the_definition() {
    let mut noise = Noise(10);
    for index in (0..4 * OTHERS).step_by(STEP) {
        head(index, &mut noise, |rows, x, sums| {
            let before = sums.to_vec();
            portable::head_add(rows, x, sums);
            for (row, (&sum, &before)) in sums.iter().zip(&before).enumerate() {
                let weights = &rows.weights[row * rows.stride..][..rows.values];
                let values = x.iter().flat_map(|&word| halves(word));
                let products = weights.iter().zip(values).map(|(&w, x)| i64::from(w) * x);
                let wanted = i64::from(before) + products.sum::<i64>();
                assert_eq!(i64::from(sum), wanted, "{index} row {row}");
            }
        });
    }
}

#[test]
fn values_go_to_the_places_of_a_table() {
    let table: Vec<u16> = (0..100).map(|at| at * 37 % 101).collect();
    let mut panels = [0i16; 101];
    let values: Vec<u8> = (0..100).collect();
    u8::to_places(&mut panels, &table, &values);
    for (at, &place) in table.iter().enumerate() {
        assert_eq!(panels[usize::from(place)], (at as i16) << 7);
    }
    assert_eq!(panels.iter().filter(|&&value| value == 0).count(), 2);
}

/// A slab of two groups of rows side by side, in pieces that end anywhere.
#[test]
fn rows_that_share_words_are_found_and_gathered() {
    for (groups, rows, row) in [(2, 20, 18), (1, 6, 4), (3, 2, 7), (2, 4, 3), (2, 5, 8)] {
        let pairs = k_pairs(rows);
        let place = |v: usize| {
            let (group, row_of, column) = (v / (rows * row), v / row % rows, v % row);
            panel::half(pairs, row_of, group * row + column) as u16
        };
        let table: Vec<u16> = (0..groups * rows * row).map(place).collect();
        let record = ProgramRecord {
            slab_values: table.len() as u32,
            ..ProgramRecord::zeroed()
        };
        let found = record.paired_row(&table);
        // Rows of fewer than four values and odd numbers of rows are not worth it.
        assert_eq!(found, if row < 4 || rows % 2 == 1 { 0 } else { row });
        for at in (0..table.len()).step_by(STEP) {
            let mut other = table.clone();
            other.swap(at, (at + 1) % table.len());
            assert_eq!(record.paired_row(&other), 0, "{at}");
        }
        let values: Vec<u8> = (0..table.len()).map(|v| (v * 37 % 256) as u8).collect();
        for first in (0..=values.len()).step_by(STEP) {
            let mut memory = vec![0; panel::words(groups * row, pairs)];
            for (from, piece) in [(0, &values[..first]), (first, &values[first..])] {
                gather_places(&mut memory, &table[from..], (found, from), piece);
            }
            for (&place, &value) in table.iter().zip(&values) {
                let word = memory[usize::from(place) / 2];
                assert_eq!(halves(word)[usize::from(place) % 2], i64::from(value) << 7);
            }
        }
    }
}

#[test]
fn words_are_cleared_and_copied() {
    let mut noise = Noise(9);
    for _ in (0..OTHERS).step_by(STEP) {
        words(&mut noise, |cleared, to, from| {
            let before = to.to_vec();
            portable::clear(cleared);
            portable::copy(to, from);
            assert!(cleared.iter().all(|&word| word == 0));
            for (at, &word) in to.iter().enumerate() {
                assert_eq!(word, *from.get(at).unwrap_or(&before[at]));
            }
        });
    }
}

#[test]
fn rows_are_gathered_in_pair_order() {
    for row_values in 1..=PAIRS_MAX {
        let values: Vec<u8> = (0..5 * row_values).map(|v| (v * 37 % 256) as u8).collect();
        for first in (0..=values.len()).step_by(STEP) {
            let mut panels = [0; 2 * PAIRS_MAX * 4];
            gather_rows(&mut panels, row_values, 0, &values[..first]);
            gather_rows(&mut panels, row_values, first, &values[first..]);
            for (v, &value) in values.iter().enumerate() {
                let (row, k) = (v / row_values, v % row_values);
                let k = crate::program::panel::pair_order(k, row_values);
                let word = (row / 4 * row_values.div_ceil(2) + k / 2) * 4 + row % 4;
                assert_eq!(halves(panels[word])[k % 2], i64::from(value) << 7);
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "thousands of cases, which took Miri hours")]
fn the_digest_is_the_one_that_chips_must_give() {
    assert_eq!(portable_digest(), DIGEST);
    assert_eq!(digest(), DIGEST);
}
