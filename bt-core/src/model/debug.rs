//! A model as text.

use super::Model;

/// What a person wants to see of a model: its name and sizes, not its weights.
impl core::fmt::Debug for Model<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.name())
            .field("input_type", &self.input_type)
            .field("frame_values", &self.frame_values())
            .field("hidden", &self.hidden())
            .field("outputs", &self.outputs())
            .field("arena_bytes", &self.arena_bytes())
            .field("flash_bytes", &self.flash_bytes())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Model<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(
            f,
            "Model {{ name: {=str}, input_type: {}, frame_values: {=usize}, hidden: {=usize}, \
             outputs: {=usize}, arena_bytes: {=usize}, flash_bytes: {=usize} }}",
            self.name(),
            self.input_type,
            self.frame_values(),
            self.hidden(),
            self.outputs(),
            self.arena_bytes(),
            self.flash_bytes(),
        );
    }
}
