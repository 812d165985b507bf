//! What interrupts do to the kernels: with a handler that keeps the registers of the floating-point unit, as
//! every compiled one does, and with one that does not.
//!
//! The canary must tell the two apart, and kernels that hold weights in those registers must fail under the
//! second, so that the canary tells the truth; kernels that leave them alone must not.
#![no_std]
#![no_main]

use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bt_core::check_processor;
use bt_core::error::ProcessorError;
use bt_core::health::check_interrupts;
use bt_core::internals::{kernel, processor};
use bt_embed::board::register::Block;
use bt_embed::board::{self, exit};
use semihosting::println;

/// Timer 0 of the CMSDK and its interrupt.
const TIMER: usize = 0x4000_0000;
const TIMER_IRQ: u32 = 8;
const CONTROL: usize = 0x0;
const VALUE: usize = 0x4;
const RELOAD: usize = 0x8;
const CLEAR: usize = 0xC;
const ENABLE_WITH_INTERRUPT: u32 = 0b1001;

/// The system control space: interrupts enabled by their bits, and coprocessor access.
const NVIC: usize = 0xE000_E100;
const CPACR: usize = 0xE000_ED88;

/// Cycles from interrupt to interrupt: a tile of the kernels takes about so many.
const PERIOD: u32 = 400;

/// Rounds that the canary waits: some hundred interrupts.
const ROUNDS: u32 = 20_000;

static CLOBBER: AtomicBool = AtomicBool::new(false);
static INTERRUPTS: AtomicU32 = AtomicU32::new(0);

bt_embed::entry!(run, () = ());

fn run((): &'static mut ()) -> ! {
    board::require_processor();
    match find() {
        Ok(()) => exit::success(),
        Err(what) => {
            println!("{}", what);
            exit::failure()
        }
    }
}

bt_embed::handlers!();

/// Numbers of the interrupts of this board lead here.
#[cortex_m_rt::exception]
unsafe fn DefaultHandler(_number: i16) {
    // SAFETY: by application note AN386 this is timer 0.
    let timer = unsafe { Block::at(TIMER) };
    timer.register(CLEAR).write(1);
    INTERRUPTS.store(
        INTERRUPTS.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
    if CLOBBER.load(Ordering::Relaxed) {
        // SAFETY: it is wrong, as it is meant to be: hand-written code that does not keep what it must.
        unsafe {
            asm!(
                "mov {zero}, #0",
                ".irp k, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
                r"vmov s\k, {zero}",
                ".endr",
                zero = out(reg) _,
            );
        }
    } else {
        // SAFETY: the compiler keeps what this changes.
        unsafe {
            asm!(
                "mov {zero}, #0",
                ".irp k, 0, 8, 15, 16, 23, 31",
                r"vmov s\k, {zero}",
                ".endr",
                zero = out(reg) _,
                out("s0") _, out("s8") _, out("s15") _, out("s16") _, out("s23") _, out("s31") _,
            );
        }
    }
}

fn find() -> Result<(), &'static str> {
    // SAFETY: by the architecture and AN386 these are device registers, and no memory of the program.
    let (timer, nvic, cpacr) = unsafe { (Block::at(TIMER), Block::at(NVIC), Block::at(CPACR)) };
    let held = processor::HOLDS_FP_REGISTERS;

    // Switched off they are seen before anything runs.
    let on = cpacr.register(0).read();
    cpacr.register(0).write(on & !(0xF << 20));
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
    let checked = check_processor();
    cpacr.register(0).write(on);
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
    if checked.is_err() != held || (held && checked != Err(ProcessorError::FpuOff)) {
        return Err("CPACR switched off was not seen, or was asked for in vain");
    }

    timer.register(RELOAD).write(PERIOD);
    timer.register(VALUE).write(PERIOD);
    timer.register(CONTROL).write(ENABLE_WITH_INTERRUPT);
    nvic.register(0).write(1 << TIMER_IRQ);
    if check_interrupts(ROUNDS).is_err() {
        return Err("the canary died of a handler that keeps the registers");
    }
    if kernel::cases::digest() != kernel::cases::DIGEST {
        return Err("the kernels are wrong beside a handler that keeps the registers");
    }
    let before = INTERRUPTS.load(Ordering::Relaxed);
    if before < 100 {
        return Err("there were no interrupts");
    }

    CLOBBER.store(true, Ordering::Relaxed);
    // An interrupt comes for certain.
    let checked = check_interrupts(ROUNDS);
    let digest = kernel::cases::digest();
    if INTERRUPTS.load(Ordering::Relaxed) < before + 100 {
        return Err("there were no interrupts that clobber");
    }
    if held {
        if checked != Err(ProcessorError::RegistersLost { count: 16 }) {
            return Err("the canary did not see s16 to s31 change");
        }
        if digest == kernel::cases::DIGEST {
            return Err("nothing went wrong where registers were lost: the canary is for nothing");
        }
    } else if checked.is_err() || digest != kernel::cases::DIGEST {
        return Err(
            "kernels that leave the registers alone are wrong, or a check that needs none fails",
        );
    }
    Ok(())
}
