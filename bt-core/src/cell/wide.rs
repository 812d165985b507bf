//! The cell with fewer fraction bits in c, for models whose cell state goes beyond ±128.
//!
//! With n fraction bits, 16 to 24, a unit does what the parent module says, but for
//!
//! | step | format | rounding |
//! |---|---|---|
//! | p = (i·g) >> (31 − n) | Q0.30 → n − 1 fraction bits | down |
//! | s = p + ((c·f) >> 16) | n − 1 fraction bits | down |
//! | c' = 2·s, saturated | n fraction bits | exact below ±2^(31 − n) |
//! | h' = (o·tanh(c') + 2^14) >> 15 | Q0.15 | nearest |
//!
//! The smallest input that still counts is i·g = 2^−(n − 1), and with f at its largest, 1−2⁻¹⁵, c
//! forgets at least one step of 2^−(n − 1) a time while |c| > 2^(16 − n). 24 bits give the bits of the
//! parent module. One loop in portable Rust serves every core, made for small code rather than speed: such
//! models are rare.

use super::{Gate, Units};
use crate::nonlinearity;
use crate::q::multiply_shift_16;

/// [`super::update`] for c of `fraction` fraction bits, 16 ..= 24.
///
/// ```
/// use bt_core::internals::cell::{Gate, Units, wide};
/// let z = [16_384, 32_767, 16_384, 16_384]; // candidate at 1, nothing forgotten
/// let (mut c, mut h) = ([0], [0]);
/// for _ in 0..1000 {
///     wide::update(Gate::Sigmoid, 20, Units::new(&z, &mut c, &mut h).unwrap()); // Q11.20
/// }
/// assert!((970..1000).contains(&(c[0] >> 20))); // Q7.24 ends at 128
/// ```
pub fn update(gate: Gate, fraction: u32, Units { z, c, h }: Units<'_>) {
    let open = |z: i16| opened(gate, z);
    let missing = 24u32.saturating_sub(fraction);
    let (z_if, z_go) = z.split_at(z.len() / 2);
    let (z_i, z_f) = z_if.split_at(z_if.len() / 2);
    let (z_g, z_o) = z_go.split_at(z_go.len() / 2);
    let gates = z_i.iter().zip(z_f).zip(z_g).zip(z_o);
    for ((((&z_i, &z_f), &z_g), &z_o), (c, h)) in gates.zip(c.iter_mut().zip(h)) {
        let candidate = nonlinearity::tanh_high(z_g) >> 16;
        let added = (open(z_i) * candidate) >> (7 + missing);
        let kept = multiply_shift_16(*c, open(z_f) as i16);
        let state = added + kept;
        *c = state.saturating_add(state);

        let squashed = nonlinearity::tanh_of_wide_cell_high(*c, missing) >> 16;
        *h = ((open(z_o) * squashed + (1 << 14)) >> 15) as i16;
    }
}

/// A gate's value, Q0.15.
// Three times in the loop: small code before fast code, for models that are rare.
#[inline(never)]
fn opened(gate: Gate, z: i16) -> i32 {
    match gate {
        Gate::Sigmoid => nonlinearity::sigmoid_high(z) >> 16,
        Gate::HardSigmoid => nonlinearity::hard_sigmoid_high(z) >> 16,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{cases, portable};
    use super::*;
    use crate::cases::Noise;

    /// All fraction bits: the list of cases of the cell proper, to the bit.
    #[test]
    fn with_all_bits_it_is_the_cell() {
        let all = |gate, units: Units<'_>| update(gate, 24, units);
        assert_eq!(cases::digest(all), cases::DIGEST);
    }

    /// Fewer bits against the steps of the table above in i64, over the whole range of c.
    #[test]
    fn fewer_bits_are_the_same_steps() {
        let mut noise = Noise(0x0bad_cafe);
        for fraction in 16..=24 {
            for gate in [Gate::Sigmoid, Gate::HardSigmoid] {
                for _ in 0..2000 {
                    let z: [i16; 4] = core::array::from_fn(|_| (noise.next() >> 16) as i16);
                    let before = noise.next() as i32 >> (noise.next() % 24);
                    let (mut c, mut h) = ([before], [0]);
                    let units = Units::new(&z, &mut c, &mut h).unwrap();
                    update(gate, fraction, units);
                    let open = |z: i16| {
                        i64::from(match gate {
                            Gate::Sigmoid => nonlinearity::sigmoid(z),
                            Gate::HardSigmoid => nonlinearity::hard_sigmoid(z),
                        })
                    };
                    let input = open(z[0]) * i64::from(nonlinearity::tanh(z[2]));
                    let sum = (input >> (31 - fraction)) + ((i64::from(before) * open(z[1])) >> 16);
                    let wanted = (2 * sum).clamp(i32::MIN.into(), i32::MAX.into());
                    assert_eq!(i64::from(c[0]), wanted, "{fraction} {z:?} {before}");
                    // The cell proper reads tanh of the same value in Q7.24.
                    let same = i32::try_from(wanted << (24 - fraction)).unwrap_or(if wanted < 0 {
                        i32::MIN
                    } else {
                        i32::MAX
                    });
                    let squashed = i64::from(nonlinearity::tanh_of_cell_high(same) >> 16);
                    let wanted = (open(z[3]) * squashed + (1 << 14)) >> 15;
                    assert_eq!(i64::from(h[0]), wanted, "{fraction} {z:?} {before}");
                }
            }
        }
    }

    /// Up by i·g = 1 for 20,000 steps: as the float cell with the device's own f, where Q7.24 stops.
    #[test]
    fn counts_far_beyond_128() {
        let z = [32_767, 32_767, 32_767, 32_767];
        let (mut c, mut h, mut exact) = ([0], [0], 0f64);
        let one = f64::from(nonlinearity::sigmoid(32_767)) / 32_768.0;
        for _ in 0..20_000 {
            update(Gate::Sigmoid, 16, Units::new(&z, &mut c, &mut h).unwrap());
            exact = one * exact + one * one;
        }
        let found = f64::from(c[0]) / f64::from(1 << 16);
        // Twice rounded down by 2⁻¹⁵ a step.
        assert!(exact > 14_900.0 && (exact - found) < 20_000.0 / 16_384.0 && found < exact);
        let mut narrow = [0];
        for _ in 0..20_000 {
            portable(Gate::Sigmoid, Units::new(&z, &mut narrow, &mut h).unwrap());
        }
        assert!(narrow[0] >> 24 == 127);
    }
}
