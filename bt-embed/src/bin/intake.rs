//! A sensor that does not wait: a timer's interrupt delivers pieces of frames of noise while the loop computes, at a
//! rate that the core just holds and at one that it does not.
//!
//! Every score is compared with that of the same whole frames pushed without any hurry. One line by semihosting for
//! each rate: ticks from piece to piece, frames delivered, completed and lost, thousandths of the time asleep.
#![no_std]
#![no_main]

use core::cell::RefCell;

use bt_core::{Model, Session};
use bt_embed::board::register::Block;
use bt_embed::board::{self, Ticks, exit};
use bt_embed::intake::{self, Delivery, Pieces, Taken};
use cortex_m::interrupt::{Mutex, free};
use semihosting::println;

/// Timer 0 of the CMSDK and its interrupt.
const TIMER: usize = 0x4000_0000;
const TIMER_IRQ: u32 = 8;
const CONTROL: usize = 0x0;
const VALUE: usize = 0x4;
const RELOAD: usize = 0x8;
const CLEAR: usize = 0xC;
const ENABLE_WITH_INTERRUPT: u32 = 0b1001;

/// Interrupts enabled by their bits.
const NVIC: usize = 0xE000_E100;

/// Bytes of a piece.
const PIECE: usize = 16;
/// Two frames of the test's model, and one place that stays free.
const PLACES: usize = 2 * 24 + 1;
/// Frames that are delivered at each rate.
const FRAMES: u32 = 60;

const MODEL: &[u8] = bt_embed::model!();
const ARENA: usize = bt_embed::arena_words(MODEL);
const CLASSES: usize = bt_embed::CLASSES;

/// Two sessions' arenas and scores, and a queue for each rate.
type Memory = (
    [[u32; ARENA]; 2],
    [[i32; CLASSES]; 2],
    [Pieces<PIECE, PLACES>; 2],
);

bt_embed::entry!(
    run,
    Memory = (
        [[0; ARENA]; 2],
        [[0; CLASSES]; 2],
        [Pieces::new(), Pieces::new()]
    )
);

/// What the interrupt has: its end of the queue, and where in the noise it is.
struct Sensor {
    delivery: Delivery<'static, PIECE>,
    frame: u32,
    offset: u32,
    frame_bytes: u32,
}

static SENSOR: Mutex<RefCell<Option<Sensor>>> = Mutex::new(RefCell::new(None));

bt_embed::handlers!();

/// The number of the timer's interrupt leads here.
#[cortex_m_rt::exception]
unsafe fn DefaultHandler(_number: i16) {
    // SAFETY: by application note AN386 this is timer 0.
    let timer = unsafe { Block::at(TIMER) };
    timer.register(CLEAR).write(1);
    free(|token| {
        let mut sensor = SENSOR.borrow(token).borrow_mut();
        let Some(sensor) = sensor.as_mut().filter(|sensor| sensor.frame < FRAMES) else {
            return;
        };
        let mut bytes = [0; PIECE];
        let length = PIECE.min((sensor.frame_bytes - sensor.offset) as usize);
        let bytes = bytes.get_mut(..length).unwrap_or_default();
        noise(sensor.frame, sensor.offset, bytes);
        sensor.delivery.deliver(bytes);
        sensor.offset += length as u32;
        if sensor.offset == sensor.frame_bytes {
            sensor.offset = 0;
            sensor.frame += 1;
        }
    });
}

/// The same bytes whenever they are asked for.
fn noise(frame: u32, offset: u32, bytes: &mut [u8]) {
    for (byte, at) in bytes.iter_mut().zip(offset..) {
        let mixed = (frame << 12 ^ at).wrapping_add(1).wrapping_mul(0x9E37_79B9);
        *byte = (mixed >> 21) as u8;
    }
}

fn run((arenas, scores, queues): &'static mut Memory) -> ! {
    board::require_processor();
    match both_rates(arenas, scores, queues) {
        Ok(()) => exit::success(),
        Err(what) => {
            println!("{}", what);
            exit::failure()
        }
    }
}

fn both_rates(
    arenas: &mut [[u32; ARENA]; 2],
    scores: &mut [[i32; CLASSES]; 2],
    queues: &'static mut [Pieces<PIECE, PLACES>; 2],
) -> Result<(), &'static str> {
    let board = board::take().ok_or("the board was taken")?;
    let model = Model::parse(bt_embed::flashed(MODEL)).map_err(|_| "no model")?;
    let frame_bytes = (model.frame_values() * model.input_type().bytes()) as u32;
    let pieces = frame_bytes.div_ceil(PIECE as u32);
    let [streamed, plain] = arenas;
    let [scores, expected] = scores;

    // How long a frame takes without interrupts.
    let mut session = Session::new(&model, streamed).map_err(|_| "no arena")?;
    let before = board.ticks.now();
    whole_frame(&mut session, 0, frame_bytes, expected)?;
    let frame_ticks = board.ticks.now().wrapping_sub(before);

    // Interrupts and the queue cost a fifth of the time that a frame takes.
    for (queue, (factor, holds)) in queues.iter_mut().zip([(125, true), (60, false)]) {
        let period = frame_ticks * factor / 100 / pieces;
        let mut session = Session::new(&model, streamed).map_err(|_| "no arena")?;
        let mut slow = Session::new(&model, plain).map_err(|_| "no arena")?;
        let (delivery, mut intake) = intake::split(queue, &model);
        start(
            period,
            Sensor {
                delivery,
                frame: 0,
                offset: 0,
                frame_bytes,
            },
        );
        let (began, mut asleep) = (board.ticks.now(), 0);
        let mut whole = [false; FRAMES as usize];
        loop {
            match intake
                .take(&mut session)
                .map_err(|_| "a piece was refused")?
            {
                Taken::Nothing if delivered_all() => break,
                Taken::Nothing => {
                    let before = board.ticks.now();
                    // An interrupt ends this even while it may not run: none is slept through.
                    free(|_| {
                        if intake.is_empty() {
                            cortex_m::asm::wfi();
                        }
                    });
                    asleep += board.ticks.now().wrapping_sub(before);
                }
                Taken::Frame => {
                    session.step().map_err(|_| "no step")?;
                    session.scores(scores).map_err(|_| "no scores")?;
                    let frame = intake.next_frame().wrapping_sub(1);
                    *whole.get_mut(frame as usize).ok_or("no such frame")? = true;
                }
                Taken::Piece | Taken::Lost => {}
            }
        }
        let took = board.ticks.now().wrapping_sub(began);
        stop();
        for frame in (0..).zip(whole).filter(|&(_, whole)| whole).map(|(n, _)| n) {
            whole_frame(&mut slow, frame, frame_bytes, expected)?;
        }
        let counts = intake.counts();
        println!(
            "{} {} {} {} {}",
            period,
            FRAMES,
            counts.frames,
            counts.frames_lost,
            asleep / (took / 1000)
        );
        if scores != expected || slow.steps() != counts.frames {
            return Err("the scores are not those of the whole frames");
        }
        if holds != (counts.frames == FRAMES) || holds != (counts.bytes_lost == 0) {
            return Err(
                "frames were lost where the core holds the rate, or none where it does not",
            );
        }
        // The last frames may be lost without another behind them that tells.
        let told = counts.frames + counts.frames_lost;
        if told > FRAMES || told + 2 < FRAMES {
            return Err("frames were lost without being counted");
        }
    }
    Ok(())
}

/// A frame of noise in one piece, its step and scores.
fn whole_frame(
    session: &mut Session<'_, '_>,
    frame: u32,
    frame_bytes: u32,
    scores: &mut [i32],
) -> Result<(), &'static str> {
    let mut offset = 0;
    while offset < frame_bytes {
        let mut bytes = [0; PIECE];
        let length = PIECE.min((frame_bytes - offset) as usize);
        let bytes = bytes.get_mut(..length).unwrap_or_default();
        noise(frame, offset, bytes);
        session
            .push_bytes(bytes)
            .map_err(|_| "a push was refused")?;
        offset += length as u32;
    }
    session.step().map_err(|_| "no step")?;
    session.scores(scores).map_err(|_| "no scores")
}

fn start(period: u32, sensor: Sensor) {
    free(|token| SENSOR.borrow(token).replace(Some(sensor)));
    // SAFETY: by the architecture and AN386 these are device registers, and no memory of the program.
    let (timer, nvic) = unsafe { (Block::at(TIMER), Block::at(NVIC)) };
    timer.register(RELOAD).write(period);
    timer.register(VALUE).write(period);
    timer.register(CONTROL).write(ENABLE_WITH_INTERRUPT);
    nvic.register(0).write(1 << TIMER_IRQ);
}

fn stop() {
    // SAFETY: as in `start`.
    unsafe { Block::at(TIMER) }.register(CONTROL).write(0);
    free(|token| SENSOR.borrow(token).replace(None));
}

fn delivered_all() -> bool {
    free(|token| {
        let sensor = SENSOR.borrow(token).borrow();
        sensor.as_ref().is_none_or(|sensor| sensor.frame >= FRAMES)
    })
}
