//! The LSTM, gates in the order i, f, g, o.
//!
//! ```text
//! c' = σ(z_f)·c + σ(z_i)·tanh(z_g)        h' = σ(z_o)·tanh(c')
//! ```

use super::{Function, gates};
use crate::float::real::Real;

/// Gates' values [4·J] from pre-activations, in place: what [`forward`] leaves in `z`.
#[inline(always)]
pub fn activate<G: Function, T: Real>(z: &mut [T]) {
    let units = z.len() / 4;
    for (at, z) in z.iter_mut().enumerate() {
        *z = if at / units == 2 {
            z.squash()
        } else {
            G::value(*z)
        };
    }
}

/// One row's step. `z` [4·J] holds pre-activations and is left holding the
/// gates' values, which [`backward`] wants; `c` `[J]` is the state after the
/// previous step and becomes the new one; `h` `[J]` is overwritten.
#[inline(always)]
pub fn forward<G: Function, T: Real>(z: &mut [T], c: &mut [T], h: &mut [T]) {
    let units = c.len();
    let [input, forget, candidate, output] = gates(z, units);
    let h = &mut h[..units];
    for j in 0..units {
        input[j] = G::value(input[j]);
        forget[j] = G::value(forget[j]);
        candidate[j] = candidate[j].squash();
        output[j] = G::value(output[j]);
        c[j] = forget[j] * c[j] + input[j] * candidate[j];
        h[j] = output[j] * c[j].squash();
    }
}

/// One row's step back. `row` [4·J] are the values [`forward`] left; they
/// become the gradient of the pre-activations. `c_before` and `c` are the
/// states around the step, `dh` the gradient of h', and `dc` turns from the
/// gradient of c' that later steps left into that of c.
#[inline(always)]
pub fn backward<G: Function, T: Real>(
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
        output[j] = dh[j] * squashed * G::slope(o);
        input[j] = dc_total * g * G::slope(i);
        forget[j] = dc_total * c_before[j] * G::slope(f);
        candidate[j] = dc_total * i * (one - g * g);
        dc[j] = dc_total * f;
    }
}

#[cfg(test)]
mod tests {
    use crate::float::cell::{Kind, Row};
    use crate::shape::{Cell, Gate};

    /// One unit by hand: z = (0, 0, atanh ½, 0), c = 1 → every gate ½,
    /// c' = ½·1 + ½·½ = 0.75, h' = ½·tanh 0.75.
    #[test]
    fn one_unit_by_hand() {
        for gate in [Gate::Sigmoid, Gate::HardSigmoid] {
            let cell = Cell::Lstm;
            let mut z = [0.0, 0.0, 0.5f64.atanh(), 0.0];
            let (mut c, mut h) = ([1.0f64], [0.0]);
            let row = Row {
                z: &mut z,
                apart: &mut [],
            };
            Kind { cell, gate }.forward(row, &mut c, &mut h);
            assert!((c[0] - 0.75).abs() < 1e-15);
            assert!((h[0] - 0.5 * 0.75f64.tanh()).abs() < 1e-15);
        }
    }
}
