//! How often a stream comes to the ends of its numbers: what a drifting or broken sensor shows first.

use super::Watched;
use crate::cell::Cell;
use crate::model::InputType;

/// Values of a push that are looked at, at most.
const LOOKS: usize = 16;

/// From here on sigmoid and tanh are flat: |z| ≥ 8, Q4.11.
const FLAT: i16 = 8 << 11;

/// Counts of a stream. They stand beside the session, so that one who does not count pays nothing, and look only
/// at what went in and came out: no bit of a score depends on them, and their time depends on no value.
///
/// ```
/// use bt_core::{Error, Session};
/// use bt_core::health::Limits;
///
/// fn step(session: &mut Session, limits: &mut Limits, bytes: &[u8]) -> Result<(), Error> {
///     session.push_bytes(bytes)?;
///     let model = session.model();
///     limits.count_input(model.input_type(), bytes);
///     session.step_watched(|watched| limits.count_step(model.cell(), &watched))?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// Values pushed that were looked at: all of a push of 16 or fewer, 16 of a longer one.
    pub inputs: u64,
    /// Of them, at an end of their type: where converters and the rounding of floats clip.
    pub inputs_clipped: u64,
    /// Pre-activations.
    pub gates: u64,
    /// Of them, where sigmoid and tanh are flat: at ±8 or beyond, half of what a pre-activation can be.
    pub gates_saturated: u64,
    /// Values of cell states.
    pub cells: u64,
    /// Of them, at an end of what they can be: c of an LSTM at ±128 (±2^(31 − fraction bits)), h of the others at an
    /// end of its type.
    pub cells_at_limit: u64,
}

impl Limits {
    /// Looks at little-endian values that were pushed, whole ones. Of many it takes every n-th, and from push to
    /// push others.
    pub fn count_input(&mut self, input_type: InputType, bytes: &[u8]) {
        let (looked, clipped) = match input_type {
            InputType::U8 => self.look(bytes, |value| value == 0 || value == u8::MAX),
            InputType::I8 => self.look(bytes, |value| value == 0x80 || value == 0x7F),
            InputType::I16 => self.look(bytes.as_chunks::<2>().0, |value| {
                let value = i16::from_le_bytes(value);
                value == i16::MIN || value == i16::MAX
            }),
        };
        self.inputs = self.inputs.wrapping_add(looked.into());
        self.inputs_clipped = self.inputs_clipped.wrapping_add(clipped.into());
    }

    /// Values looked at, and those that are at an end.
    #[inline(always)]
    fn look<T: Copy>(&self, values: &[T], is_clipped: impl Fn(T) -> bool) -> (u32, u32) {
        let (stride, looks) = (values.len().div_ceil(LOOKS).max(1), values.len().min(LOOKS));
        // From another place each time, and round the end to the start.
        let mut at = self.inputs as usize / LOOKS % stride;
        let mut clipped = 0;
        for _ in 0..looks {
            if at >= values.len() {
                at -= values.len();
            }
            clipped += u32::from(values.get(at).is_some_and(|&value| is_clipped(value)));
            at += stride;
        }
        (looks as u32, clipped)
    }

    /// Looks at what a step came to, layer after layer, as [`Session::step_watched`](super::Session::step_watched)
    /// shows it.
    pub fn count_step(&mut self, cell: Cell, watched: &Watched<'_>) {
        let flat = |&z: &i16| u32::from(z >= FLAT) + u32::from(z <= -FLAT);
        let saturated: u32 = watched.z.iter().map(flat).sum();
        let (low, high) = match cell {
            // Where c' is saturated.
            Cell::Lstm => (i32::MIN, i32::MAX),
            // What rounds to an end of h, 14 bits narrower.
            Cell::Gru | Cell::MinGru => {
                let half = 1 << 13;
                (
                    (i32::from(i16::MIN) << 14) + half,
                    (i32::from(i16::MAX) << 14) - half,
                )
            }
        };
        let at_end = |&c: &i32| u32::from(c <= low) + u32::from(c >= high);
        let at_limit: u32 = watched.c.iter().map(at_end).sum();
        self.gates = self.gates.wrapping_add(watched.z.len() as u64);
        self.gates_saturated = self.gates_saturated.wrapping_add(saturated.into());
        self.cells = self.cells.wrapping_add(watched.c.len() as u64);
        self.cells_at_limit = self.cells_at_limit.wrapping_add(at_limit.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(input_type: InputType, bytes: &[u8]) -> (u64, u64) {
        let mut limits = Limits::default();
        limits.count_input(input_type, bytes);
        (limits.inputs, limits.inputs_clipped)
    }

    #[test]
    fn ends_of_every_type_are_counted() {
        assert_eq!(
            inputs(InputType::U8, &[0, 1, 127, 128, 254, 255, 255]),
            (7, 3)
        );
        assert_eq!(inputs(InputType::I8, &[0, 127, 126, 128, 129, 255]), (6, 2));
        let values = [i16::MAX, 32_766, i16::MIN, -32_767, 0];
        let bytes = values.map(i16::to_le_bytes);
        assert_eq!(inputs(InputType::I16, bytes.as_flattened()), (5, 2));
        assert_eq!(inputs(InputType::I16, &[]), (0, 0));
    }

    /// Of 1000 values 16 are looked at, and in 63 pushes every one of them once or more.
    #[test]
    fn every_place_of_a_long_push_has_its_turn() {
        for place in 0..1000 {
            let mut bytes = [1; 1000];
            bytes[place] = 255;
            let mut limits = Limits::default();
            for _ in 0..63 {
                limits.count_input(InputType::U8, &bytes);
            }
            assert_eq!(limits.inputs, 63 * 16);
            assert!(
                (1..=2).contains(&limits.inputs_clipped),
                "{place}: {limits:?}"
            );
        }
    }

    #[test]
    fn flat_gates_and_full_cells_are_counted() {
        let h = [0; 3];
        let z = [16_384, 16_383, -16_384, -16_383, i16::MIN, i16::MAX, 0, 0];
        let count = |cell, c: &[i32]| {
            let mut limits = Limits::default();
            let (layer, recurrent_z) = (0, &[][..]);
            let watched = Watched {
                layer,
                z: &z,
                recurrent_z,
                c,
                h: &h,
            };
            for _ in 0..2 {
                limits.count_step(cell, &watched);
            }
            let Limits {
                gates,
                gates_saturated,
                cells,
                cells_at_limit,
                ..
            } = limits;
            assert_eq!((gates, gates_saturated), (16, 8));
            assert_eq!(cells, 2 * c.len() as u64);
            cells_at_limit / 2
        };
        let (low, high) = (i32::MIN, i32::MAX);
        assert_eq!(count(Cell::Lstm, &[low, low + 1, high, high - 1, 0]), 2);
        // h = round(c / 2^14) is 32767 from 32766.5 on, and -32768 up to -32767.5.
        let (last, first) = ((65_533 << 13) - 1, 65_533 << 13);
        assert_eq!(count(Cell::MinGru, &[last, first, 1 << 29]), 2);
        let (last, first) = ((-65_535 << 13) + 1, -65_535 << 13);
        assert_eq!(count(Cell::Gru, &[last, first, -(1 << 29)]), 2);
    }
}
