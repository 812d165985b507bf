//! A model on a Raspberry Pi Pico 2: values come over UART0, scores go back, the LED lights on a detection.
#![no_std]
#![no_main]

#[cfg(feature = "slots")]
mod slots;

#[cfg(feature = "slots")]
use core::cell::RefCell;

use bt_core::{arena_words, output_count};
use bt_embed::app::{self, Memory};
use bt_embed::board::{Board, SysTickClock, measure_stack};
use defmt_rtt as _;
use panic_probe as _;
use rp235x_hal::block::ImageDef;
use rp235x_hal::clocks::init_clocks_and_plls;
use rp235x_hal::fugit::RateExtU32;
use rp235x_hal::gpio::Pins;
use rp235x_hal::uart::{DataBits, StopBits, UartConfig, UartPeripheral};
use rp235x_hal::{Clock, Sio, Watchdog, pac};

/// The crystal of the board.
const CRYSTAL_HZ: u32 = 12_000_000;
/// Longest frame on the wire.
const LINE_BYTES: usize = 1100;

/// What models that come over the line may take.
const SLOT_ARENA_BYTES: usize = 64 * 1024;
const SLOT_SCORES: usize = 64;

static MODEL: &[u8] = bt_core::include_model!(env!("BT_MODEL"));

const HAS_SLOTS: bool = cfg!(feature = "slots");
const ARENA: usize = if HAS_SLOTS {
    SLOT_ARENA_BYTES / 4
} else {
    arena_words(MODEL)
};
const SCORES: usize = if HAS_SLOTS {
    SLOT_SCORES
} else {
    output_count(MODEL)
};

/// Tells the boot ROM that this is a program for the Arm cores.
#[unsafe(link_section = ".start_block")]
#[used]
static IMAGE: ImageDef = ImageDef::secure_exe();

#[rp235x_hal::entry]
fn main() -> ! {
    static mut MEMORY: Memory<LINE_BYTES, ARENA, SCORES> = Memory::new();
    let (Some(core), Some(mut chip)) = (cortex_m::Peripherals::take(), pac::Peripherals::take())
    else {
        defmt::unreachable!("main runs once");
    };
    if let Err(lack) = bt_core::check_processor() {
        defmt::panic!("{}", lack);
    }
    let mut watchdog = Watchdog::new(chip.WATCHDOG);
    let clocks = init_clocks_and_plls(
        CRYSTAL_HZ,
        chip.XOSC,
        chip.CLOCKS,
        chip.PLL_SYS,
        chip.PLL_USB,
        &mut chip.RESETS,
        &mut watchdog,
    );
    let clocks = defmt::unwrap!(clocks.ok(), "150 MHz from the crystal");
    let sio = Sio::new(chip.SIO);
    let pins = Pins::new(
        chip.IO_BANK0,
        chip.PADS_BANK0,
        sio.gpio_bank0,
        &mut chip.RESETS,
    );
    let line = (pins.gpio0.into_function(), pins.gpio1.into_function());
    let config = UartConfig::new(115_200.Hz(), DataBits::Eight, None, StopBits::One);
    let line = UartPeripheral::new(chip.UART0, line, &mut chip.RESETS)
        .enable(config, clocks.peripheral_clock.freq());
    let board = Board {
        name: "pico2",
        stream: defmt::unwrap!(line.ok(), "115,200 baud of the clock"),
        ticks: SysTickClock::new(core.SYST, clocks.system_clock.freq().to_Hz()),
        led: pins.gpio25.into_push_pull_output(),
        stack: measure_stack,
    };
    #[cfg(feature = "slots")]
    let ended = {
        let flash = RefCell::new(slots::RomFlash);
        app::run_with_slots(board, Some(&mut slots::slots(&flash)), MODEL, MEMORY)
    };
    #[cfg(not(feature = "slots"))]
    let ended = app::run(board, MODEL, MEMORY);
    defmt::panic!("a UART does not end: {}", defmt::Debug2Format(&ended));
}
