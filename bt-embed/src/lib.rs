#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]
#![doc = include_str!("../README.md")]

#[cfg(feature = "log")]
use defmt_semihosting as _;

/// A log message at a level, with `defmt`'s formats; nothing without feature `defmt`.
macro_rules! event {
    ($level:ident, $($argument:expr),+ $(,)?) => {{
        #[cfg(feature = "defmt")]
        defmt::$level!($($argument),+);
        #[cfg(not(feature = "defmt"))]
        let _ = ($($argument),+);
    }};
}

pub mod adapter;
pub mod app;
pub mod board;
pub mod confidence;
// The queue wants loads and stores that are atomic; heapless has none for RISC-V without extension A.
#[cfg(not(all(target_arch = "riscv32", not(target_feature = "a"))))]
pub mod intake;
pub mod link;
pub mod listen;
pub mod long_run;
pub mod pattern;
pub mod service;
pub mod store;
mod watcher;
pub mod wire;

include!(concat!(env!("OUT_DIR"), "/constants.rs"));

/// Words of the arena: those of the model, or as many as a slot for models leaves it.
#[cfg(feature = "_board")]
pub const fn arena_words(model: &[u8]) -> usize {
    match SLOT_ARENA_BYTES {
        0 => bt_core::arena_words(model),
        bytes => bytes.div_ceil(4),
    }
}

/// What is in flash at run time: the model, without what is left of its slot.
#[cfg(feature = "_board")]
pub fn flashed(model: &'static [u8]) -> &'static [u8] {
    // What stands in a slot is not known when this is compiled.
    let model = core::hint::black_box(model);
    match SLOT_ARENA_BYTES {
        0 => model,
        _ => store::model_in(model),
    }
}

/// The model to flash, aligned; the build script put it there.
#[cfg(feature = "_board")]
#[macro_export]
macro_rules! model {
    () => {{
        const BYTES: &[u8] = bt_core::include_model!(concat!(env!("OUT_DIR"), "/model.btm"));
        // In a memory of its own, if the board has one: the linker knows it by this name.
        #[cfg_attr(model_apart, unsafe(link_section = ".model"))]
        static MODEL: bt_core::internals::model::Aligned<[u8; BYTES.len()]> =
            bt_core::internals::model::Aligned(*include_bytes!(concat!(
                env!("OUT_DIR"),
                "/model.btm"
            )));
        &MODEL.0
    }};
}

/// Serves the model in the program, or those in the slots, where the firmware has them.
#[cfg(feature = "_board")]
pub fn serve<
    S,
    T,
    L,
    const LINE: usize,
    const ARENA: usize,
    const CLASSES: usize,
    const RULES: usize,
    const BITS: usize,
>(
    board: board::Board<S, T, L>,
    model: &[u8],
    memory: &mut app::Memory<LINE, ARENA, CLASSES, RULES, BITS>,
) -> app::Ended
where
    S: embedded_io::Read + embedded_io::Write,
    T: board::Ticks,
    L: embedded_hal::digital::OutputPin,
{
    #[cfg(not(slots))]
    {
        app::run(board, model, memory)
    }
    #[cfg(slots)]
    {
        // A product looks for its signature here.
        let accept = |_: &[u8]| true;
        let mut slots = board::take_slots().map(|flash| store::Slots { flash, accept });
        app::run_with_slots(board, slots.as_mut(), model, memory)
    }
}

/// The `main` of a board's binary: model and arena as statics, the board, the
/// application; and handlers that say where a panic or a fault happened.
#[cfg(feature = "_board")]
#[macro_export]
macro_rules! firmware {
    () => {
        const MODEL: &[u8] = $crate::model!();
        const ARENA: usize = $crate::arena_words(MODEL);

        type Memory = $crate::app::Memory<
            { $crate::LINE_BYTES },
            ARENA,
            { $crate::CLASSES },
            { $crate::RULES },
            { $crate::BITS },
        >;

        $crate::entry!(run, Memory = Memory::new());

        fn run(memory: &'static mut Memory) -> ! {
            $crate::board::require_processor();
            if let Some(board) = $crate::board::take() {
                $crate::serve(board, $crate::flashed(MODEL), memory);
            }
            $crate::board::exit::failure()
        }

        $crate::handlers!();
    };
}

/// Where a program begins: its start-up code calls `$main` with static memory of type `$memory`.
#[cfg(feature = "_cortex")]
#[macro_export]
macro_rules! entry {
    ($main:ident, $memory:ty = $initial:expr) => {
        #[cortex_m_rt::entry]
        fn entry() -> ! {
            static mut MEMORY: $memory = $initial;
            $main(MEMORY)
        }
    };
}

/// Where a program begins: its start-up code calls `$main` with static memory of type `$memory`.
#[cfg(feature = "_virt")]
#[macro_export]
macro_rules! entry {
    ($main:ident, $memory:ty = $initial:expr) => {
        #[unsafe(export_name = "main")]
        extern "C" fn entry() -> ! {
            static mut MEMORY: $memory = $initial;
            // SAFETY: the start-up code comes here once, and nobody else can: in Rust it has no name.
            $main(unsafe { &mut *(&raw mut MEMORY) })
        }
    };
}

/// Handlers of panics and hard faults, for a binary of its own `main`.
#[cfg(feature = "_board")]
#[macro_export]
macro_rules! handlers {
    () => {
        #[panic_handler]
        fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
            $crate::board::exit::panicked(info)
        }

        // SAFETY: runs once, on a stack that the start-up code set up.
        #[cfg(target_arch = "arm")]
        #[cortex_m_rt::exception]
        unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
            $crate::board::exit::faulted(frame)
        }

        // The start-up code goes here with a trap; of this name there is nothing else.
        #[cfg(target_arch = "riscv32")]
        #[unsafe(no_mangle)]
        extern "C" fn bt_embed_trapped(cause: u32, pc: u32) -> ! {
            $crate::board::exit::trapped(cause, pc)
        }
    };
}
