//! Ends of the program: what went wrong and where, told to the debugger or to
//! QEMU by semihosting, then a status. On a board without a debugger the
//! request itself stops the core, which a watchdog ends.

use core::fmt::Display;
use core::panic::PanicInfo;

use bt_core::error::ProcessorError;
use semihosting::process;

/// Ends QEMU with status 0.
pub fn success() -> ! {
    process::exit(0)
}

/// Ends QEMU with status 1.
pub fn failure() -> ! {
    process::exit(1)
}

/// Says what was wrong, and ends.
fn end(why: &dyn Display) -> ! {
    #[cfg(feature = "log")]
    defmt::error!("{}", defmt::Display2Format(why));
    #[cfg(not(feature = "log"))]
    semihosting::eprintln!("{}", why);
    failure()
}

/// Says message, file and line of a panic, and ends.
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    end(info)
}

/// Says what the processor lacks, and ends.
pub fn unfit(lack: ProcessorError) -> ! {
    end(&lack)
}

/// Says where a fault happened, and ends.
#[cfg(feature = "_cortex")]
pub fn faulted(frame: &cortex_m_rt::ExceptionFrame) -> ! {
    end(&format_args!(
        "hard fault at {:#010x}, called from {:#010x}",
        frame.pc(),
        frame.lr()
    ))
}

/// Says what a trap was and where it happened, and ends.
#[cfg(feature = "_virt")]
pub fn trapped(cause: u32, pc: u32) -> ! {
    end(&format_args!("trap {cause:#x} at {pc:#010x}"))
}
