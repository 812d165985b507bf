//! Cells: what moves the state on from the pre-activations of its gates, and the gradient of that.

mod gru;
mod lstm;
mod min_gru;

use crate::float::real::Real;
use crate::shape::{Cell, Gate};
use pulp::{Arch, NullaryFnOnce};

/// A cell and the function of its gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The cell.
    pub cell: Cell,
    /// The function.
    pub gate: Gate,
}

/// What a row of a layer works on: J units, G gates each.
#[derive(Debug)]
pub struct Row<'a, T> {
    /// [G·J]: pre-activations before the step, the gates' values after it, gradients of the pre-activations
    /// after the step back.
    pub z: &'a mut [T],
    /// [G·J] where the cell keeps the recurrent map's share apart, and then its gradient; otherwise empty.
    pub apart: &'a mut [T],
}

impl Kind {
    /// G.
    pub fn gates(self) -> usize {
        self.cell.device().gates()
    }

    /// Values of [`Row::apart`].
    pub fn apart_values(self, units: usize) -> usize {
        match self.cell.device().keeps_apart() {
            true => self.gates() * units,
            false => 0,
        }
    }

    /// Gates' values from pre-activations, in place: what [`forward`](Self::forward) leaves in `z`.
    pub fn activate<T: Real>(self, z: &mut [T], apart: &[T]) {
        self.pass(Activate { z, apart });
    }

    /// One row's step: the state `c` `[J]` after the previous step becomes the new one, `h` `[J]` is
    /// overwritten.
    pub fn forward<T: Real>(self, row: Row<'_, T>, c: &mut [T], h: &mut [T]) {
        self.pass(Forward { row, c, h });
    }

    /// One row's step back. `c_before` and `c` are the states around the step, `dh` the gradient of h', and
    /// `dc` turns from the gradient of c' that later steps left into that of c.
    pub fn backward<T: Real>(
        self,
        row: Row<'_, T>,
        c_before: &[T],
        c: &[T],
        dh: &[T],
        dc: &mut [T],
    ) {
        self.pass(Backward {
            row,
            c_before,
            c,
            dh,
            dc,
        });
    }

    fn pass(self, pass: impl Pass) {
        Arch::new().dispatch(Dispatched { kind: self, pass });
    }
}

/// What is done with a row, once the cell and the gates' function are known.
trait Pass {
    fn run<G: Function>(self, cell: Cell);
}

/// A pass, compiled for the widest registers that the processor has. The same operations one by one: the
/// same bits.
struct Dispatched<P> {
    kind: Kind,
    pass: P,
}

impl<P: Pass> NullaryFnOnce for Dispatched<P> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Kind { cell, gate } = self.kind;
        match gate {
            Gate::Sigmoid => self.pass.run::<Sigmoid>(cell),
            Gate::HardSigmoid => self.pass.run::<HardSigmoid>(cell),
        }
    }
}

/// [`Kind::activate`].
struct Activate<'a, T> {
    z: &'a mut [T],
    apart: &'a [T],
}

impl<T: Real> Pass for Activate<'_, T> {
    #[inline(always)]
    fn run<G: Function>(self, cell: Cell) {
        let Activate { z, apart } = self;
        match cell {
            Cell::Lstm => lstm::activate::<G, T>(z),
            Cell::Gru => gru::activate::<G, T>(z, apart),
            Cell::MinGru => min_gru::activate::<G, T>(z),
        }
    }
}

/// [`Kind::forward`].
struct Forward<'a, T> {
    row: Row<'a, T>,
    c: &'a mut [T],
    h: &'a mut [T],
}

impl<T: Real> Pass for Forward<'_, T> {
    #[inline(always)]
    fn run<G: Function>(self, cell: Cell) {
        let Forward { row, c, h } = self;
        match cell {
            Cell::Lstm => lstm::forward::<G, T>(row.z, c, h),
            Cell::Gru => gru::forward::<G, T>(row.z, row.apart, c, h),
            Cell::MinGru => min_gru::forward::<G, T>(row.z, c, h),
        }
    }
}

/// [`Kind::backward`].
struct Backward<'a, T> {
    row: Row<'a, T>,
    c_before: &'a [T],
    c: &'a [T],
    dh: &'a [T],
    dc: &'a mut [T],
}

impl<T: Real> Pass for Backward<'_, T> {
    #[inline(always)]
    fn run<G: Function>(self, cell: Cell) {
        let Backward {
            row,
            c_before,
            c,
            dh,
            dc,
        } = self;
        match cell {
            Cell::Lstm => lstm::backward::<G, T>(row.z, c_before, c, dh, dc),
            Cell::Gru => gru::backward::<G, T>(row.z, row.apart, c_before, dh, dc),
            Cell::MinGru => min_gru::backward::<G, T>(row.z, c_before, dh, dc),
        }
    }
}

/// The gates' nonlinearity. It is known where a loop is compiled, so that each is straight code for the vectoriser.
trait Function {
    fn value<T: Real>(z: T) -> T;

    /// Its derivative, from its value.
    fn slope<T: Real>(value: T) -> T;
}

struct Sigmoid;

impl Function for Sigmoid {
    #[inline(always)]
    fn value<T: Real>(z: T) -> T {
        z.sigmoid()
    }

    #[inline(always)]
    fn slope<T: Real>(value: T) -> T {
        value * (T::one() - value)
    }
}

struct HardSigmoid;

impl Function for HardSigmoid {
    #[inline(always)]
    fn value<T: Real>(z: T) -> T {
        (T::from_f64(0.2) * z + T::from_f64(0.5))
            .max(T::zero())
            .min(T::one())
    }

    #[inline(always)]
    fn slope<T: Real>(value: T) -> T {
        match value > T::zero() && value < T::one() {
            true => T::from_f64(0.2),
            false => T::zero(),
        }
    }
}

/// The parts of a row of G·J values that are each gate's.
#[inline(always)]
fn gates<const G: usize, T>(row: &mut [T], units: usize) -> [&mut [T]; G] {
    let mut rest = row;
    std::array::from_fn(|_| {
        let (gate, behind) = std::mem::take(&mut rest).split_at_mut(units);
        rest = behind;
        gate
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::map::check::noise;

    #[test]
    fn hard_sigmoid_is_keras() {
        let expected = [(-3.0, 0.0), (-2.5, 0.0), (0.0, 0.5), (1.0, 0.7), (9.0, 1.0)];
        for (z, y) in expected {
            assert!((HardSigmoid::value::<f64>(z) - y).abs() < 1e-15, "{z}");
        }
    }

    /// Central differences in f64: with a step of 1e-5 truncation and rounding
    /// both stay below 1e-9. The noise keeps clear of the hard sigmoid's kinks.
    #[test]
    fn gradient() {
        let units = 8;
        let cells = [Cell::Lstm, Cell::Gru, Cell::MinGru];
        let gates = [Gate::Sigmoid, Gate::HardSigmoid];
        for kind in cells
            .into_iter()
            .flat_map(|cell| gates.map(|gate| Kind { cell, gate }))
        {
            let (zs, aparts) = (kind.gates() * units, kind.apart_values(units));
            let values: Vec<f64> = noise(zs + aparts, 1).iter().map(|v| v * 1.6).collect();
            let c = noise(units, 2);
            let (wc, wh) = (noise(units, 3), noise(units, 4));
            let loss = |values: &[f64], c: &[f64]| {
                let (mut values, mut c, mut h) = (values.to_vec(), c.to_vec(), vec![0.0; units]);
                let (z, apart) = values.split_at_mut(zs);
                kind.forward(Row { z, apart }, &mut c, &mut h);
                let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                sum(&c, &wc) + sum(&h, &wh)
            };
            let (mut found, mut c_after, mut h) = (values.clone(), c.clone(), vec![0.0; units]);
            let (z, apart) = found.split_at_mut(zs);
            kind.forward(Row { z, apart }, &mut c_after, &mut h);
            let mut dc = wc.clone();
            let (z, apart) = found.split_at_mut(zs);
            kind.backward(Row { z, apart }, &c, &c_after, &wh, &mut dc);
            found.extend(dc);
            let step = 1e-5;
            for (at, found) in found.iter().enumerate() {
                let shifted = |by: f64| {
                    let (mut values, mut c) = (values.clone(), c.clone());
                    match values.get_mut(at) {
                        Some(value) => *value += by,
                        None => c[at - zs - aparts] += by,
                    }
                    loss(&values, &c)
                };
                let expected = (shifted(step) - shifted(-step)) / (2.0 * step);
                assert!(
                    (found - expected).abs() < 1e-8,
                    "{kind:?} {at}: {found} {expected}"
                );
            }
        }
    }
}
