//! The cell of a minGRU (arXiv 2410.01201), which has no recurrent map: the gates read the frame alone.
//!
//! ```text
//! h' = (1 − σ(z_a))·h + σ(z_a)·z_v
//! ```
//!
//! a is the gate that adds, v the value, which is linear: h is a mean of values that have been, and lies
//! in −16 ..< 16 because they do. Order a, v, the gate slowest. In integers, a unit at a time:
//!
//! | step | format | rounding |
//! |---|---|---|
//! | a = σ(z_a) | Q4.11 → Q0.15 | by its table |
//! | c' = c + a·(v − c) | Q6.25 | down, by less than 2 |
//! | h' = saturate((c' + 2^13) >> 14) | Q4.11 | nearest |
//!
//! The state c holds h with 14 bits more, so that a gate close to 0 does not stall in rounding: it comes as
//! near to v as 4 LSB of h. Running time does not depend on the values.

use super::{Gate, blend, rounded};
use crate::nonlinearity;

/// What a step of J units works on: `z` \[2·J\] Q4.11 in the order a, v; the state `c` \[J\] Q6.25; hidden
/// state `h` \[J\] Q4.11.
pub type Units<'a> = super::UnitsOf<'a, 2>;

/// One step: c and h of the units from their z.
///
/// Instructions a unit (QEMU, J = 128): below 30 on an M4.
///
/// ```
/// use bt_core::internals::cell::{Gate, min_gru};
/// let z = [32_767, 2048]; // all new, and that is 1
/// let (mut c, mut h) = ([0], [0]);
/// min_gru::update(Gate::Sigmoid, min_gru::Units::new(&z, &mut c, &mut h).unwrap());
/// assert_eq!(h[0], 2048);
/// ```
pub fn update(gate: Gate, Units { z, c, h }: Units<'_>) {
    match gate {
        Gate::Sigmoid => update_with(nonlinearity::sigmoid_high, z, c, h),
        Gate::HardSigmoid => update_with(nonlinearity::hard_sigmoid_high, z, c, h),
    }
}

/// [`update`] for one gate function, which gives Q0.15 in the top half.
#[inline(never)]
fn update_with(gate: impl Fn(i16) -> i32, z: &[i16], c: &mut [i32], h: &mut [i16]) {
    let (z_a, z_v) = z.split_at(z.len() / 2);
    for ((&z_a, &z_v), (c, h)) in z_a.iter().zip(z_v).zip(c.iter_mut().zip(h)) {
        let added = (gate(z_a) >> 16) as i16;
        *c = blend(*c, i32::from(z_v) << 14, added);
        *h = rounded(*c);
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases;
    use super::*;
    use crate::cases::Noise;

    #[test]
    fn gives_the_bits_of_the_released_one() {
        assert_eq!(cases::min_gru_digest(update), cases::MIN_GRU_DIGEST);
    }

    /// 31 units over 500 steps against the equations in f64.
    #[test]
    fn follows_the_equations() {
        const J: usize = 31;
        const GATE_ERROR: f64 = 1.43 / 32_768.0;
        let mut noise = Noise(0x0dd_ba11);
        for gate in [Gate::Sigmoid, Gate::HardSigmoid] {
            for spread_bits in [8, 11, 13, 15, 16] {
                let (mut c, mut h) = ([0; J], [0; J]);
                let mut exact = [(0.0f64, 0.0f64); J];
                for _ in 0..500 {
                    let z: [i16; 2 * J] = core::array::from_fn(|_| {
                        (noise.next() as i32 >> (32 - spread_bits)) as i16
                    });
                    update(gate, Units::new(&z, &mut c, &mut h).unwrap());
                    for (j, (value, error)) in exact.iter_mut().enumerate() {
                        let (x, v) = (f64::from(z[j]) / 2048.0, f64::from(z[J + j]) / 2048.0);
                        let a = match gate {
                            Gate::Sigmoid => 1.0 / (1.0 + (-x).exp()),
                            Gate::HardSigmoid => (0.2 * x + 0.5).clamp(0.0, 1.0),
                        };
                        let step = 2.0 / f64::from(1 << 25);
                        let distance = (v - *value).abs() + *error;
                        *error = (1.0 - a) * *error + distance * GATE_ERROR + step;
                        *value += a * (v - *value);
                        let found = f64::from(c[j]) / f64::from(1 << 25);
                        assert!((found - *value).abs() <= *error, "{found} {value} ±{error}");
                        let read = f64::from(h[j]) / 2048.0;
                        assert!((read - found).abs() <= 0.5001 / 2048.0);
                    }
                }
            }
        }
    }

    /// With a at the smallest that is not 0 for a million steps.
    #[test]
    fn long_streams_do_not_stall() {
        let mut all = i16::MIN..=i16::MAX;
        let least = all.find(|&z| nonlinearity::sigmoid(z) == 1).unwrap();
        for (start, v) in [
            (-(1 << 29), 32_767),
            (1 << 29, -32_768),
            (0, 5),
            (1 << 20, 0),
        ] {
            let (mut c, mut h) = ([start], [0]);
            for _ in 0..1_000_000 {
                let units = [least, v];
                update(Gate::Sigmoid, Units::new(&units, &mut c, &mut h).unwrap());
            }
            assert!(
                (i32::from(h[0]) - i32::from(v)).abs() <= 4,
                "{start} {v} → {}",
                h[0]
            );
            assert!(super::super::STATE.contains(&c[0]));
        }
    }

    #[test]
    fn lengths_agree() {
        let (mut c, mut h) = ([0; 2], [0; 2]);
        for z in [2, 3, 5, 8] {
            assert!(Units::new(&[0; 8][..z], &mut c, &mut h).is_none());
        }
        assert!(Units::new(&[0; 4], &mut c, &mut h[..1]).is_none());
        assert!(Units::new(&[], &mut [], &mut []).is_none());
        assert!(Units::new(&[0; 4], &mut c, &mut h).is_some());
    }
}
