//! Sequences as a device takes them: the model's input type, little-endian.
//!
//! `bt-train run` pushes these values into a session on the host, and
//! `cargo xtask qemu` sends the same bytes over the wire.

use bt_core::{InputType, Model};

use super::dataset::{ElementType, Part, Values};
use crate::error::{Error, Result};

/// The valid values of a sequence.
///
/// Integers are taken as they are and must have the model's type; floats are
/// rounded (half to even) to the step and offset that the model states, and
/// saturate.
///
/// # Errors
/// When the values have another type, or another width than the model's frame.
pub fn device_input(model: &Model<'_>, part: &Part, sequence: usize) -> Result<Vec<u8>> {
    let frame = model.frame_values();
    // A front end cuts steps out of a stream of samples by itself.
    if model.front_end().is_none() && part.width != frame {
        return Err(Error::setting(format!(
            "has {} values a step, the model takes {frame}",
            part.width
        )));
    }
    let range = part.range(sequence);
    Ok(match (model.input_type(), &*part.values) {
        (InputType::U8, Values::U8(values)) => values[range].to_vec(),
        (InputType::I8, Values::I8(values)) => values[range].iter().map(|&v| v as u8).collect(),
        (InputType::I16, Values::I16(values)) => {
            values[range].iter().flat_map(|v| v.to_le_bytes()).collect()
        }
        (InputType::I16, Values::F32(values)) => values[range]
            .iter()
            .flat_map(|&v| quantize(model, v).to_le_bytes())
            .collect(),
        (wanted, values) => {
            let wanted = match wanted {
                InputType::U8 => ElementType::U8,
                InputType::I8 => ElementType::I8,
                InputType::I16 => ElementType::I16,
            };
            return Err(Error::setting(format!(
                "is {}, the model takes {wanted}",
                values.element_type()
            )));
        }
    })
}

/// A float in the model's steps, half to even; `as` saturates.
fn quantize(model: &Model<'_>, value: f32) -> i16 {
    let offset = f64::from(value) - f64::from(model.input_offset());
    (offset / f64::from(model.input_step())).round_ties_even() as i16
}
