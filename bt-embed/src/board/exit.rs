//! Ends of the program: what went wrong and where, told to the debugger or to
//! QEMU by semihosting, then a status. On a board without a debugger the
//! request itself stops the core, which a watchdog ends.

use core::panic::PanicInfo;

use bt_core::ProcessorError;
use cortex_m_rt::ExceptionFrame;
use cortex_m_semihosting::debug;

/// Ends QEMU with status 0.
pub fn success() -> ! {
    debug::exit(debug::EXIT_SUCCESS);
    halt()
}

/// Ends QEMU with status 1.
pub fn failure() -> ! {
    debug::exit(debug::EXIT_FAILURE);
    halt()
}

/// Says message, file and line of a panic, and ends.
pub fn panicked(info: &PanicInfo<'_>) -> ! {
    #[cfg(feature = "log")]
    defmt::error!("{}", defmt::Display2Format(info));
    #[cfg(not(feature = "log"))]
    cortex_m_semihosting::heprintln!("{}", info);
    failure()
}

/// Says where a fault happened, and ends.
pub fn faulted(frame: &ExceptionFrame) -> ! {
    #[cfg(feature = "log")]
    defmt::error!(
        "hard fault at {=u32:#010x}, called from {=u32:#010x}",
        frame.pc(),
        frame.lr()
    );
    #[cfg(not(feature = "log"))]
    cortex_m_semihosting::heprintln!(
        "hard fault at {:#010x}, called from {:#010x}",
        frame.pc(),
        frame.lr()
    );
    failure()
}

/// Says what the processor lacks, and ends.
pub fn unfit(lack: ProcessorError) -> ! {
    #[cfg(feature = "log")]
    defmt::error!("{}", defmt::Display2Format(&lack));
    #[cfg(not(feature = "log"))]
    cortex_m_semihosting::heprintln!("{}", lack);
    failure()
}

fn halt() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}
