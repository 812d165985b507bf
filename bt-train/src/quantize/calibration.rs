//! Calibration data → the format of the input, and what becomes of a map's real numbers in it.

use super::input::{InputFormat, Seen};
use super::map::{MapScheme, Reads, RealMap};
use super::real::{folded_bias, frames, real};
use super::spread::spread;
use crate::data::{Normalization, Part};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::kernels::Kernels;

/// What the format of the input is chosen by.
pub(super) struct InputCalibration<'a> {
    pub part: &'a Part,
    /// Sequences of it to calibrate on.
    pub chosen: &'a [usize],
    pub normalization: &'a Normalization,
    /// Of z.
    pub bias: &'a [f64],
    pub has_front_end: bool,
    /// Whose kernels run.
    pub kernels: Kernels,
    /// Whether the map's share is filtered.
    pub is_filtered: bool,
}

/// The input of a map in integers.
pub(super) struct CalibratedInput {
    pub format: InputFormat,
    /// Of z, with what the map makes of integer zeros; a filter passes nothing of that.
    pub bias: Vec<f64>,
    pub scheme: MapScheme,
}

impl InputCalibration<'_> {
    /// The format that costs the device least and leaves z room and the map's weights their range.
    pub fn best(&self, map: &RealMap<'_>) -> Result<CalibratedInput> {
        if self.is_filtered {
            return self.best_filtered(map);
        }
        let seen = Seen::new(self.part, self.normalization.width);
        let ways = seen.ways(self.normalization, self.has_front_end);
        let mut formats = Vec::new();
        for &taken in &ways {
            let format = InputFormat::new(&seen, self.normalization, taken)?;
            let zero = std::slice::from_ref(&format.zero);
            let bias = folded_bias(&map.apply(zero).remove(0), self.bias);
            formats.push((format, bias));
        }
        // Values lose their offset on the way to the map where it would fill z. Where the model's own bias
        // does that, all that can be is taken off.
        let largest = |bias: &[f64]| bias.iter().fold(0.0f64, |max, b| b.abs().max(max));
        let least = formats.iter().map(|(_, bias)| largest(bias));
        let room = BIAS_MAX.max(least.fold(f64::INFINITY, f64::min) + BIAS_SLACK);
        let mut refused = None;
        for (format, bias) in formats
            .into_iter()
            .filter(|(_, bias)| largest(bias) <= room)
        {
            match MapScheme::new(map, &self.frames(&format), reads(&format), self.kernels) {
                Ok(scheme) => {
                    return Ok(CalibratedInput {
                        format,
                        bias,
                        scheme,
                    });
                }
                Err(error) => refused = Some(error),
            }
        }
        Err(refused
            .unwrap_or_else(|| Error::new(ErrorKind::Internal("there is no format for the input"))))
    }

    /// The same where the map's share is filtered: of the cheapest formats in which what the values have in common,
    /// gone in the end, costs the levels little of their range, the best.
    fn best_filtered(&self, map: &RealMap<'_>) -> Result<CalibratedInput> {
        let seen = Seen::new(self.part, self.normalization.width);
        let mut formats = Vec::new();
        for taken in seen.ways(self.normalization, self.has_front_end) {
            let format = InputFormat::new(&seen, self.normalization, taken)?;
            let frames = self.frames(&format);
            let reach = reach(map, &frames, format.map_lsb);
            formats.push((taken, format, frames, reach));
        }
        let least = formats.iter().map(|(.., reach)| *reach);
        let room = REACH_SLACK * least.fold(f64::INFINITY, f64::min);
        let fitting = formats.into_iter().filter(|(.., reach)| *reach <= room);
        let cheapest = fitting.min_by(|(a, .., reach), (b, .., other)| {
            let by_cost = a.costs().cmp(&b.costs());
            by_cost.then(reach.total_cmp(other))
        });
        let (_, format, frames, _) = cheapest
            .ok_or_else(|| Error::new(ErrorKind::Internal("there is no format for the input")))?;
        Ok(CalibratedInput {
            scheme: MapScheme::filtered(map, &frames, reads(&format), self.kernels)?,
            format,
            bias: self.bias.to_vec(),
        })
    }

    /// Frames of the map's integers that ranges and bits are chosen on.
    fn frames(&self, format: &InputFormat) -> Vec<Vec<i16>> {
        let frames = frames(self.part, format, self.chosen);
        spread(frames.into_iter().flatten().collect(), CALIBRATION_FRAMES)
    }
}

/// The largest of what the map makes of frames.
fn reach(map: &RealMap<'_>, frames: &[Vec<i16>], lsb: f64) -> f64 {
    let frames: Vec<Vec<f64>> = frames.iter().map(|frame| real(frame, lsb)).collect();
    let shares = map.apply(&frames);
    shares.iter().flatten().fold(0.0, |max, z| z.abs().max(max))
}

fn reads(format: &InputFormat) -> Reads {
    Reads {
        map: "input",
        streamed: true,
        max: format.map_max,
        lsb: format.map_lsb,
    }
}

/// How much further the map's share may reach with a cheaper format: half a bit.
const REACH_SLACK: f64 = 1.5;

/// Frames that ranges and bits of the input map are chosen on.
const CALIBRATION_FRAMES: usize = 256;

/// Largest bias of z that leaves room for what the maps add.
const BIAS_MAX: f64 = 8.0;

/// What a cheaper format may add to the least bias of z beyond that.
const BIAS_SLACK: f64 = 0.5;
