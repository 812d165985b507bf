//! `cargo xtask draw`: pictures that an emulated board draws from a seed.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bt_core::Model;
use bt_train::command::generate::Wanted;
use bt_train::device as host;
use bt_train::drawing::{self, Pictures};
use bt_train::file::check_out;
use bt_train::say;
use serde_json::json;

use crate::board::{self, Board};
use crate::device::Device;
use crate::emulator;
use crate::qemu::Served;
use crate::{progress, setup};

/// A model that draws on an emulated board.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The board; `cargo xtask boards` lists them.
    #[arg(long, default_value = board::DEFAULT)]
    board: String,
    /// The model to flash, one of the next frame or of pictures.
    #[arg(long, value_name = "M.btm")]
    model: PathBuf,
    #[command(flatten)]
    wanted: Wanted,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
    /// Seconds that the run may take, builds apart.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
}

/// Draws on the board and on the host, compares, and writes the board's sheet.
///
/// # Errors
///
/// Names the file, or says what the device or QEMU did, or where its pictures are others.
pub fn run(args: Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    let wanted = &args.wanted;
    check_out(&wanted.out, &[&args.model])?;
    let bytes = host::read_model(&args.model)?;
    let model = host::parse(&bytes)?;
    let in_model = |error: bt_train::Error| error.file(&args.model);
    let size = (
        wanted.count.get(),
        wanted.steps_of(&model).map_err(in_model)?,
    );
    setup::ensure(&[board])?;
    let served = Served::start(board, &args.model, false)?;
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let mut device = Device::new(&served.line, deadline);
    let pictures = draw(&mut device, &model, wanted.seed, size).context(board.name)?;
    let statistics = device.statistics()?;
    wanted.write(&pictures)?;
    let expected = drawing::draw(&model, wanted.seed, size, || ())?;
    if let Some(number) = (0..size.0).find(|&n| pictures.bits[n] != expected.bits[n]) {
        bail!(
            "{}: picture {number} of seed {} is another than the host's",
            board.name,
            wanted.seed
        );
    }
    let ticks = statistics.ticks as f64 / size.0 as f64;
    let instructions = emulator::instructions(ticks, board.ticks_hz()).round();
    if args.json {
        say!(
            "{}",
            json!({
                "pictures": size.0,
                "steps": pictures.steps,
                "bits": pictures.width,
                "seed": wanted.seed,
                "instructions_per_picture": instructions,
            })
        );
    } else {
        say!(
            "pictures                  {}, the same as the host's",
            size.0
        );
        say!("instructions per picture  {instructions}");
        say!("{}", wanted.out.display());
    }
    Ok(())
}

/// Pictures 0 to `count` − 1 of a seed, each of so many steps, over the line.
///
/// # Errors
///
/// The device holds another model, refuses, or does not answer.
pub fn draw<S: Read + Write>(
    device: &mut Device<S>,
    model: &Model<'_>,
    seed: u64,
    (count, steps): (usize, usize),
) -> Result<Pictures> {
    let identity = device.hello_with(model)?;
    device.clear()?;
    let bar = progress::bar(count, &format!("drawing on {}", identity.board));
    let mut bits = Vec::with_capacity(count);
    let pixels = model.outputs() as u16;
    let last = u32::try_from(steps).context("the steps")?;
    for number in 0..count {
        let number = u32::try_from(number).context("the number of the picture")?;
        let mut picture = Vec::new();
        for step in 0..last {
            match model.painting() {
                None => picture.extend(device.draw(seed, number, step)?),
                Some(_) if step + 1 < last => device.paint(seed, number, step, pixels)?,
                Some(_) => picture = device.pixels(seed, number, step, pixels)?,
            }
        }
        bits.push(picture);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Pictures::of(model, steps, bits))
}
