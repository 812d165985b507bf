//! A model on a NUCLEO-H743ZI2: values come over the debug probe's serial port, scores go back, the LED lights on a
//! detection.
#![no_std]
#![no_main]

use bt_core::{arena_words, output_count};
use bt_embed::adapter::Waiting;
use bt_embed::app::{self, Memory};
use bt_embed::board::{Board, SysTickClock, measure_stack};
use defmt_rtt as _;
use embassy_stm32::gpio::{Level, Output, Speed};
use embassy_stm32::peripherals::USART3;
use embassy_stm32::usart::{self, BufferedUart};
use embassy_stm32::{Config, bind_interrupts, rcc};
use panic_probe as _;

/// Of the core.
const CLOCK_HZ: u32 = 400_000_000;
/// Longest frame on the wire.
const LINE_BYTES: usize = 1100;
/// What the line may bring while a step computes: 44 ms at 115,200 baud. An interrupt fills it.
const RECEIVED_BYTES: usize = 512;

static MODEL: &[u8] = bt_core::include_model!(env!("BT_MODEL"));

bind_interrupts!(struct Interrupts {
    USART3 => usart::BufferedInterruptHandler<USART3>;
});

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut MEMORY: Memory<LINE_BYTES, { arena_words(MODEL) }, { output_count(MODEL) }> =
        Memory::new();
    static mut RECEIVED: [u8; RECEIVED_BYTES] = [0; RECEIVED_BYTES];
    static mut SENT: [u8; 64] = [0; 64];
    let Some(mut core) = cortex_m::Peripherals::take() else {
        defmt::unreachable!("main runs once");
    };
    if let Err(lack) = bt_core::check_processor() {
        defmt::panic!("{}", lack);
    }
    let chip = embassy_stm32::init(clocks());
    // Program and weights lie in flash, which needs wait states; nothing here is written by DMA.
    core.SCB.enable_icache();
    core.SCB.enable_dcache(&mut core.CPUID);
    let line = BufferedUart::new(
        chip.USART3,
        chip.PD9,
        chip.PD8,
        SENT,
        RECEIVED,
        Interrupts,
        usart::Config::default(),
    );
    let board = Board {
        name: "nucleo-h743zi",
        stream: Waiting(defmt::unwrap!(line.ok(), "115,200 baud of the clock")),
        ticks: SysTickClock::new(core.SYST, CLOCK_HZ),
        led: Output::new(chip.PB0, Level::Low, Speed::Low),
        stack: measure_stack,
    };
    let ended = app::run(board, MODEL, MEMORY);
    defmt::panic!("a UART does not end: {}", defmt::Debug2Format(&ended));
}

/// 400 MHz from the oscillator inside: 64 MHz / 4 · 50 / 2.
fn clocks() -> Config {
    let mut config = Config::default();
    config.rcc.hsi = Some(rcc::HSIPrescaler::DIV1);
    config.rcc.pll1 = Some(rcc::Pll {
        source: rcc::PllSource::HSI,
        prediv: rcc::PllPreDiv::DIV4,
        mul: rcc::PllMul::MUL50,
        fracn: None,
        divp: Some(rcc::PllDiv::DIV2),
        divq: None,
        divr: None,
    });
    config.rcc.sys = rcc::Sysclk::PLL1_P;
    config.rcc.ahb_pre = rcc::AHBPrescaler::DIV2;
    config.rcc.apb1_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb2_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb3_pre = rcc::APBPrescaler::DIV2;
    config.rcc.apb4_pre = rcc::APBPrescaler::DIV2;
    config.rcc.voltage_scale = rcc::VoltageScale::Scale1;
    config
}
