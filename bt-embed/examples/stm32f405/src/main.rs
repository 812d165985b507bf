//! A model on an STM32F405: values come over USART1, scores go back, the LED lights on a detection.
#![no_std]
#![no_main]

#[cfg(feature = "slots")]
mod slots;

#[cfg(feature = "slots")]
use core::cell::RefCell;

use bt_core::{arena_words, output_count};
use bt_embed::adapter::Nb;
use bt_embed::app::{self, Memory};
use bt_embed::board::{Board, SysTickClock, measure_stack};
use defmt_rtt as _;
use panic_probe as _;
use stm32f4xx_hal::rcc::{Config, Rcc};
use stm32f4xx_hal::{pac, prelude::*};

/// The crystal of the board: 25 MHz on a Netduino Plus 2, 12 on a Feather STM32F405.
const CRYSTAL_MHZ: u32 = 25;
/// How often the crystal is asked before it is given up; it starts within some 2 ms.
const CRYSTAL_TRIES: u32 = 100_000;
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

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MEMORY: Memory<LINE_BYTES, ARENA, SCORES> = Memory::new();
    let (Some(core), Some(chip)) = (cortex_m::Peripherals::take(), pac::Peripherals::take()) else {
        defmt::unreachable!("main runs once");
    };
    if let Err(lack) = bt_core::check_processor() {
        defmt::panic!("{}", lack);
    }
    let mut rcc = clocks(chip.RCC);
    let (a, b) = (chip.GPIOA.split(&mut rcc), chip.GPIOB.split(&mut rcc));
    let line = chip.USART1.serial((b.pb6, b.pb7), 115_200.bps(), &mut rcc);
    let board = Board {
        name: "netduinoplus2",
        stream: Nb(defmt::unwrap!(
            line.ok(),
            "115,200 baud of any of the clocks"
        )),
        ticks: SysTickClock::new(core.SYST, rcc.clocks.hclk().raw()),
        led: a.pa10.into_push_pull_output(),
        stack: measure_stack,
    };
    #[cfg(feature = "slots")]
    let ended = {
        let flash = RefCell::new(slots::CoherentFlash(chip.FLASH));
        app::run_with_slots(board, Some(&mut slots::slots(&flash)), MODEL, MEMORY)
    };
    #[cfg(not(feature = "slots"))]
    let ended = app::run(board, MODEL, MEMORY);
    defmt::panic!("a UART does not end: {}", defmt::Debug2Format(&ended));
}

/// 168 MHz from the crystal, or the 16 MHz of the oscillator inside where no crystal answers.
fn clocks(rcc: pac::RCC) -> Rcc {
    rcc.cr().modify(|_, w| w.hseon().set_bit());
    let answers = (0..CRYSTAL_TRIES).any(|_| rcc.cr().read().hserdy().bit_is_set());
    if answers {
        return rcc.freeze(Config::hse(CRYSTAL_MHZ.MHz()).sysclk(168.MHz()));
    }
    defmt::warn!("no crystal of {=u32} MHz: 16 MHz from inside", CRYSTAL_MHZ);
    rcc.cr().modify(|_, w| w.hseon().clear_bit());
    rcc.freeze(Config::hsi())
}
