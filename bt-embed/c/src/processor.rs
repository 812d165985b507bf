//! Whether this processor, as the start-up code left it, can run the library.

use bt_core::error::ProcessorError;

use crate::Status;

/// What is missing. Callers do nothing before it that could touch a floating-point register, so it and what
/// comes after it are functions of their own.
#[inline(always)]
pub(crate) fn check() -> Result<(), Status> {
    #[cfg(all(target_os = "none", target_abi = "eabihf"))]
    if !fpu_is_on() {
        // Where there is none it cannot be switched on.
        return Err(if has_fpu() {
            Status::FpuOff
        } else {
            Status::Processor
        });
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
    // SAFETY: Armv7-M and Armv8-M Mainline have this register here.
    let cpacr = unsafe { control_register(CPACR) };
    cpacr & FULL_ACCESS == FULL_ACCESS
}

/// Whether there is a floating-point unit: MVFR0 says what it can do, and is 0 without one.
#[cfg(all(target_os = "none", target_abi = "eabihf"))]
#[inline(always)]
fn has_fpu() -> bool {
    const MVFR0: usize = 0xE000_EF40;
    // SAFETY: Armv7-M and Armv8-M Mainline have this register here; without an FPU it reads as 0.
    let mvfr0 = unsafe { control_register(MVFR0) };
    mvfr0 != 0
}

/// A register of the system control space.
///
/// # Safety
///
/// It is there, and a read has no effect.
#[cfg(all(target_os = "none", target_abi = "eabihf"))]
#[inline(always)]
unsafe fn control_register(address: usize) -> u32 {
    // SAFETY: as the caller says; the code is privileged, as bt_core.h demands.
    unsafe { core::ptr::read_volatile(core::ptr::with_exposed_provenance::<u32>(address)) }
}
