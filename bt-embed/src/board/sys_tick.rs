//! Ticks of the core's clock by SysTick, whose wraps an interrupt counts.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

use super::Ticks;

/// SysTick counts down from here, 24 bits.
const RELOAD: u32 = 0x00FF_FFFF;

static WRAPS: AtomicU32 = AtomicU32::new(0);

#[cortex_m_rt::exception]
fn SysTick() {
    // Load and store suffice: nobody else writes.
    WRAPS.store(
        WRAPS.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
}

/// The running clock.
pub struct SysTickClock {
    hertz: u32,
}

impl SysTickClock {
    /// Starts SysTick on the core's clock of `hertz`.
    pub fn new(mut timer: SYST, hertz: u32) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(RELOAD);
        timer.clear_current();
        timer.enable_counter();
        timer.enable_interrupt();
        SysTickClock { hertz }
    }
}

impl Ticks for SysTickClock {
    fn hertz(&self) -> u32 {
        self.hertz
    }

    fn now(&self) -> u32 {
        loop {
            let wraps = WRAPS.load(Ordering::Relaxed);
            let low = RELOAD - SYST::get_current();
            if wraps == WRAPS.load(Ordering::Relaxed) {
                return wraps.wrapping_shl(24) | low;
            }
        }
    }
}
