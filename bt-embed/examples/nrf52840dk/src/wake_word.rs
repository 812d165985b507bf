//! A microphone on an nRF52840 DK, a wake word, then a command: two models over one arena.
//!
//! The PDM peripheral fills one of two buffers by DMA while a task that an interrupt drives hands over the other; the
//! loop computes meanwhile. Samples for which there was no room are counted.
#![no_std]
#![no_main]

use core::convert::Infallible;
use core::sync::atomic::{AtomicU32, Ordering};

use bt_core::detection::Rule;
use bt_core::{Model, arena_words, output_count};
use bt_embed::listen::{Listener, Task, larger};
use defmt_rtt as _;
use embassy_executor::InterruptExecutor;
use embassy_nrf::bind_interrupts;
use embassy_nrf::config::{Config, HfclkSource};
use embassy_nrf::gpio::{Level, Output, OutputDrive};
use embassy_nrf::interrupt::typelevel::{EGU0_SWI0, Handler};
use embassy_nrf::interrupt::{self, InterruptExt, Priority};
use embassy_nrf::pdm::{self, Frequency, Pdm, SamplerState};
use embassy_nrf::peripherals::PDM;
use embedded_io::{ErrorType, Read};
use heapless::spsc::{Consumer, Producer, Queue};
use panic_probe as _;

/// Of the microphone: 1.28 MHz over 80.
const SAMPLE_HZ: u32 = 16_000;
/// Samples of a buffer: 16 ms.
const BUFFER: usize = 256;
/// Samples that wait while a step computes: a quarter of a second.
const WAITING: usize = 4096;
/// Steps in which a command is waited for; two seconds of 32 ms.
const COMMAND_STEPS: u32 = 62;

static WAKE: &[u8] = bt_core::include_model!(env!(
    "BT_WAKE_MODEL",
    "set BT_WAKE_MODEL to the whole path of the wake word's model"
));
static COMMANDS: &[u8] = bt_core::include_model!(env!("BT_MODEL"));

const ARENA: usize = larger(arena_words(WAKE), arena_words(COMMANDS));
const CLASSES: usize = larger(output_count(WAKE), output_count(COMMANDS));

/// What `bt-train detect` found: of the wake word, and of every command (class 0 is anything else).
const RULE: Rule = Rule {
    threshold: 26_214,
    smoothing: 3,
    hold_off: 0,
};
const WAKE_RULES: [(usize, Rule); 1] = [(1, RULE)];
const COMMAND_RULES: [(usize, Rule); 2] = [(1, RULE), (2, RULE)];

bind_interrupts!(struct Interrupts {
    PDM => pdm::InterruptHandler<PDM>;
    EGU0_SWI0 => Sampling;
});

static SAMPLER: InterruptExecutor = InterruptExecutor::new();
/// Samples without room.
static LOST: AtomicU32 = AtomicU32::new(0);

/// What the executor's interrupt does.
struct Sampling;

impl Handler<EGU0_SWI0> for Sampling {
    unsafe fn on_interrupt() {
        // SAFETY: the interrupt that the executor was started with.
        unsafe { SAMPLER.on_interrupt() }
    }
}

#[embassy_executor::task]
async fn sample(mut microphone: Pdm<'static>, mut queue: Producer<'static, i16>) {
    let mut buffers = [[0; BUFFER]; 2];
    let take = |samples: &[i16; BUFFER]| {
        for &sample in samples {
            if queue.enqueue(sample).is_err() {
                LOST.fetch_add(1, Ordering::Relaxed);
            }
        }
        SamplerState::Sampled
    };
    let ended = microphone.run_task_sampler(&mut buffers, take).await;
    defmt::panic!("the microphone stopped: {}", defmt::Debug2Format(&ended));
}

/// The loop's end of the queue.
struct Samples(Consumer<'static, i16>);

impl ErrorType for Samples {
    type Error = Infallible;
}

impl Read for Samples {
    fn read(&mut self, place: &mut [u8]) -> Result<usize, Infallible> {
        while !self.0.ready() {
            // Every interrupt ends it, and one that came since leaves an event. A watchdog is fed here.
            cortex_m::asm::wfe();
        }
        let mut count = 0;
        for pair in place.as_chunks_mut::<2>().0 {
            let Some(sample) = self.0.dequeue() else {
                break;
            };
            *pair = sample.to_le_bytes();
            count += 2;
        }
        Ok(count)
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut LISTENER: Listener<ARENA, CLASSES> = Listener::new();
    static mut QUEUE: Queue<i16, WAITING> = Queue::new();
    if let Err(lack) = bt_core::check_processor() {
        defmt::panic!("{}", lack);
    }
    let (wake, commands) = (parsed(WAKE), parsed(COMMANDS));
    let mut config = Config::default();
    config.hfclk_source = HfclkSource::ExternalXtal;
    let chip = embassy_nrf::init(config);
    let mut led = Output::new(chip.P0_13, Level::High, OutputDrive::Standard);
    let mut config = pdm::Config::default();
    config.frequency = Frequency::_1280k;
    let microphone = Pdm::new(chip.PDM, Interrupts, chip.P0_30, chip.P0_31, config);
    let (producer, consumer) = QUEUE.split();
    interrupt::EGU0_SWI0.set_priority(Priority::P6);
    let spawner = SAMPLER.start(interrupt::EGU0_SWI0);
    spawner.spawn(defmt::unwrap!(
        sample(microphone, producer).ok(),
        "one sampler"
    ));

    let mut samples = Samples(consumer);
    let wake_word = Task {
        model: &wake,
        rules: &WAKE_RULES,
        window: 0,
        steps_max: None,
    };
    let command = Task {
        model: &commands,
        rules: &COMMAND_RULES,
        window: 0,
        steps_max: Some(COMMAND_STEPS),
    };
    loop {
        for task in [wake_word, command] {
            let found = match LISTENER.listen(task, &mut samples) {
                Ok(found) => found,
                Err(error) => defmt::panic!("{}", error),
            };
            let lost = LOST.load(Ordering::Relaxed);
            match found {
                Some(found) => {
                    let label = task.model.label(found.class).unwrap_or_default();
                    defmt::info!(
                        "{=str} at step {=u32}, {=u32} samples lost",
                        label,
                        found.step,
                        lost
                    );
                }
                None => defmt::info!("no command, {=u32} samples lost", lost),
            }
            // Lit, by a low level, while a command is waited for.
            led.toggle();
        }
    }
}

/// A model of sound at the microphone's rate.
fn parsed(bytes: &'static [u8]) -> Model<'static> {
    let model = match Model::parse(bytes) {
        Ok(model) => model,
        Err(error) => defmt::panic!("{}", error),
    };
    let hertz = model
        .front_end()
        .map_or(0, |front_end| front_end.sample_rate_hz());
    defmt::assert_eq!(hertz, SAMPLE_HZ, "samples a second that the model wants");
    model
}
