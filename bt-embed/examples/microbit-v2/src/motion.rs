//! The accelerometer of a micro:bit v2 (LSM303AGR over I2C, driver crate `lsm303agr`) through a model of frames of x, y
//! and z in mg, 100 a second; what it detects is logged and lights the LED in the corner.
#![no_std]
#![no_main]

use bt_core::detection::{Detector, Rule, Watch};
use bt_core::{Model, Session, arena_words, output_count};
use cortex_m::asm;
use defmt_rtt as _;
use embassy_nrf::bind_interrupts;
use embassy_nrf::gpio::{Level, Output, OutputDrive};
use embassy_nrf::peripherals::TWISPI0;
use embassy_nrf::twim::{self, Twim};
use embedded_hal::delay::DelayNs;
use lsm303agr::{AccelMode, AccelOutputDataRate, AccelScale, Lsm303agr};
use panic_probe as _;

/// Of the core, in cycles a microsecond.
const CLOCK_MHZ: u32 = 64;

static MODEL: &[u8] = bt_core::include_model!(env!("BT_MODEL"));
const CLASSES: usize = output_count(MODEL);

/// What `bt-train detect` found, of every class but the first: that is no gesture.
const RULE: Rule = Rule {
    threshold: 26_214,
    smoothing: 2,
    hold_off: 50,
};

bind_interrupts!(struct Interrupts {
    TWISPI0 => twim::InterruptHandler<TWISPI0>;
});

/// Waits by counting cycles.
struct Delay;

impl DelayNs for Delay {
    fn delay_ns(&mut self, nanoseconds: u32) {
        asm::delay(nanoseconds.div_ceil(1000).saturating_mul(CLOCK_MHZ));
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ARENA: [u32; arena_words(MODEL)] = [0; arena_words(MODEL)];
    static mut SCORES: [i32; CLASSES] = [0; CLASSES];
    static mut WATCHES: [Watch; CLASSES] = [Watch::OFF; CLASSES];
    static mut SENT: [u8; 16] = [0; 16];
    if let Err(lack) = bt_core::check_processor() {
        defmt::panic!("{}", lack);
    }
    let model = match Model::parse(MODEL) {
        Ok(model) => model,
        Err(error) => defmt::panic!("{}", error),
    };
    let mut detector = defmt::unwrap!(Detector::new(&model, WATCHES));
    for class in 1..CLASSES {
        defmt::unwrap!(detector.watch(class, Some(RULE)));
    }
    let mut session = defmt::unwrap!(Session::new(&model, ARENA));

    let chip = embassy_nrf::init(Default::default());
    let _column = Output::new(chip.P0_28, Level::Low, OutputDrive::Standard);
    let mut led = Output::new(chip.P0_21, Level::Low, OutputDrive::Standard);
    let config = twim::Config::default();
    let bus = Twim::new(
        chip.TWISPI0,
        Interrupts,
        chip.P0_16,
        chip.P0_08,
        config,
        SENT,
    );
    let mut sensor = Lsm303agr::new_with_i2c(bus);
    let rate = AccelOutputDataRate::Hz100;
    let begun = sensor
        .init()
        .and_then(|()| sensor.set_accel_mode_and_odr(&mut Delay, AccelMode::HighResolution, rate))
        .and_then(|()| sensor.set_accel_scale(AccelScale::G4));
    if begun.is_err() {
        defmt::panic!("the accelerometer does not answer");
    }
    let mut overruns: u32 = 0;
    loop {
        let Ok(status) = sensor.accel_status() else {
            defmt::warn!("a read of the accelerometer failed");
            continue;
        };
        if !status.xyz_new_data() {
            // A watchdog is fed here.
            continue;
        }
        if status.xyz_overrun() {
            overruns += 1;
            defmt::warn!("a step outlasted a sample: {=u32} since boot", overruns);
        }
        let Ok(acceleration) = sensor.acceleration() else {
            defmt::warn!("a read of the accelerometer failed");
            continue;
        };
        let (x, y, z) = acceleration.xyz_mg();
        // At most 4,000 mg.
        let frame = [x, y, z].map(|value| value as i16);
        defmt::unwrap!(session.push_i16(&frame));
        if !session.frame_complete() {
            continue;
        }
        defmt::unwrap!(session.step());
        if let Some(found) = defmt::unwrap!(detector.step(&mut session, SCORES)) {
            let label = model.label(found.class).unwrap_or_default();
            defmt::info!("{=str} at step {=u32}", label, found.step);
        }
        led.set_level(if detector.is_held() {
            Level::High
        } else {
            Level::Low
        });
    }
}
