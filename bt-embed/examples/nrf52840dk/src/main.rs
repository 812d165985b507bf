//! A model on an nRF52840 DK: values come over the debug probe's serial port, scores go back, the LED lights on a
//! detection.
#![no_std]
#![no_main]

use bt_core::{arena_words, output_count};
use bt_embed::adapter::{ActiveLow, Waiting};
use bt_embed::app::{self, Memory};
use bt_embed::board::{Board, SysTickClock, measure_stack};
use defmt_rtt as _;
use embassy_nrf::buffered_uarte::{self, BufferedUarte};
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::gpio::{Level, Output, OutputDrive};
use embassy_nrf::peripherals::UARTE0;
use embassy_nrf::{bind_interrupts, uarte};
use panic_probe as _;

/// Of the core.
const CLOCK_HZ: u32 = 64_000_000;
/// Longest frame on the wire.
const LINE_BYTES: usize = 1100;
/// What the line may bring while a step computes: 44 ms at 115,200 baud. DMA fills it.
const RECEIVED_BYTES: usize = 512;

static MODEL: &[u8] = bt_core::include_model!(env!("BT_MODEL"));

bind_interrupts!(struct Interrupts {
    UARTE0 => buffered_uarte::InterruptHandler<UARTE0>;
});

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MEMORY: Memory<LINE_BYTES, { arena_words(MODEL) }, { output_count(MODEL) }> =
        Memory::new();
    static mut RECEIVED: [u8; RECEIVED_BYTES] = [0; RECEIVED_BYTES];
    static mut SENT: [u8; 64] = [0; 64];
    let Some(core) = cortex_m::Peripherals::take() else {
        defmt::unreachable!("main runs once");
    };
    if let Err(lack) = bt_core::check_processor() {
        defmt::panic!("{}", lack);
    }
    // The oscillator inside is too far off for a UART; every board with a radio has the crystal.
    let mut config = Config::default();
    config.hfclk_source = HfclkSource::ExternalXtal;
    let chip = embassy_nrf::init(config);
    let line = BufferedUarte::new(
        chip.UARTE0,
        chip.TIMER0,
        chip.PPI_CH0,
        chip.PPI_CH1,
        chip.PPI_GROUP0,
        chip.P0_08,
        chip.P0_06,
        Interrupts,
        uarte::Config::default(),
        RECEIVED,
        SENT,
    );
    let board = Board {
        name: "nrf52840dk",
        stream: Waiting(line),
        ticks: SysTickClock::new(core.SYST, CLOCK_HZ),
        led: ActiveLow(Output::new(chip.P0_13, Level::High, OutputDrive::Standard)),
        stack: measure_stack,
    };
    let ended = app::run(board, MODEL, MEMORY);
    defmt::panic!("a UART does not end: {}", defmt::Debug2Format(&ended));
}
