//! Ticks of a session on the model in flash, for zeros, extremes and noise,
//! each beside checksums of its results; `cargo xtask bench` compares them with
//! the host's and turns ticks into instructions.
//!
//! One line by semihosting for each pattern: its name, then numbers.
#![no_std]
#![no_main]

use bt_core::internals::cell::{self, Gate, Units};
use bt_core::{InputType, Model, Session};
use bt_embed::board::{self, Ticks, exit};
use bt_embed::pattern::Pattern;
use bt_embed::wire::frame::CRC;
use semihosting::println;

/// Bytes of one push: a line of a colour camera of 160 pixels.
const PUSH_BYTES: usize = 480;

/// Frames of each pattern; the last one is measured, from a state that the others left.
const FRAMES: usize = 2;

const MODEL: &[u8] = bt_embed::model!();
const ARENA: usize = bt_embed::arena_words(MODEL);

/// Arena, line and scores.
type Memory = ([u32; ARENA], [u8; PUSH_BYTES], [i32; bt_embed::CLASSES]);

bt_embed::entry!(
    run,
    Memory = ([0; ARENA], [0; PUSH_BYTES], [0; bt_embed::CLASSES])
);

fn run((arena, line, scores): &'static mut Memory) -> ! {
    board::require_processor();
    let model = bt_embed::flashed(MODEL);
    match measure(model, arena, line, scores) {
        Some(()) => exit::success(),
        None => exit::failure(),
    }
}

bt_embed::handlers!();

/// What is told of a pattern.
#[derive(Clone, Copy, Default)]
struct Figures {
    push_ticks: u32,
    push_ticks_max: u32,
    step_ticks: u32,
    score_ticks: u32,
    value_ticks_max: u32,
    z_crc: u32,
    scores_crc: u32,
}

fn measure(
    bytes: &[u8],
    arena: &mut [u32],
    line: &mut [u8; PUSH_BYTES],
    scores: &mut [i32],
) -> Option<()> {
    let board = board::take()?;
    let model = Model::parse(bytes).ok()?;
    let scores = scores.get_mut(..model.outputs())?;
    let width = model.input_type().bytes();
    let mut figures = [Figures::default(); 3];
    for (pattern, figures) in Pattern::ALL.into_iter().zip(&mut figures) {
        let mut session = Session::new(&model, arena).ok()?;
        for round in 0..=FRAMES {
            // The last value by value, by the same call: of a second one the compiler would make less of the first.
            let is_by_value = round == FRAMES;
            let size = if is_by_value { width } else { PUSH_BYTES };
            let line = line.get_mut(..size)?;
            let told = frame(&mut session, line, pattern, &board.ticks, scores)?;
            if is_by_value {
                figures.value_ticks_max = told.push_ticks_max;
            } else {
                *figures = told;
            }
        }
    }
    let cell_ticks = gates(model.gate(), model.hidden(), arena, &board.ticks)?;
    // Printing needs more stack than what is measured.
    let stack = (board.stack)();
    println!(
        "board {} {} {}",
        board.ticks.hertz(),
        stack.bytes_used,
        cell_ticks
    );
    for (pattern, f) in Pattern::ALL.into_iter().zip(figures) {
        println!(
            "{} {} {} {} {} {} {} {}",
            pattern.name(),
            f.push_ticks,
            f.push_ticks_max,
            f.step_ticks,
            f.score_ticks,
            f.value_ticks_max,
            f.z_crc,
            f.scores_crc
        );
    }
    Some(())
}

/// One frame, in pushes of so many bytes as `line` has, and its step.
fn frame(
    session: &mut Session<'_, '_>,
    line: &mut [u8],
    pattern: Pattern,
    ticks: &impl Ticks,
    scores: &mut [i32],
) -> Option<Figures> {
    let input = session.model().input_type();
    let (width, signed) = (input.bytes(), input != InputType::U8);
    let mut figures = Figures::default();
    let (mut at, mut left) = (0, session.model().frame_values() * width);
    while left > 0 {
        let size = left.min(line.len());
        let line = line.get_mut(..size)?;
        for (i, byte) in line.iter_mut().enumerate() {
            *byte = pattern.byte(at + i, width, signed);
        }
        let start = ticks.now();
        let taken = session.push_bytes(line).ok()?;
        let spent = ticks.now().wrapping_sub(start);
        if taken != line.len() {
            return None;
        }
        figures.push_ticks += spent;
        figures.push_ticks_max = figures.push_ticks_max.max(spent);
        at += taken;
        left -= taken;
    }
    let mut digest = CRC.digest();
    for z in session.pre_activations() {
        digest.update(&z.to_le_bytes());
    }
    figures.z_crc = digest.finalize();
    let start = ticks.now();
    session.step().ok()?;
    figures.step_ticks = ticks.now().wrapping_sub(start);
    let start = ticks.now();
    session.scores(scores).ok()?;
    figures.score_ticks = ticks.now().wrapping_sub(start);
    let mut digest = CRC.digest();
    for score in scores {
        digest.update(&score.to_le_bytes());
    }
    figures.scores_crc = digest.finalize();
    Some(figures)
}

/// Ticks of one gate update alone, in the memory of the session that is over.
fn gates(gate: Gate, units: usize, arena: &mut [u32], ticks: &impl Ticks) -> Option<u32> {
    let (z, rest) = arena.split_at_mut_checked(2 * units)?;
    let (c, rest) = rest.split_at_mut_checked(units)?;
    let h = rest.get_mut(..units.div_ceil(2))?;
    let h: &mut [i16] = bytemuck::cast_slice_mut(h);
    let h = h.get_mut(..units)?;
    let units = Units::new(bytemuck::cast_slice(z), bytemuck::cast_slice_mut(c), h)?;
    let start = ticks.now();
    cell::update(gate, units);
    Some(ticks.now().wrapping_sub(start))
}
