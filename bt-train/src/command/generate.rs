//! `bt-train generate M.btm|RUN --seed S --count N --out sheet.png`

use crate::command::progress::bar;
use crate::command::{checkpoint, model_path};
use crate::data::NpzWriter;
use crate::drawing::{self, Pictures};
use crate::error::{Error, Result};
use crate::file::{check_out, write_atomic};
use crate::{device, say};
use bt_core::Model;
use serde_json::json;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Arguments of `generate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A quantized model of the next frame or of pictures (`train --head next-bits|draw`), or a run of pictures
    pub model: PathBuf,
    /// What is drawn, and where it goes
    #[command(flatten)]
    pub wanted: Wanted,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

/// What is to be drawn, and where it goes.
#[derive(Debug, clap::Args)]
pub struct Wanted {
    /// Seed: picture n of a seed is the same on every device; a float model takes the same latent values
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Pictures to draw
    #[arg(long, default_value = "64", value_name = "N")]
    pub count: NonZeroUsize,
    /// Steps of a picture, one row each, of a model of the next frame [default: as the model was trained]
    #[arg(long, value_name = "T")]
    pub steps: Option<NonZeroUsize>,
    /// A .png, all pictures on one sheet, or an .npz, their pixels: `x` [pictures, rows, columns], bits or greys of 0 to 255
    #[arg(long, value_name = "PNG")]
    pub out: PathBuf,
}

impl Wanted {
    /// Steps of a picture of this model.
    ///
    /// # Errors
    /// When neither flag nor model says so, or the model does not draw.
    pub fn steps_of(&self, model: &Model<'_>) -> Result<usize> {
        drawing::check(model)?;
        if let Some(picture) = model.painting() {
            return match self.steps {
                Some(_) => Err(has_its_own_steps()),
                None => Ok(picture.steps as usize),
            };
        }
        if let Some(steps) = self.steps {
            return Ok(steps.get());
        }
        let config = device::config(model)?;
        config.head.steps.ok_or_else(|| {
            Error::usage("the model does not say how many steps a picture has; give --steps")
        })
    }

    /// Writes what was drawn to its place.
    ///
    /// # Errors
    /// Names the file.
    pub fn write(&self, pictures: &Pictures) -> Result<()> {
        if is_arrays(&self.out) {
            let shape = [pictures.bits.len(), pictures.steps, pictures.width];
            let mut writer = NpzWriter::new();
            writer.array("x", &shape, &pictures.bits.concat())?;
            return writer.write(&self.out);
        }
        write_atomic(&self.out, |file| pictures.write_sheet(file))
    }
}

fn is_arrays(path: &Path) -> bool {
    let ending = path.extension();
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case("npz"))
}

/// Draws pictures as a device does, bit for bit.
///
/// # Errors
/// When a file cannot be used or the model does not draw.
pub fn run(args: Args) -> Result<()> {
    let wanted = &args.wanted;
    check_out(&wanted.out, &[&model_path(&args.model)])?;
    let is_float = args
        .model
        .extension()
        .is_some_and(|end| end == "safetensors");
    if args.model.is_dir() || is_float {
        let pictures = painted(&args)?;
        return tell(&args, &pictures);
    }
    let bytes = device::read_model(&args.model)?;
    let model = device::parse(&bytes)?;
    let in_model = |error: Error| error.file(&args.model);
    let steps = wanted.steps_of(&model).map_err(in_model)?;
    let count = wanted.count.get();
    let progress = bar(count, "pictures");
    let drawn = drawing::draw(&model, wanted.seed, (count, steps), || progress.inc(1));
    progress.finish_and_clear();
    tell(&args, &drawn.map_err(in_model)?)
}

fn has_its_own_steps() -> Error {
    Error::usage("a model of pictures has a size and steps of its own; leave --steps out")
}

/// Pictures of a float model.
fn painted(args: &Args) -> Result<Pictures> {
    let path = model_path(&args.model);
    let in_model = |error: Error| error.file(&path);
    if args.wanted.steps.is_some() {
        return Err(has_its_own_steps());
    }
    let model = checkpoint(&path)?.model().map_err(in_model)?;
    let count = args.wanted.count.get();
    let progress = bar(count, "pictures");
    let drawn = drawing::paint(&model, args.wanted.seed, count, || progress.inc(1));
    progress.finish_and_clear();
    drawn.map_err(in_model)
}

/// Writes pictures and says where they are.
fn tell(args: &Args, pictures: &Pictures) -> Result<()> {
    args.wanted.write(pictures)?;
    if args.json {
        say!(
            "{}",
            json!({
                "pictures": pictures.bits.len(),
                "steps": pictures.steps,
                "bits": pictures.width,
                "seed": args.wanted.seed,
            })
        );
    } else {
        say!("{}", args.wanted.out.display());
    }
    Ok(())
}
