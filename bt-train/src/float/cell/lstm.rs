//! The LSTM, gates in the order i, f, g, o.
//!
//! ```text
//! c' = σ(z_f)·c + σ(z_i)·tanh(z_g)        h' = σ(z_o)·tanh(c')
//! ```

use super::{gate, gates, hard_sigmoid, hard_sigmoid_slope, sigmoid_slope};
use crate::float::real::Real;
use crate::shape::Gate;

/// Gates' values [4·J] from pre-activations, in place: what [`forward`] leaves in `z`.
#[inline(always)]
pub fn activate<T: Real>(kind: Gate, z: &mut [T]) {
    let units = z.len() / 4;
    for (at, z) in z.iter_mut().enumerate() {
        *z = if at / units == 2 {
            z.squash()
        } else {
            gate(kind, *z)
        };
    }
}

/// One row's step. `z` [4·J] holds pre-activations and is left holding the
/// gates' values, which [`backward`] wants; `c` `[J]` is the state after the
/// previous step and becomes the new one; `h` `[J]` is overwritten.
#[inline(always)]
pub fn forward<T: Real>(kind: Gate, z: &mut [T], c: &mut [T], h: &mut [T]) {
    // One loop per kind, so that each is straight code for the vectoriser.
    match kind {
        Gate::Sigmoid => forward_with(T::sigmoid, z, c, h),
        Gate::HardSigmoid => forward_with(hard_sigmoid, z, c, h),
    }
}

#[inline(always)]
fn forward_with<T: Real>(gate: impl Fn(T) -> T, z: &mut [T], c: &mut [T], h: &mut [T]) {
    let units = c.len();
    let [input, forget, candidate, output] = gates(z, units);
    let h = &mut h[..units];
    for j in 0..units {
        input[j] = gate(input[j]);
        forget[j] = gate(forget[j]);
        candidate[j] = candidate[j].squash();
        output[j] = gate(output[j]);
        c[j] = forget[j] * c[j] + input[j] * candidate[j];
        h[j] = output[j] * c[j].squash();
    }
}

/// One row's step back. `row` [4·J] are the values [`forward`] left; they
/// become the gradient of the pre-activations. `c_before` and `c` are the
/// states around the step, `dh` the gradient of h', and `dc` turns from the
/// gradient of c' that later steps left into that of c.
#[inline(always)]
pub fn backward<T: Real>(
    kind: Gate,
    row: &mut [T],
    c_before: &[T],
    c: &[T],
    dh: &[T],
    dc: &mut [T],
) {
    match kind {
        Gate::Sigmoid => backward_with(sigmoid_slope, row, c_before, c, dh, dc),
        Gate::HardSigmoid => backward_with(hard_sigmoid_slope, row, c_before, c, dh, dc),
    }
}

/// `slope` is the gate's derivative, from its value.
#[inline(always)]
fn backward_with<T: Real>(
    slope: impl Fn(T) -> T,
    row: &mut [T],
    c_before: &[T],
    c: &[T],
    dh: &[T],
    dc: &mut [T],
) {
    let one = T::one();
    let units = c.len();
    let [input, forget, candidate, output] = gates(row, units);
    let (c_before, dh, dc) = (&c_before[..units], &dh[..units], &mut dc[..units]);
    for j in 0..units {
        let squashed = c[j].squash();
        let (i, f, g, o) = (input[j], forget[j], candidate[j], output[j]);
        let dc_total = dc[j] + dh[j] * o * (one - squashed * squashed);
        output[j] = dh[j] * squashed * slope(o);
        input[j] = dc_total * g * slope(i);
        forget[j] = dc_total * c_before[j] * slope(f);
        candidate[j] = dc_total * i * (one - g * g);
        dc[j] = dc_total * f;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One unit by hand: z = (0, 0, atanh ½, 0), c = 1 → every gate ½,
    /// c' = ½·1 + ½·½ = 0.75, h' = ½·tanh 0.75.
    #[test]
    fn one_unit_by_hand() {
        for kind in [Gate::Sigmoid, Gate::HardSigmoid] {
            let mut z = [0.0, 0.0, 0.5f64.atanh(), 0.0];
            let (mut c, mut h) = ([1.0f64], [0.0]);
            forward(kind, &mut z, &mut c, &mut h);
            assert!((c[0] - 0.75).abs() < 1e-15);
            assert!((h[0] - 0.5 * 0.75f64.tanh()).abs() < 1e-15);
        }
    }
}
