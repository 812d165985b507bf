//! The LSTM cell: pre-activations z in, cell state c and hidden state h
//! updated in place.
//!
//! ```text
//! c' = σ(z_f)·c + σ(z_i)·tanh(z_g)        h' = σ(z_o)·tanh(c')
//! ```
//!
//! Gate order in z is i, f, g, o, the gate slowest (Keras calls the candidate
//! g «c»). In integers, a unit at a time:
//!
//! | step | format | rounding |
//! |---|---|---|
//! | i, f, g, o = σ or tanh of z | Q4.11 → Q0.15 | [`nonlinearity`] |
//! | p = (i·g) >> 7 | Q0.30 → Q8.23 | down |
//! | s = p + ((c·f) >> 16) | Q8.23 | down, as SMULWB does |
//! | c' = 2·s, saturated | Q7.24 | exact below ±128 |
//! | h' = (o·tanh(c') + 2^14) >> 15 | Q0.15 | nearest |
//!
//! Unbounded streams do not stall: with f at its largest, 1−2⁻¹⁵, c forgets
//! at least one step of 2⁻²³ a time while |c| > 2⁻⁸ (a positive c down to 0),
//! and an input as small as i·g = 2⁻²³ still counts. Rounding down twice shifts c
//! by at most 2⁻²³/(1−f), which the error of f itself (1.43 LSB of Q0.15) hides.
//! From c = 0 and g = 0, c and h stay 0.
//!
//! A cell that counts beyond ±128 has fewer fraction bits, see [`wide`].
//!
//! The running time does not depend on the values: no branch, no early end.
//!
//! Beside it stand two others, [`gru`] and [`min_gru`].

#[cfg(all(bt_kernel = "armv7em", not(bt_kernel = "helium")))]
mod armv7em;
pub mod cases;
pub mod gru;
#[cfg(bt_kernel = "helium")]
mod helium;
pub mod min_gru;
pub mod wide;

use crate::nonlinearity;
use crate::numbered::numbered;
use crate::q::{multiply_shift_16, round_shift_saturate};

numbered! {
    /// What moves the state on, from one step to the next.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    pub enum Cell: u32 {
        /// Long short-term memory: gates i, f, g, o.
        Lstm = 0,
        /// PyTorch's gated recurrent unit: gates r, k, n.
        Gru = 1,
        /// minGRU, without a recurrent map: gates a, v.
        MinGru = 2,
    }
}

impl Cell {
    /// Gates: a map gives a pre-activation of each for every unit.
    pub const fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
            Self::MinGru => 2,
        }
    }

    /// Whether there is a map from h.
    pub const fn is_recurrent(self) -> bool {
        !matches!(self, Self::MinGru)
    }

    /// Whether what the recurrent map gives is kept apart from z, with a bias of its own in the last gate.
    pub const fn keeps_apart(self) -> bool {
        matches!(self, Self::Gru)
    }

    /// Fraction bits of h: Q0.15 where it is a product of gates, Q4.11 where it is a mean of values.
    pub const fn hidden_fraction(self) -> u32 {
        match self {
            Self::Lstm | Self::Gru => 15,
            Self::MinGru => 11,
        }
    }

    /// Fraction bits of the state c where the cell says how many; those of the LSTM are the model's.
    pub const fn state_fraction(self) -> Option<u32> {
        match self {
            Self::Lstm => None,
            Self::Gru | Self::MinGru => Some(self.hidden_fraction() + 14),
        }
    }
}

/// What c of a cell that [`blend`]s can be: 14 bits more than an i16, and what rounding down leaves below.
pub(crate) const STATE: core::ops::RangeInclusive<i32> = -(1 << 29) - (1 << 16)..=1 << 29;

/// from + weight·(to − from), weight Q0.15 and not negative; both in [`STATE`], and so is the result.
///
/// Rounded down by less than 2. Where the weight is w, what is left of a distance d after a step is at most
/// (1 − w)·|d| + 2: it ends at 2/w or nearer, which for the smallest w, 2⁻¹⁵, is 2¹⁶, 4 LSB of h.
#[inline(always)]
fn blend(from: i32, to: i32, weight: i16) -> i32 {
    from + 2 * multiply_shift_16(to - from, weight)
}

/// h of a state that has 14 bits more.
#[inline(always)]
fn rounded(c: i32) -> i16 {
    round_shift_saturate(c, 14)
}

numbered! {
    /// The function of the gates i, f and o.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[cfg_attr(feature = "defmt", derive(defmt::Format))]
    pub enum Gate: u8 {
        /// 1/(1 + e^−z).
        Sigmoid = 0,
        /// clip(0.2·z + 0.5, 0, 1).
        HardSigmoid = 1,
    }
}

/// Those of an LSTM: gates i, f, g, o; `c` Q7.24; `h` Q0.15.
pub type Units<'a> = UnitsOf<'a, 4>;

/// What a step of J units works on, of a cell with so many gates; made by [`UnitsOf::new`] alone, so its
/// parts agree on J.
#[derive(Debug)]
pub struct UnitsOf<'a, const GATES: usize> {
    z: &'a [i16],
    c: &'a mut [i32],
    h: &'a mut [i16],
}

impl<'a, const GATES: usize> UnitsOf<'a, GATES> {
    /// Pre-activations `z` \[GATES·J\] Q4.11, gate slowest in the cell's order; its state `c` \[J\] and hidden
    /// state `h` \[J\], in the cell's formats; J ≥ 1. `None` when the lengths are others.
    #[inline]
    pub fn new(z: &'a [i16], c: &'a mut [i32], h: &'a mut [i16]) -> Option<Self> {
        let agree = z.len() == GATES * c.len() && h.len() == c.len() && !c.is_empty();
        agree.then_some(Self { z, c, h })
    }
}

/// One step: c and h of the units from their z.
///
/// Instructions a unit (QEMU, J = 256): M4 31.2, M3 61, M0 105.
///
/// ```
/// use bt_core::internals::cell::{self, Gate, Units};
/// let z = [16_384; 4]; // 8.0: all gates open, candidate at 1
/// let (mut c, mut h) = ([0], [0]);
/// for _ in 0..10 {
///     cell::update(Gate::Sigmoid, Units::new(&z, &mut c, &mut h).unwrap());
/// }
/// assert!((c[0] >> 24) == 9); // just below 10
/// assert!(h[0] > 32_700); // σ(8)·tanh(9.98)
/// ```
pub fn update(gate: Gate, units: Units<'_>) {
    #[cfg(bt_kernel = "helium")]
    helium::update(gate, units);
    #[cfg(all(bt_kernel = "armv7em", not(bt_kernel = "helium")))]
    armv7em::update(gate, units);
    #[cfg(not(bt_kernel = "armv7em"))]
    portable(gate, units);
}

/// What [`update`] does, in plain Rust: the specification of the others.
pub fn portable(gate: Gate, Units { z, c, h }: Units<'_>) {
    on_slices(gate, z, c, h);
}

/// [`portable`], its slices arguments of a function, which are known not to overlap: an instruction a unit.
#[inline(never)]
fn on_slices(gate: Gate, z: &[i16], c: &mut [i32], h: &mut [i16]) {
    match gate {
        Gate::Sigmoid => portable_with(nonlinearity::sigmoid_high, z, c, h),
        Gate::HardSigmoid => portable_with(nonlinearity::hard_sigmoid_high, z, c, h),
    }
}

/// [`portable`] for one gate function, which gives Q0.15 in the top half.
#[inline(always)]
fn portable_with(gate: impl Fn(i16) -> i32, z: &[i16], c: &mut [i32], h: &mut [i16]) {
    // `Units` says so; the compiler, once it knows, counts one length instead of six.
    let units = c.len();
    debug_assert!(units > 0 && h.len() == units && z.len() == 4 * units);
    if h.len() != units || z.len() / 4 != units {
        return;
    }
    let mut gates = z.chunks_exact(units.max(1));
    let (Some(z_i), Some(z_f), Some(z_g), Some(z_o)) =
        (gates.next(), gates.next(), gates.next(), gates.next())
    else {
        return;
    };
    let gates = z_i.iter().zip(z_f).zip(z_g).zip(z_o);
    for ((((&z_i, &z_f), &z_g), &z_o), (c, h)) in gates.zip(c.iter_mut().zip(h)) {
        let input = gate(z_i) >> 16;
        let forget = (gate(z_f) >> 16) as i16;
        let candidate = nonlinearity::tanh_high(z_g) >> 16;
        let output = gate(z_o) >> 16;

        let added = (input * candidate) >> 7;
        let kept = multiply_shift_16(*c, forget);
        let state = added + kept;
        *c = state.saturating_add(state);

        let squashed = nonlinearity::tanh_of_cell_high(*c) >> 16;
        *h = ((output * squashed + (1 << 14)) >> 15) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::Noise;

    fn step(gate: Gate, z: &[i16], c: &mut [i32], h: &mut [i16]) {
        update(gate, Units::new(z, c, h).unwrap());
    }

    const LSB: f64 = 1.0 / 32_768.0;
    const GATE_ERROR: f64 = 1.43 * LSB;
    const TANH_ERROR: f64 = 1.99 * LSB;
    const CELL_TANH_ERROR: f64 = 2.22 * LSB;
    const C_LIMIT: f64 = 128.0;

    fn gate_exact(gate: Gate, x: f64) -> f64 {
        match gate {
            Gate::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Gate::HardSigmoid => (0.2 * x + 0.5).clamp(0.0, 1.0),
        }
    }

    /// A unit in f64, with a bound on how far the integers may be from it.
    #[derive(Clone, Copy, Default)]
    struct Exact {
        c: f64,
        c_error: f64,
        h: f64,
        h_error: f64,
    }

    impl Exact {
        fn step(&mut self, gate: Gate, z: [i16; 4]) {
            let [i, f, g, o] = z.map(|z| f64::from(z) / 2048.0);
            let [i, f, o] = [i, f, o].map(|x| gate_exact(gate, x));
            let g = g.tanh();
            // d(f·c) ≤ f·dc + (|c| + dc)·df; d(i·g) ≤ |g|·di + (i + di)·dg;
            // then a step of 2⁻²³ for p and one for s.
            self.c_error = f * self.c_error
                + (self.c.abs() + self.c_error) * GATE_ERROR
                + g.abs() * GATE_ERROR
                + (i + GATE_ERROR) * TANH_ERROR
                + 2.0 / f64::from(1 << 23);
            self.c = (f * self.c + i * g).clamp(-C_LIMIT, C_LIMIT);
            // |tanh'| ≤ 1, and between two bounded values at most 2 apart.
            let t = self.c.tanh();
            let t_error = self.c_error.min(2.0) + CELL_TANH_ERROR;
            self.h = o * t;
            self.h_error = o * t_error + (t.abs() + t_error) * GATE_ERROR + 0.5 * LSB;
        }
    }

    #[test]
    fn every_implementation_gives_the_same() {
        assert_eq!(cases::digest(portable), cases::DIGEST);
        assert_eq!(cases::digest(update), cases::DIGEST);
    }

    /// 31 units over 500 steps; the spread of z goes from tiny to the whole
    /// range of i16, the forget gate leaning open as trained ones do.
    #[test]
    fn follows_the_equations() {
        const J: usize = 31;
        let mut noise = Noise(0x1234_5678);
        for gate in [Gate::Sigmoid, Gate::HardSigmoid] {
            for spread_bits in [8, 11, 13, 15, 16] {
                let (mut c, mut h) = ([0; J], [0; J]);
                let mut exact = [Exact::default(); J];
                for _ in 0..500 {
                    let mut z = [0i16; 4 * J];
                    for (k, z) in z.iter_mut().enumerate() {
                        let wide = noise.next() as i32 >> (32 - spread_bits);
                        let open = if k / J == 1 { 2048 } else { 0 };
                        *z = crate::q::saturate(wide + open);
                    }
                    step(gate, &z, &mut c, &mut h);
                    for (j, exact) in exact.iter_mut().enumerate() {
                        exact.step(gate, [z[j], z[J + j], z[2 * J + j], z[3 * J + j]]);
                        let c = f64::from(c[j]) / f64::from(1 << 24);
                        let h = f64::from(h[j]) * LSB;
                        assert!((c - exact.c).abs() <= exact.c_error, "{c} {}", exact.c);
                        assert!((h - exact.h).abs() <= exact.h_error, "{h} {}", exact.h);
                    }
                }
            }
        }
    }

    #[test]
    fn silence_stays_silent() {
        let (mut c, mut h) = ([0; 8], [0; 8]);
        for gate in [Gate::Sigmoid, Gate::HardSigmoid] {
            for open in [-20_000, 0, 20_000] {
                let mut z = [open; 32];
                z[16..24].fill(0);
                for _ in 0..10 {
                    step(gate, &z, &mut c, &mut h);
                }
                assert_eq!((c, h), ([0; 8], [0; 8]));
            }
        }
    }

    /// f = 1 − 2⁻¹⁵ for a million steps, from both ends of the range, with
    /// and without input.
    #[test]
    fn long_streams_do_not_stall() {
        for start in [i32::MIN, i32::MAX] {
            let (mut c, mut h) = ([start], [0]);
            for _ in 0..1_000_000 {
                // Input gate shut, forget gate open, candidate 0.
                step(Gate::HardSigmoid, &[-32_768, 32_767, 0, 0], &mut c, &mut h);
            }
            assert!((-(1 << 16)..=0).contains(&c[0]), "{start} → {}", c[0]);
        }
        // i·g is one LSB of Q0.15 times one: c must climb past 1/2, on its
        // way to (i·g)/(1−f) = 1.
        let (mut c, mut h) = ([0], [0]);
        let one_lsb = (i16::MIN..=i16::MAX)
            .find(|&z| nonlinearity::sigmoid(z) == 1)
            .expect("sigmoid takes the value 1");
        for _ in 0..32_768 {
            step(Gate::Sigmoid, &[one_lsb, 32_767, 32_767, 0], &mut c, &mut h);
        }
        assert!(c[0] > 1 << 23, "{}", c[0]);
    }

    #[test]
    fn saturates_at_the_ends() {
        let (mut c, mut h) = ([i32::MAX, i32::MIN], [0, 0]);
        let z = [
            32_767, 32_767, 32_767, 32_767, 32_767, -32_768, 32_767, 32_767,
        ];
        for _ in 0..1_000 {
            step(Gate::Sigmoid, &z, &mut c, &mut h);
        }
        assert!(c[0] > 127 << 24 && c[1] < -(124 << 24));
        assert!(h[0] > 32_760 && h[1] < -32_760);
    }

    /// There are no units whose parts disagree.
    #[test]
    fn lengths_agree() {
        let (mut c, mut h) = ([1 << 20; 3], [5; 3]);
        for z in [8, 11, 13, 16] {
            assert!(Units::new(&[100; 16][..z], &mut c, &mut h).is_none());
        }
        assert!(Units::new(&[100; 12], &mut c, &mut h[..2]).is_none());
        assert!(Units::new(&[100; 12], &mut c[..2], &mut h).is_none());
        assert!(Units::new(&[], &mut [], &mut []).is_none());
        step(Gate::Sigmoid, &[100; 12], &mut c, &mut h);
        assert!(c != [1 << 20; 3] && h != [5; 3]);
    }
}
