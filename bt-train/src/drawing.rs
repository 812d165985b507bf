//! What models draw, by the device's own code, and sheets of it.

use crate::error::{Error, ErrorKind, Result};
use crate::float::model::Model as Network;
use crate::float::real::Real;
use crate::quantize::decoder::latent_floats;
use bt_core::drawing::{NextFrame, Random};
use bt_core::error::DrawError;
use bt_core::{Model, Session};
use ndarray::Array2;
use std::io::Write;

/// Pictures of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pictures {
    /// Pixels of a row; of a model of the next frame its bits.
    pub width: usize,
    /// Rows of a picture; of a model of the next frame its steps.
    pub steps: usize,
    /// Pixels of each, row by row, from 0 to `white`.
    pub bits: Vec<Vec<u8>>,
    /// 1 of bits, 255 of greys: 255 times the probability of a 1.
    pub white: u8,
}

/// Checks that a model draws.
///
/// # Errors
/// When its scores are neither the bits of the next frame nor a picture's.
pub fn check(model: &Model<'_>) -> Result<()> {
    match model.next_frame() {
        NextFrame::Drawn | NextFrame::Latent => Ok(()),
        NextFrame::Pushed => Err(Error::new(ErrorKind::Device(Box::new(DrawError::NotDrawn)))
            .remedy("train one with `head next-bits` or `head draw`")),
    }
}

/// Pictures 0 to `count` − 1 of a seed, each of so many steps; `done` is called after each. Of a model that paints them
/// from latent values they are greys, as they stand after these steps.
///
/// # Errors
/// When the model does not draw, or there is nothing to draw.
pub fn draw(
    model: &Model<'_>,
    seed: u64,
    (count, steps): (usize, usize),
    mut done: impl FnMut(),
) -> Result<Pictures> {
    check(model)?;
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(model, &mut arena).map_err(refused)?;
    let mut bits = Vec::with_capacity(count);
    for number in 0..count {
        let mut random = Random::new(seed, number as u64);
        let mut row = vec![0; model.outputs()];
        session.reset();
        if model.painting().is_some() {
            for _ in 0..steps {
                session.paint(&mut random).map_err(refused)?;
            }
            session.pixels(0, &mut row).map_err(refused)?;
            bits.push(row);
        } else {
            let mut picture = Vec::with_capacity(steps * row.len());
            for _ in 0..steps {
                session.draw(&mut random, &mut row).map_err(refused)?;
                picture.extend(&row);
            }
            bits.push(picture);
        }
        done();
    }
    Ok(Pictures::of(model, steps, bits))
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Device(Box::new(error)))
}

impl Pictures {
    /// What a model drew in so many steps.
    pub fn of(model: &Model<'_>, steps: usize, bits: Vec<Vec<u8>>) -> Pictures {
        let (width, steps, white) = match model.painting() {
            Some(picture) => (picture.columns, picture.rows, 255),
            None => (model.outputs(), steps, 1),
        };
        Pictures {
            width,
            steps,
            bits,
            white,
        }
    }
}

/// Pictures that integers paint beside those of floats from the same latent values.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Agreement {
    /// How many.
    pub pictures: usize,
    /// Signal over noise power of the logits of their pixels, dB.
    pub snr_db: f64,
    /// Largest error of the probability of a pixel.
    pub error_max: f64,
    /// The mean of its magnitude.
    pub error_mean: f64,
}

impl Agreement {
    /// Of pictures 0 to `count` − 1 of a seed by a float model and by its integers.
    ///
    /// # Errors
    /// When they are not two forms of a model that paints.
    pub fn new(float: &Network, model: &Model<'_>, seed: u64, count: usize) -> Result<Agreement> {
        let mut arena = vec![0; model.arena_words()];
        let mut session = Session::new(model, &mut arena).map_err(refused)?;
        let unit = 2f64.powi(-model.score_shift());
        let mut raw = vec![0; model.outputs()];
        let (mut signal, mut noise) = (0.0, 0.0);
        let (mut largest, mut sum) = (0.0f64, 0.0);
        for number in 0..count {
            let logits = logits(float, seed, number)?;
            let mut random = Random::new(seed, number as u64);
            session.reset();
            for _ in 0..model.painting().map_or(0, |picture| picture.steps) {
                session.paint(&mut random).map_err(refused)?;
            }
            session.scores(&mut raw).map_err(refused)?;
            for (&wanted, &raw) in logits.iter().zip(&raw) {
                let (wanted, found) = (f64::from(wanted), f64::from(raw) * unit);
                signal += wanted * wanted;
                noise += (found - wanted).powi(2);
                let error = (wanted.sigmoid() - found.sigmoid()).abs();
                largest = largest.max(error);
                sum += error;
            }
        }
        Ok(Agreement {
            pictures: count,
            snr_db: 10.0 * (signal / f64::max(noise, f64::MIN_POSITIVE)).log10(),
            error_max: largest,
            error_mean: sum / (count * model.outputs()).max(1) as f64,
        })
    }
}

/// The logits of a picture of a seed in floats [1, K], from the latent values that a device draws.
fn logits(model: &Network, seed: u64, number: usize) -> Result<Array2<f32>> {
    let head = &model.config.head;
    let (Some(steps), true) = (head.steps, head.gives.is_pictures()) else {
        let why = "does not draw pictures";
        return Err(Error::new(ErrorKind::NotForHead {
            head: head.gives.name(),
            why,
        })
        .field("head")
        .remedy("train one with `head draw`, or quantize one of `head next-bits`"));
    };
    let width = model.config.latent_values();
    Ok(model.drawn(latent_floats(seed, number, (steps, width)).view()))
}

/// Pictures 0 to `count` − 1 of a seed in floats, by a model that paints them from latent values; `done` is called after
/// each. The latent values are those of the model's integers on every device.
///
/// # Errors
/// When the model does not draw pictures.
pub fn paint(model: &Network, seed: u64, count: usize, mut done: impl FnMut()) -> Result<Pictures> {
    let bits = (0..count).map(|number| {
        let grey = |&logit: &f32| (255.0 * logit.sigmoid()).round() as u8;
        let picture = logits(model, seed, number)?.iter().map(grey).collect();
        done();
        Ok(picture)
    });
    let bits = bits.collect::<Result<Vec<_>>>()?;
    let rows = model.config.head.rows.unwrap_or(1);
    Ok(Pictures {
        bits,
        width: model.config.head.gives.outputs() / rows,
        steps: rows,
        white: 255,
    })
}

/// Grey between the pictures of a sheet.
const GAP_GREY: u8 = 128;

/// Pixels of a sheet for one of a picture, each way.
const ZOOM: usize = 3;

/// Pixels between two pictures.
const GAP: usize = 4;

impl Pictures {
    /// Writes them as a PNG: a sheet about as wide as it is high in pictures, number 0 at the top left, ones white.
    ///
    /// # Errors
    /// What the writer said.
    pub fn write_sheet(&self, file: impl Write) -> Result<()> {
        let sheet = Sheet::of(self);
        let size = |pixels: usize| {
            let remedy = "ask for fewer pictures";
            u32::try_from(pixels)
                .map_err(|_| Error::malformed("the sheet is too large").remedy(remedy))
        };
        let mut encoder = png::Encoder::new(file, size(sheet.width)?, size(sheet.height)?);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(unwritten)?;
        writer.write_image_data(&sheet.grey).map_err(unwritten)?;
        writer.finish().map_err(unwritten)
    }
}

fn unwritten(error: png::EncodingError) -> Error {
    match error {
        png::EncodingError::IoError(error) => error.into(),
        error => Error::malformed(error),
    }
}

/// A picture of pictures.
struct Sheet {
    width: usize,
    height: usize,
    /// Row by row.
    grey: Vec<u8>,
}

impl Sheet {
    fn of(pictures: &Pictures) -> Sheet {
        let count = pictures.bits.len().max(1);
        let columns = count.isqrt() + usize::from(!is_square(count));
        let rows = count.div_ceil(columns);
        let (across, down) = (pictures.width * ZOOM + GAP, pictures.steps * ZOOM + GAP);
        let (width, height) = (columns * across + GAP, rows * down + GAP);
        let mut grey = vec![GAP_GREY; width * height];
        for (number, bits) in pictures.bits.iter().enumerate() {
            let (top, left) = (
                number / columns * down + GAP,
                number % columns * across + GAP,
            );
            for y in 0..pictures.steps * ZOOM {
                let row = &bits[y / ZOOM * pictures.width..];
                let start = (top + y) * width + left;
                for (x, pixel) in grey[start..start + pictures.width * ZOOM]
                    .iter_mut()
                    .enumerate()
                {
                    *pixel = 255 / pictures.white * row[x / ZOOM];
                }
            }
        }
        Sheet {
            width,
            height,
            grey,
        }
    }
}

fn is_square(count: usize) -> bool {
    count.isqrt().pow(2) == count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three pictures of two rows of one bit: two above, one below, the last place grey.
    #[test]
    fn a_sheet_has_every_picture_in_its_place() {
        let pictures = Pictures {
            width: 1,
            steps: 2,
            bits: vec![vec![1, 0], vec![0, 1], vec![1, 1]],
            white: 1,
        };
        let mut file = Vec::new();
        pictures.write_sheet(&mut file).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut grey = vec![0; reader.output_buffer_size().unwrap()];
        let about = reader.next_frame(&mut grey).unwrap();
        // 4 + 2·(3 + 4) by 4 + 2·(6 + 4).
        assert_eq!((about.width, about.height), (18, 24));
        let at = |x: usize, y: usize| grey[18 * y + x];
        assert_eq!([at(4, 4), at(6, 6), at(4, 7), at(6, 9)], [255, 255, 0, 0]);
        assert_eq!([at(11, 4), at(13, 7)], [0, 255]);
        assert_eq!([at(4, 14), at(6, 19)], [255, 255]);
        let gaps = [
            at(0, 0),
            at(3, 5),
            at(7, 5),
            at(4, 10),
            at(11, 14),
            at(17, 23),
        ];
        assert_eq!(gaps, [128; 6]);
    }
}
