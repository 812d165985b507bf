//! A camera of 8 grey bits (such as an HM01B0: D0 to D7 at GP0 to GP7, pixel clock GP8, line valid GP9, frame valid GP10)
//! on a Raspberry Pi Pico 2. A state machine of the PIO gathers pixels; DMA fills one line while the one before it is
//! pushed into the session. No frame is ever held.
#![no_std]
#![no_main]

use bt_core::detection::{Detector, Rule, Watch};
use bt_core::{Model, Session, arena_words, output_count};
use defmt_rtt as _;
use embedded_hal::digital::{InputPin, OutputPin};
use panic_probe as _;
use rp235x_hal::block::ImageDef;
use rp235x_hal::clocks::init_clocks_and_plls;
use rp235x_hal::dma::{DMAExt, single_buffer};
use rp235x_hal::gpio::{FunctionPio0, Pins, PullNone};
use rp235x_hal::pio::{Buffers, PIOBuilder, PIOExt, ShiftDirection};
use rp235x_hal::{Sio, Watchdog, pac};

/// The crystal of the board.
const CRYSTAL_HZ: u32 = 12_000_000;
/// Pixels of a line, four a word, and lines of a frame.
const WIDTH: usize = 160;
const HEIGHT: usize = 120;
type Line = [u32; WIDTH / 4];

static MODEL: &[u8] = bt_core::include_model!(env!("BT_MODEL"));
const CLASSES: usize = output_count(MODEL);

/// What `bt-train detect` found, of every class but the first: that is nothing to see.
const RULE: Rule = Rule {
    threshold: 26_214,
    smoothing: 2,
    hold_off: 10,
};

/// Tells the boot ROM that this is a program for the Arm cores.
#[unsafe(link_section = ".start_block")]
#[used]
static IMAGE: ImageDef = ImageDef::secure_exe();

#[rp235x_hal::entry]
fn main() -> ! {
    static mut ARENA: [u32; arena_words(MODEL)] = [0; arena_words(MODEL)];
    static mut SCORES: [i32; CLASSES] = [0; CLASSES];
    static mut WATCHES: [Watch; CLASSES] = [Watch::OFF; CLASSES];
    static mut LINES: [Line; 2] = [[0; WIDTH / 4]; 2];
    let Some(mut chip) = pac::Peripherals::take() else {
        defmt::unreachable!("main runs once");
    };
    if let Err(lack) = bt_core::check_processor() {
        defmt::panic!("{}", lack);
    }
    let model = match Model::parse(MODEL) {
        Ok(model) => model,
        Err(error) => defmt::panic!("{}", error),
    };
    defmt::assert_eq!(
        model.frame_values(),
        WIDTH * HEIGHT,
        "values of the model's frame"
    );
    let mut detector = defmt::unwrap!(Detector::new(&model, WATCHES));
    for class in 1..CLASSES {
        defmt::unwrap!(detector.watch(class, Some(RULE)));
    }
    let mut session = defmt::unwrap!(Session::new(&model, ARENA));

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
    defmt::unwrap!(clocks.ok(), "150 MHz from the crystal");
    let sio = Sio::new(chip.SIO);
    let pins = Pins::new(
        chip.IO_BANK0,
        chip.PADS_BANK0,
        sio.gpio_bank0,
        &mut chip.RESETS,
    );
    let mut led = pins.gpio25.into_push_pull_output();
    let mut frame_valid = pins.gpio10.into_floating_input();
    macro_rules! to_pio {
        ($($pin:ident),+) => { $(let _ = pins.$pin.reconfigure::<FunctionPio0, PullNone>();)+ };
    }
    to_pio!(
        gpio0, gpio1, gpio2, gpio3, gpio4, gpio5, gpio6, gpio7, gpio8, gpio9
    );

    // Pin 8 is the pixel clock, pin 9 says that the line is valid.
    let program = pio::pio_asm!(
        ".wrap_target",
        "wait 1 pin 9",
        "wait 1 pin 8",
        "in pins, 8",
        "wait 0 pin 8",
        ".wrap",
    );
    let (mut pio, machine, _, _, _) = chip.PIO0.split(&mut chip.RESETS);
    let installed = defmt::unwrap!(pio.install(&program.program).ok(), "room for the program");
    // The first pixel of four comes to lie in the lowest byte.
    let (machine, rx, _tx) = PIOBuilder::from_installed_program(installed)
        .in_pin_base(0)
        .in_shift_direction(ShiftDirection::Right)
        .autopush(true)
        .push_threshold(32)
        .buffers(Buffers::OnlyRx)
        .build(machine);
    let dma = chip.DMA.split(&mut chip.RESETS);
    let mut machine = machine.start();
    let (mut channel, mut pixels) = (dma.ch0, rx);
    let [mut line, mut other] = LINES.each_mut();
    let mut lost: u32 = 0;
    loop {
        // A frame that began while a step was computed is left out as a whole. A watchdog is fed here.
        while frame_valid.is_high().unwrap_or(false) {}
        machine.restart();
        machine.clear_fifos();
        for number in 0..HEIGHT {
            let filling = single_buffer::Config::new(channel, pixels, line).start();
            // The line before this one, while DMA fills it.
            if number > 0 {
                defmt::unwrap!(session.push_bytes(bytemuck::cast_slice(&other[..])));
            }
            let mut began = number > 0;
            while !filling.is_done() {
                let is_valid = frame_valid.is_high().unwrap_or(false);
                if began && !is_valid {
                    break;
                }
                began |= is_valid;
            }
            let is_whole = filling.is_done();
            let filled;
            (channel, pixels, filled) = if is_whole {
                filling.wait()
            } else {
                filling.abort()
            };
            line = core::mem::replace(&mut other, filled);
            if !is_whole {
                // A push outlasted a line, and pixels went by.
                session.drop_frame();
                lost += 1;
                defmt::warn!("{=u32} frames lost since boot", lost);
                break;
            }
            if number == HEIGHT - 1 {
                defmt::unwrap!(session.push_bytes(bytemuck::cast_slice(&other[..])));
            }
        }
        if !session.frame_complete() {
            continue;
        }
        defmt::unwrap!(session.step());
        if let Some(found) = defmt::unwrap!(detector.step(&mut session, SCORES)) {
            let label = model.label(found.class).unwrap_or_default();
            defmt::info!("{=str} at step {=u32}", label, found.step);
        }
        let _ = led.set_state(detector.is_held().into());
    }
}
