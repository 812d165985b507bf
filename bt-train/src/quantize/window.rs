//! What a model with attention paints through, and on what: ranges of pictures that it draws.

use super::decoder::{CALIBRATION_SEED, latent_floats};
use crate::error::{Error, Result};
use crate::float::config::{HeadConfig, PAINT_PLACES};
use crate::float::model::Model;
use bt_core::internals::model::layout::{WINDOW_SIDE_MAX, WindowRecord};
use bt_core::internals::window::Window;

/// How far windows and canvas went, and the format of the canvas. A device holds numbers that place a window to ±16, and
/// saturates.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct WindowReport {
    /// Largest magnitudes of x̃, ỹ, ln σ², ln δ̃ and ln γ.
    pub place_max: [f64; WindowRecord::PLACE],
    /// Largest magnitude of a pixel's logit after any step.
    pub canvas_max: f64,
    /// Fraction bits of the logits of a canvas, of 32.
    pub canvas_fraction: i32,
}

impl WindowReport {
    /// Of a model with attention, by as many pictures as are to be calibrated on.
    pub(super) fn new(model: &Model, pictures: usize) -> WindowReport {
        let config = &model.config;
        let (steps, width) = (config.head.steps.unwrap_or(1), config.latent_values());
        let (mut place_max, mut canvas_max) = ([0.0f64; WindowRecord::PLACE], 0.0f64);
        for number in 0..pictures {
            let z = latent_floats(CALIBRATION_SEED, number, (steps, width));
            model.drawn_watched(z.view(), |places, canvas| {
                for (most, &place) in place_max.iter_mut().zip(&places[PAINT_PLACES]) {
                    *most = most.max(f64::from(place).abs());
                }
                canvas_max = canvas
                    .iter()
                    .fold(canvas_max, |most, &logit| most.max(f64::from(logit).abs()));
            });
        }
        // Four times as much as was seen fits.
        let fraction = (f64::from(1 << 29) / canvas_max).log2().floor();
        WindowReport {
            place_max,
            canvas_max,
            canvas_fraction: fraction.min(CANVAS_FRACTION_MAX) as i32,
        }
    }
}

/// Finer than this rounding is none beside what the rest of a step leaves; and a step can paint 2¹⁸ at once.
const CANVAS_FRACTION_MAX: f64 = 12.0;

/// That a device finds its way on the picture.
///
/// # Errors
/// Names rows or columns.
pub(super) fn check_sides(head: &HeadConfig) -> Result<()> {
    let sides = head
        .window()
        .into_iter()
        .flat_map(|[_, rows, columns]| [rows, columns]);
    let most = WINDOW_SIDE_MAX as usize;
    match sides.max().filter(|&side| side > most) {
        Some(side) => {
            let allowed = format!("with attention a device takes at most {most} rows and columns");
            Err(Error::out_of_range(side, allowed).field("head.rows"))
        }
        None => Ok(()),
    }
}

/// The window on the pictures of a head that has one; `record` is to have its points.
pub(super) fn on_pictures<'r>(
    head: &HeadConfig,
    record: Option<&'r WindowRecord>,
) -> Option<Window<'r>> {
    Some(Window::new(record?, head.rows?, head.gives.outputs()))
}

/// Its record, with these shifts of the sums that give and place a patch.
pub(super) fn record(
    head: &HeadConfig,
    patch_shift: i32,
    place_shift: i32,
) -> Option<WindowRecord> {
    head.window().map(|[points, ..]| WindowRecord {
        points: points as u32,
        patch_shift,
        place_shift,
    })
}
