//! A model on a micro:bit v1: values come over the debug probe's serial port, scores go back, the LED in the corner
//! lights on a detection.
#![no_std]
#![no_main]

use bt_core::{arena_words, output_count};
use bt_embed::app::{self, Memory};
use bt_embed::board::{Board, Ticks, measure_stack};
use defmt_rtt as _;
use nrf51_hal::gpio::{Level, p0};
use nrf51_hal::timer::Periodic;
use nrf51_hal::uart::{Baudrate, Parity, Pins, Uart};
use nrf51_hal::{Timer, pac};
use panic_probe as _;

/// Longest frame on the wire: RAM is short.
const LINE_BYTES: usize = 300;
/// How often the crystal is asked before it is given up; it starts within some 1 ms.
const CRYSTAL_TRIES: u32 = 10_000;

static MODEL: &[u8] = bt_core::include_model!(env!("BT_MODEL"));

/// TIMER0 at 1 MHz: an nRF51 has no SysTick.
struct Microseconds(Timer<pac::TIMER0, Periodic>);

impl Ticks for Microseconds {
    fn hertz(&self) -> u32 {
        1_000_000
    }

    fn now(&self) -> u32 {
        self.0.read()
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MEMORY: Memory<LINE_BYTES, { arena_words(MODEL) }, { output_count(MODEL) }> =
        Memory::new();
    let Some(chip) = pac::Peripherals::take() else {
        defmt::unreachable!("main runs once");
    };
    if let Err(lack) = bt_core::check_processor() {
        defmt::panic!("{}", lack);
    }
    let pins = p0::Parts::new(chip.GPIO);
    let line = Pins {
        rxd: pins.p0_25.into_floating_input().degrade(),
        txd: pins.p0_24.into_push_pull_output(Level::High).degrade(),
        cts: None,
        rts: None,
    };
    // The LED of the first row and column is lit while its row is high and its column low, which it stays.
    let _column = pins.p0_04.into_push_pull_output(Level::Low);
    let mut timer = Timer::periodic(chip.TIMER0);
    timer.start(u32::MAX);
    let line = Uart::new(chip.UART0, line, Parity::EXCLUDED, Baudrate::BAUD115200);
    // The HAL sends a byte when the one before has gone, so the first must go past it: a delimiter, which ends no
    // frame. Nothing else writes to the register before `app::run` does.
    unsafe { &*pac::UART0::ptr() }
        .txd
        .write(|w| unsafe { w.bits(0) });
    start_crystal(&chip.CLOCK);
    let board = Board {
        name: "microbit-v1",
        stream: line,
        ticks: Microseconds(timer),
        led: pins.p0_13.into_push_pull_output(Level::Low),
        stack: measure_stack,
    };
    let ended = app::run(board, MODEL, MEMORY);
    defmt::panic!("a UART does not end: {}", defmt::Debug2Format(&ended));
}

/// The oscillator inside is too far off for a UART; it goes on where no crystal answers.
fn start_crystal(clock: &pac::CLOCK) {
    clock.tasks_hfclkstart.write(|w| unsafe { w.bits(1) });
    let answers = (0..CRYSTAL_TRIES).any(|_| clock.events_hfclkstarted.read().bits() != 0);
    if !answers {
        defmt::warn!("no crystal: 16 MHz from inside");
    }
}
