//! `cargo xtask caption`: captions that a board tells of a data set's pictures, beside the host's.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bt_core::Model;
use bt_core::captions::END;
use bt_embed::wire::Golden;
use bt_train::command::captions::Drawing;
use bt_train::data::{Part, Recordings};
use bt_train::training::caption::Pictures;
use bt_train::{device as host, say};
use serde_json::json;

use crate::board::{self, Board};
use crate::device::Device;
use crate::emulator;
use crate::port::Port;
use crate::qemu::{Served, test_part};
use crate::{progress, setup};

/// A model of captions on a board.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The board; `cargo xtask boards` lists them.
    #[arg(long, default_value = board::DEFAULT)]
    board: String,
    /// The model to flash, one that tells captions.
    #[arg(long, value_name = "M.btm")]
    model: PathBuf,
    /// The data set; the pictures of its test part are sent.
    #[arg(long, value_name = "D.npz")]
    data: PathBuf,
    #[command(flatten)]
    drawing: Drawing,
    /// Send only the first K pictures.
    #[arg(long, value_name = "K")]
    limit: Option<usize>,
    /// The serial port of a flashed board; without it QEMU runs the firmware that would be flashed.
    #[arg(long, value_name = "/dev/tty…")]
    port: Option<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
    /// Seconds that the run may take, builds apart.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
}

/// What a board told.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The words of every picture's caption, and their texts.
    pub captions: Vec<Vec<(usize, String)>>,
    /// Ticks of a picture's own step, values pushed, on average.
    pub picture_ticks: f64,
    /// Ticks of a word's step, without its scores, on average.
    pub word_ticks: f64,
    /// Ticks of the longest scores.
    pub scores_ticks: u32,
    /// Bytes of stack ever used.
    pub stack_bytes: u32,
}

/// Asks for captions, compares them with the host's words, and prints them.
///
/// # Errors
///
/// Names the file, or says what the device or QEMU did, or where its captions are others.
pub fn run(args: Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    let bytes = host::read_model(&args.model)?;
    let model = host::parse(&bytes)?;
    let part = test_part(&model, &args.data, &Recordings::default());
    let part = part.map_err(|error| error.file(&args.data))?;
    let mut pictures = Pictures::in_part(&part);
    pictures
        .sequences
        .truncate(args.limit.unwrap_or(usize::MAX));
    let expected = host::captions(
        &model,
        &part,
        &pictures.sequences,
        |number| args.drawing.teller(number),
        || (),
    );
    let expected = expected.map_err(|error| error.file(&args.model))?;
    let deadline = |limit| Instant::now() + Duration::from_secs(limit);
    let sequences = &pictures.sequences;
    let told = match &args.port {
        Some(port) => {
            let mut device = Device::new(Port::open(port)?, deadline(args.timeout));
            tell(&mut device, &model, &part, sequences, &args.drawing)
        }
        None => {
            setup::ensure(&[board])?;
            let served = Served::start(board, &args.model, false)?;
            let mut device = Device::new(&served.line, deadline(args.timeout));
            tell(&mut device, &model, &part, sequences, &args.drawing)
        }
    };
    let told = told.context(board.name)?;
    for (number, (told, expected)) in told.captions.iter().zip(&expected).enumerate() {
        let words = told.iter().map(|(word, _)| word);
        if !words.eq(expected) {
            bail!(
                "{}: caption {number} is another than the host's",
                board.name
            );
        }
    }
    // The clock of a real board counts time, QEMU's instructions.
    let instructions = |ticks: f64| match args.port {
        Some(_) => None,
        None => Some(emulator::instructions(ticks, board.ticks_hz()).round()),
    };
    let of_word = instructions(told.word_ticks);
    let of_scores = instructions(told.scores_ticks.into());
    let of_picture = instructions(told.picture_ticks);
    if args.json {
        say!(
            "{}",
            json!({
                "pictures": told.captions.len(),
                "words": told.captions.iter().map(Vec::len).sum::<usize>(),
                "instructions_per_picture": of_picture,
                "instructions_per_word": of_word,
                "instructions_scores_max": of_scores,
                "stack_bytes": told.stack_bytes,
                "ram_bytes": model.arena_bytes(),
            })
        );
        return Ok(());
    }
    for caption in &told.captions {
        let words: Vec<&str> = caption.iter().map(|(_, text)| text.as_str()).collect();
        say!("{}", words.join(" "));
    }
    say!(
        "pictures                  {}, their words the same as the host's",
        told.captions.len()
    );
    for (name, count) in [
        ("instructions per picture ", of_picture),
        ("instructions per word    ", of_word),
        ("  and for its scores     ", of_scores),
    ] {
        if let Some(count) = count {
            say!("{name} {count}");
        }
    }
    say!("stack used                {} bytes", told.stack_bytes);
    Ok(())
}

/// A caption of each of these sequences' pictures, over the line.
///
/// # Errors
///
/// The device holds another model, its self test failed, it refuses, or does not answer.
pub fn tell<S: Read + Write>(
    device: &mut Device<S>,
    model: &Model<'_>,
    part: &Part,
    sequences: &[usize],
    drawing: &Drawing,
) -> Result<Told> {
    let identity = device.hello_with(model)?;
    if identity.golden == Golden::Failed {
        bail!("the device's self test failed");
    }
    device.clear()?;
    device.reset()?;
    let bar = progress::bar(sequences.len(), &format!("captions of {}", identity.board));
    let mut captions = Vec::with_capacity(sequences.len());
    let (mut of_pictures, mut of_words, mut words, mut of_scores) = (0u64, 0u64, 0u32, 0);
    for (number, &sequence) in sequences.iter().enumerate() {
        let values = host::stream(model, part, sequence);
        for chunk in values.chunks(identity.chunk_bytes_max.max(1)) {
            device.chunk(chunk)?;
        }
        of_pictures += device.clear()?.ticks;
        let (seed, temperature) = drawing.on_the_wire();
        let of = (
            seed,
            u32::try_from(number).context("the picture")?,
            temperature,
        );
        let mut caption = Vec::new();
        loop {
            let at = u16::try_from(caption.len()).context("words of a caption")?;
            match device.tell(of, at)? {
                (END, _) => break,
                told => caption.push(told),
            }
        }
        captions.push(caption);
        let statistics = device.clear()?;
        of_words += statistics.ticks;
        words += statistics.steps;
        of_scores = statistics.score_ticks_max.max(of_scores);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Told {
        picture_ticks: of_pictures as f64 / captions.len().max(1) as f64,
        word_ticks: of_words as f64 / f64::from(words.max(1)),
        scores_ticks: of_scores,
        stack_bytes: device.statistics()?.stack_bytes_used,
        captions,
    })
}
