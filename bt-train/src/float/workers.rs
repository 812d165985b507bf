//! Where parallel loops begin, and who waits for them.

use crate::error::{Error, Result};
use std::hint;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a thread without work stays awake. A layer's serial parts are shorter; to wake a thread that sleeps takes
/// some 10 µs, on a virtual machine 80, and a step has a dozen parallel loops.
const AWAKE: Duration = Duration::from_micros(200);

/// Makes the calling thread, the program's first one, one of rayon's: loops begin on it at once, where any other hands
/// each over and sleeps until it is done. From then on only it may begin loops outside of loops: all others would wait
/// until it looks for work, for ever where it does not.
///
/// # Errors
/// When the other threads cannot be had, or some loop has begun before. No loop may begin then.
pub fn join() -> Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().use_current_thread();
    pool.build_global()
        .map_err(|error| Error::from(std::io::Error::other(error)).field("threads"))
}

/// Runs `f` on one of rayon's threads, while the others stay awake between its parallel loops. A loop that begins there
/// starts at once; each that begins on another thread wakes one and waits for it, which is a fifth of a small layer's
/// time.
pub(super) fn on_workers<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    let is_over = AtomicBool::new(false);
    rayon::scope(|scope| {
        let (here, is_over) = (rayon::current_thread_index(), &is_over);
        scope.spawn_broadcast(move |_, thread| {
            if Some(thread.index()) != here {
                stay_awake(is_over);
            }
        });
        let result = f();
        is_over.store(true, Ordering::Relaxed);
        result
    })
}

/// Does what work there is until all is over, or there has been none for too long.
fn stay_awake(is_over: &AtomicBool) {
    let mut idle_since = Instant::now();
    while !is_over.load(Ordering::Relaxed) && idle_since.elapsed() < AWAKE {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => idle_since = Instant::now(),
            _ => hint::spin_loop(),
        }
    }
}
