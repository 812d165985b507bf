//! The cell of a GRU, in the formulation of PyTorch: pre-activations in, the state updated in place.
//!
//! ```text
//! r = σ(x_r + u_r)    k = σ(x_k + u_k)    n = tanh(x_n + r·u_n)    h' = (1 − k)·n + k·h
//! ```
//!
//! x is what the frame comes to with its bias, u what the recurrent map makes of h, with a bias of its own
//! in the third gate: they are not added on the way, for r multiplies one of them. Gate order r, k, n, the
//! gate slowest (PyTorch calls the gate k, which keeps, «z»). In integers, a unit at a time:
//!
//! | step | format | rounding |
//! |---|---|---|
//! | r, k = σ(saturate(x + u)) | Q4.11 → Q0.15 | by its table |
//! | s = saturate(x_n + ((r·u_n + 2^14) >> 15)) | Q4.11 | nearest |
//! | n = tanh(s) | Q0.15 | by its table |
//! | c' = n + k·(c − n) | Q2.29 | down, by less than 2 |
//! | h' = saturate((c' + 2^13) >> 14) | Q0.15 | nearest |
//!
//! The state c holds h with 14 bits more, so that a gate k close to 1 does not stall in rounding: it comes
//! as near to n as 4 LSB of h, whatever k. Running time does not depend on the values.

use super::{Gate, blend, rounded};
use crate::nonlinearity;
use crate::q::saturate;

/// What a step of J units works on; made by [`Units::new`] alone, so its parts agree on J.
#[derive(Debug)]
pub struct Units<'a> {
    x: &'a [i16],
    u: &'a [i16],
    c: &'a mut [i32],
    h: &'a mut [i16],
}

impl<'a> Units<'a> {
    /// The frame's share `x` and the recurrent map's `u`, each \[3·J\] Q4.11, gate slowest in the order r,
    /// k, n; the state `c` \[J\] Q2.29; hidden state `h` \[J\] Q0.15; J ≥ 1. `None` when the lengths are
    /// others.
    #[inline]
    pub fn new(x: &'a [i16], u: &'a [i16], c: &'a mut [i32], h: &'a mut [i16]) -> Option<Self> {
        let values = 3 * c.len();
        let agree = x.len() == values && u.len() == values && h.len() == c.len() && !c.is_empty();
        agree.then_some(Self { x, u, c, h })
    }
}

/// One step: c and h of the units from their pre-activations.
///
/// Instructions a unit (QEMU, J = 128): about 80 on an M4.
///
/// ```
/// use bt_core::internals::cell::{Gate, gru};
/// let (x, u) = ([-32_768, -32_768, 16_384], [0; 3]); // nothing kept, candidate at 1
/// let (mut c, mut h) = ([0], [0]);
/// gru::update(Gate::Sigmoid, gru::Units::new(&x, &u, &mut c, &mut h).unwrap());
/// assert!(h[0] > 32_760);
/// ```
pub fn update(gate: Gate, Units { x, u, c, h }: Units<'_>) {
    match gate {
        Gate::Sigmoid => update_with(nonlinearity::sigmoid_high, x, u, c, h),
        Gate::HardSigmoid => update_with(nonlinearity::hard_sigmoid_high, x, u, c, h),
    }
}

/// [`update`] for one gate function, which gives Q0.15 in the top half.
#[inline(never)]
fn update_with(gate: impl Fn(i16) -> i32, x: &[i16], u: &[i16], c: &mut [i32], h: &mut [i16]) {
    let [x_r, x_k, x_n] = thirds(x);
    let [u_r, u_k, u_n] = thirds(u);
    let sums = |x: i16, u: i16| x.saturating_add(u);
    let resets = x_r.iter().zip(u_r).map(|(&x, &u)| sums(x, u));
    let keeps = x_k.iter().zip(u_k).map(|(&x, &u)| sums(x, u));
    let candidates = x_n.iter().zip(u_n);
    let gates = resets.zip(keeps).zip(candidates);
    for (((reset, keep), (&x_n, &u_n)), (c, h)) in gates.zip(c.iter_mut().zip(h)) {
        let reset = gate(reset) >> 16;
        let keep = (gate(keep) >> 16) as i16;
        let back = (reset * i32::from(u_n) + (1 << 14)) >> 15;
        let sum = saturate(i32::from(x_n) + back);
        let candidate = nonlinearity::tanh_high(sum) >> 16;
        *c = blend(candidate << 14, *c, keep);
        *h = rounded(*c);
    }
}

/// The values of each gate; [`Units`] has as many of one as of another.
fn thirds(values: &[i16]) -> [&[i16]; 3] {
    let (reset, rest) = values.split_at(values.len() / 3);
    let (keep, new) = rest.split_at(rest.len() / 2);
    [reset, keep, new]
}

#[cfg(test)]
mod tests {
    use super::super::cases;
    use super::*;
    use crate::cases::Noise;

    const LSB: f64 = 1.0 / 32_768.0;

    #[test]
    fn gives_the_bits_of_the_released_one() {
        assert_eq!(cases::gru_digest(update), cases::GRU_DIGEST);
    }

    fn gate_exact(gate: Gate, x: f64) -> f64 {
        match gate {
            Gate::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Gate::HardSigmoid => (0.2 * x + 0.5).clamp(0.0, 1.0),
        }
    }

    /// 31 units over 500 steps, shares from tiny to the whole range: the equations in f64, with a bound on
    /// how far the integers may be off.
    #[test]
    fn follows_the_equations() {
        const J: usize = 31;
        let mut noise = Noise(0x00c0_ffee);
        let (gate_error, tanh_error) = (1.43 * LSB, 1.99 * LSB);
        for gate in [Gate::Sigmoid, Gate::HardSigmoid] {
            for spread_bits in [8, 11, 13, 15] {
                let (mut c, mut h) = ([0; J], [0; J]);
                let mut exact = [(0.0f64, 0.0f64); J];
                for _ in 0..500 {
                    let mut draw = || -> [i16; 3 * J] {
                        core::array::from_fn(|_| (noise.next() as i32 >> (32 - spread_bits)) as i16)
                    };
                    let (x, u) = (draw(), draw());
                    update(gate, Units::new(&x, &u, &mut c, &mut h).unwrap());
                    let real = |z: i16| f64::from(z) / 2048.0;
                    for (j, (value, error)) in exact.iter_mut().enumerate() {
                        let at = |k: usize| (real(x[k * J + j]), real(u[k * J + j]));
                        let [(x_r, u_r), (x_k, u_k), (x_n, u_n)] = [at(0), at(1), at(2)];
                        let r = gate_exact(gate, (x_r + u_r).clamp(-16.0, 16.0));
                        let k = gate_exact(gate, (x_k + u_k).clamp(-16.0, 16.0));
                        let n = (x_n + r * u_n).tanh();
                        // r's error and half an LSB of Q4.11 reach n by tanh, whose slope is at most 1.
                        let n_error = u_n.abs() * gate_error + 0.5 / 2048.0 + tanh_error;
                        let before = (*value - n).abs() + *error + n_error;
                        *error = k * *error + (1.0 - k) * n_error + before * gate_error + 4.0e-9;
                        *value = (1.0 - k) * n + k * *value;
                        let found = f64::from(c[j]) / f64::from(1 << 29);
                        assert!((found - *value).abs() <= *error, "{found} {value} ±{error}");
                        assert!((f64::from(h[j]) * LSB - found).abs() <= 0.5001 * LSB);
                    }
                }
            }
        }
    }

    /// With k at its largest for a million steps, h comes to the candidate from both sides and stays.
    #[test]
    fn long_streams_do_not_stall() {
        for (start, x_n) in [
            (-(1 << 29), 32_767),
            (1 << 29, -32_768),
            (-(1 << 29), 0),
            (1 << 29, 0),
        ] {
            let (mut c, mut h) = ([start], [0]);
            for _ in 0..1_000_000 {
                let x = [0, 32_767, x_n];
                let units = Units::new(&x, &[0; 3], &mut c, &mut h).unwrap();
                update(Gate::HardSigmoid, units);
            }
            let wanted = i32::from(nonlinearity::tanh(x_n));
            assert!(
                (i32::from(h[0]) - wanted).abs() <= 4,
                "{start} {x_n} → {}",
                h[0]
            );
            assert!(super::super::STATE.contains(&c[0]));
        }
    }

    #[test]
    fn lengths_agree() {
        let (mut c, mut h) = ([0; 2], [0; 2]);
        let z = [0; 8];
        for (x, u) in [(5, 6), (6, 5), (6, 8), (8, 6)] {
            assert!(Units::new(&z[..x], &z[..u], &mut c, &mut h).is_none());
        }
        assert!(Units::new(&z[..6], &z[..6], &mut c, &mut h[..1]).is_none());
        assert!(Units::new(&[], &[], &mut [], &mut []).is_none());
        assert!(Units::new(&z[..6], &z[..6], &mut c, &mut h).is_some());
    }
}
