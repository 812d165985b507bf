//! Clips of video, a folder for each class, as frames of one size: what `ffmpeg` decodes.

mod clips;
mod decode;
mod sampler;
mod split;

pub use clips::{Clip, Clips, find};
pub use decode::{Decoded, Refused, decode, program};
pub use split::test_part;

/// The frames that are taken of every clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frames {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// How many, evenly over the clip.
    pub count: usize,
    /// One value a pixel, not red, green and blue.
    pub is_grey: bool,
}

impl Frames {
    /// Values of a pixel.
    pub fn channels(&self) -> usize {
        if self.is_grey { 1 } else { 3 }
    }

    /// Values of a frame, a byte each: row by row, the channels of a pixel side by side.
    pub fn frame_bytes(&self) -> usize {
        self.width * self.height * self.channels()
    }
}
