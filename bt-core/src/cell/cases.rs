//! What every implementation of the cell must give to the bit: the host's
//! tests and a program on the chip run the same list.

use super::{Gate, STATE, Units, gru, min_gru};
use crate::cases::{Digest, Noise};

/// The digest of the right results. It changes only with the model file's
/// version.
pub const DIGEST: u32 = 0x387f_65f4;

/// Largest number of units in the list.
const UNITS_MAX: usize = 33;

/// Runs `update` over 1 to 33 units, odd and even, both gates, eight steps
/// each from noise over the whole range of every value, its ends among it,
/// and folds all results into one number.
pub fn digest(update: fn(Gate, Units<'_>)) -> u32 {
    let mut digest = Digest::new();
    let mut noise = Noise(0x2545_f491);
    let mut z = [0; 4 * UNITS_MAX];
    let (mut c, mut h) = ([0; UNITS_MAX], [0; UNITS_MAX]);
    for gate in [Gate::Sigmoid, Gate::HardSigmoid] {
        for units in 1..=UNITS_MAX {
            let (Some(z), Some(c), Some(h)) = (
                z.get_mut(..4 * units),
                c.get_mut(..units),
                h.get_mut(..units),
            ) else {
                continue;
            };
            c.fill_with(|| value(&mut noise, i32::MIN, i32::MAX));
            for _ in 0..8 {
                z.fill_with(|| value(&mut noise, i16::MIN.into(), i16::MAX.into()) as i16);
                if let Some(units) = Units::new(z, c, h) {
                    update(gate, units);
                }
                c.iter().for_each(|&c| digest.add(c as u32));
                h.iter().for_each(|&h| digest.add(h as u32));
            }
        }
    }
    digest.value()
}

/// As [`DIGEST`], of the GRU.
pub const GRU_DIGEST: u32 = 0x88e2_f643;

/// As [`digest`], of the GRU.
pub fn gru_digest(update: fn(Gate, gru::Units<'_>)) -> u32 {
    let mut u = [0; 3 * UNITS_MAX];
    of_blends(0x51ed_270b, |gate, noise, z, c, h| {
        let Some(u) = u.get_mut(..3 * c.len()) else {
            return;
        };
        u.fill_with(|| value(noise, i16::MIN.into(), i16::MAX.into()) as i16);
        if let Some(units) = z.get(..u.len()).and_then(|z| gru::Units::new(z, u, c, h)) {
            update(gate, units);
        }
    })
}

/// As [`DIGEST`], of the minGRU.
pub const MIN_GRU_DIGEST: u32 = 0x92ef_9956;

/// As [`digest`], of the minGRU.
pub fn min_gru_digest(update: fn(Gate, min_gru::Units<'_>)) -> u32 {
    of_blends(0x3c6e_f372, |gate, _, z, c, h| {
        if let Some(units) = z
            .get(..2 * c.len())
            .and_then(|z| min_gru::Units::new(z, c, h))
        {
            update(gate, units);
        }
    })
}

/// The list of [`digest`] for a cell whose state keeps to [`STATE`]: `step` gets as many z as it may want.
fn of_blends(
    seed: u32,
    mut step: impl FnMut(Gate, &mut Noise, &[i16], &mut [i32], &mut [i16]),
) -> u32 {
    let mut digest = Digest::new();
    let mut noise = Noise(seed);
    let mut z = [0; 3 * UNITS_MAX];
    let (mut c, mut h) = ([0; UNITS_MAX], [0; UNITS_MAX]);
    for gate in [Gate::Sigmoid, Gate::HardSigmoid] {
        for units in 1..=UNITS_MAX {
            let (Some(c), Some(h)) = (c.get_mut(..units), h.get_mut(..units)) else {
                continue;
            };
            c.fill_with(|| {
                value(&mut noise, i32::MIN, i32::MAX).clamp(*STATE.start(), *STATE.end())
            });
            for _ in 0..8 {
                z.fill_with(|| value(&mut noise, i16::MIN.into(), i16::MAX.into()) as i16);
                step(gate, &mut noise, &z, c, h);
                c.iter().for_each(|&c| digest.add(c as u32));
                h.iter().for_each(|&h| digest.add(h as u32));
            }
        }
    }
    digest.value()
}

/// A value of `low ..= high` (the range of a type): one in eight is an end, one in four small, the
/// others anything.
fn value(noise: &mut Noise, low: i32, high: i32) -> i32 {
    let bits = noise.next();
    let value = bits as i32;
    match bits.wrapping_mul(0x9e37_79b9) >> 28 {
        0 => low,
        1 => high,
        2..=5 => value >> 20,
        _ => value >> high.leading_zeros().saturating_sub(1),
    }
}
