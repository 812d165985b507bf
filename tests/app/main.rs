//! The firmware's application on the host: the same code as on a board, over a
//! line in memory, with and without noise. Scores are those of a session that
//! was fed directly.

mod making;
mod refusals;
mod requests;
mod scores;
mod state;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bt_core::InputType;
use bt_core::about::Pool;
use bt_embed::app::{Ended, Memory, run};
use bt_embed::board::{Board, Stack, Ticks};
use bt_tests::line::{End, Faults, Uart, line};
use bt_tests::model::Dense;
use embedded_hal::digital::{ErrorType, OutputPin};
use tools::device::Device;

/// A clock that goes on by one whenever it is looked at.
struct Count(AtomicU32);

impl Ticks for Count {
    fn hertz(&self) -> u32 {
        1_000_000
    }

    fn now(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

struct Lamp(Arc<AtomicBool>);

impl ErrorType for Lamp {
    type Error = Infallible;
}

impl OutputPin for Lamp {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

const ARENA: usize = 1000;
const CLASSES: usize = 70;

/// Runs the application with a model until the test drops its device.
fn with_device<T>(
    model: &[u8],
    faults: [Faults; 2],
    seed: u32,
    test: impl FnOnce(Device<End>, &AtomicBool) -> T,
) -> T {
    let (host, device) = line(faults[0], faults[1], seed);
    let lamp = Arc::new(AtomicBool::new(false));
    thread::scope(|scope| {
        let board = Board {
            name: "in memory",
            stream: Uart(device),
            ticks: Count(AtomicU32::new(u32::MAX - 20)),
            led: Lamp(Arc::clone(&lamp)),
            stack: || Stack {
                bytes_used: 5,
                bytes: 9,
            },
        };
        let served = scope.spawn(move || {
            let mut memory = Memory::<300, ARENA, CLASSES>::new();
            run(board, model, &mut memory)
        });
        let mut device = Device::new(host, Instant::now() + Duration::from_secs(60));
        device.set_patience(Duration::from_millis(60));
        let result = test(device, &lamp);
        assert_eq!(served.join().unwrap(), Ended::End);
        result
    })
}

fn shapes() -> Vec<Dense> {
    let mut shapes = Vec::new();
    for (seed, input_type) in [InputType::U8, InputType::I8, InputType::I16]
        .into_iter()
        .enumerate()
    {
        for (values, hidden, classes, pool) in [
            (7, 6, 3, Pool::Last),
            (300, 10, 66, Pool::Mean),
            (1, 2, 1, Pool::Last),
            (5, 4, 2, Pool::Recent),
        ] {
            let seed = seed as u32 * 10 + hidden as u32;
            shapes.push(Dense {
                input_type,
                values,
                vectors: 0,
                hidden,
                classes,
                pool,
                horizon_shift: u8::from(pool == Pool::Recent),
                seed,
                ..Dense::default()
            });
        }
    }
    shapes
}
