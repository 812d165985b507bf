//! Whether this processor, as the start-up code left it, can run the library.

use bt_core::error::ProcessorError;

use crate::Status;

/// What is missing. Callers do nothing before it that could touch a floating-point register, so it and what
/// comes after it are functions of their own.
#[inline(always)]
pub(crate) fn check() -> Result<(), Status> {
    #[cfg(all(target_os = "none", target_abi = "eabihf"))]
    if !fpu_is_on() {
        return Err(Status::FpuOff);
    }
    match bt_core::check_processor() {
        Ok(()) => Ok(()),
        Err(ProcessorError::FpuOff) => Err(Status::FpuOff),
        Err(_) => Err(Status::Processor),
    }
}

/// Whether coprocessors 10 and 11 may be used. A build for hard floats copies by their registers anywhere.
#[cfg(all(target_os = "none", target_abi = "eabihf"))]
#[inline(always)]
fn fpu_is_on() -> bool {
    const CPACR: usize = 0xE000_ED88;
    const FULL_ACCESS: u32 = 0xF << 20;
    // SAFETY: Armv7-M and Armv8-M Mainline have this register here; a privileged read has no effect.
    let cpacr =
        unsafe { core::ptr::read_volatile(core::ptr::with_exposed_provenance::<u32>(CPACR)) };
    cpacr & FULL_ACCESS == FULL_ACCESS
}
