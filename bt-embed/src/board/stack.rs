//! How deep the stack ever was, by the paint that the start-up code put there.
#![allow(unsafe_code)]

use core::ptr;

#[cfg(feature = "cortex-m")]
use cortex_m_rt::STACK_PAINT_VALUE;

use super::Stack;

/// As `virt/start.s` has it.
#[cfg(feature = "_virt")]
const STACK_PAINT_VALUE: u32 = 0xCCCC_CCCC;

unsafe extern "C" {
    // Symbols of the linker script, cortex-m-rt's or riscv.x; only their addresses have meaning.
    static _stack_start: u32;
    static _stack_end: u32;
}

/// Bytes used since boot, and bytes there are.
pub fn measure() -> Stack {
    let end = (&raw const _stack_end).addr();
    let start = (&raw const _stack_start).addr();
    let mut lowest = end;
    while lowest < start {
        // SAFETY: aligned words between the linker's two symbols are RAM of the
        // stack; a volatile read of one in use gives some value and no more.
        let word = unsafe { ptr::read_volatile(ptr::with_exposed_provenance::<u32>(lowest)) };
        if word != STACK_PAINT_VALUE {
            break;
        }
        lowest += 4;
    }
    Stack {
        bytes_used: start.saturating_sub(lowest) as u32,
        bytes: start.saturating_sub(end) as u32,
    }
}
