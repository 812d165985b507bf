//! Two models and one arena: a wake word model listens to the line, and after a detection the commands model listens
//! for [`COMMAND_STEPS`] steps. What each detects goes back as a line of text: who, class, step, smoothed probability,
//! then the model's scores.
//!
//! The line stands for a microphone whose samples come by DMA: `examples/nrf52840dk` has one.
#![no_std]
#![no_main]

use core::fmt::Write as _;
use core::hint::black_box;

use bt_core::detection::{Detection, Rule};
use bt_core::{Model, arena_words, output_count};
use bt_embed::board::{self, exit};
use bt_embed::listen::{Listener, Task, larger};
use embedded_io::Write;
use semihosting::println;

const COMMANDS: &[u8] = bt_embed::model!();
const WAKE: &[u8] = bt_core::include_model!(concat!(env!("OUT_DIR"), "/wake.btm"));

const ARENA: usize = larger(arena_words(WAKE), arena_words(COMMANDS));
const CLASSES: usize = larger(output_count(WAKE), output_count(COMMANDS));

/// Of the wake word, class 0. Thresholds are what `bt-train detect` finds in recordings; these are the test's.
const WAKE_RULES: [(usize, Rule); 1] = [(0, rule(6_000, 2))];

/// Of two commands, classes 2 and 3.
const COMMAND_RULES: [(usize, Rule); 2] = [(2, rule(21_500, 1)), (3, rule(10_500, 1))];

/// Steps in which a command is waited for.
const COMMAND_STEPS: u32 = 12;

/// Whoever detected something is followed by another model: nothing is held off.
const fn rule(threshold: u16, smoothing: u8) -> Rule {
    Rule {
        threshold,
        smoothing,
        hold_off: 0,
    }
}

type Memory = Listener<ARENA, CLASSES>;

bt_embed::entry!(run, Memory = Memory::new());

bt_embed::handlers!();

fn run(listener: &'static mut Memory) -> ! {
    board::require_processor();
    if let Err(what) = listen(listener) {
        println!("{}", what);
    }
    exit::failure()
}

/// Until the line ends or fails, which no UART of an emulator does.
fn listen(listener: &mut Memory) -> Result<(), &'static str> {
    let mut board = board::take().ok_or("the board was taken")?;
    let line = &mut board.stream;
    let parsed = Model::parse(black_box(WAKE)).ok();
    let wake = parsed.as_ref().ok_or("no wake word model")?;
    let parsed = Model::parse(black_box(COMMANDS)).ok();
    let commands = parsed.as_ref().ok_or("no commands model")?;
    let wake_word = Task {
        model: wake,
        rules: &WAKE_RULES,
        window: 0,
        steps_max: None,
    };
    let command = Task {
        model: commands,
        rules: &COMMAND_RULES,
        window: 0,
        steps_max: Some(COMMAND_STEPS),
    };
    loop {
        for (who, task) in [("wake", wake_word), ("command", command)] {
            let found = listener
                .listen(task, line)
                .map_err(|_| "nobody listens any longer")?;
            report(line, who, found, listener.scores(task.model))
                .map_err(|_| "a report was not written")?;
        }
    }
}

/// One line of text.
fn report<W: Write>(
    line: &mut W,
    who: &str,
    found: Option<Detection>,
    scores: &[i32],
) -> Result<(), W::Error> {
    let mut text = heapless::String::<64>::new();
    // What does not fit is left out; the longest is shorter.
    let _ = match found {
        Some(found) => write!(
            text,
            "{who} {} {} {}",
            found.class, found.step, found.confidence
        ),
        None => write!(text, "{who} none"),
    };
    line.write_all(text.as_bytes())?;
    for score in scores {
        text.clear();
        let _ = write!(text, " {score}");
        line.write_all(text.as_bytes())?;
    }
    line.write_all(b"\n")
}
