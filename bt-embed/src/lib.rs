#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]
#![doc = include_str!("../README.md")]

#[cfg(feature = "log")]
use defmt_semihosting as _;

/// A log message at a level, with `defmt`'s formats; nothing without feature `log`.
macro_rules! event {
    ($level:ident, $($argument:expr),+ $(,)?) => {{
        #[cfg(feature = "defmt")]
        defmt::$level!($($argument),+);
        #[cfg(not(feature = "defmt"))]
        let _ = ($($argument),+);
    }};
}

#[cfg(any(feature = "nb", feature = "embedded-io-06"))]
pub mod adapter;
pub mod app;
pub mod board;
pub mod confidence;
pub mod link;
pub mod long_run;
pub mod pattern;
pub mod service;
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
    use bt_core::internals::model::layout::LENGTH_AT;
    // What stands in a slot is not known when this is compiled.
    let model = core::hint::black_box(model);
    let stated = model
        .get(LENGTH_AT)
        .and_then(|length| length.try_into().ok());
    match stated.map(|length| u32::from_le_bytes(length) as usize) {
        Some(length) if SLOT_ARENA_BYTES != 0 => model.get(..length).unwrap_or(model),
        _ => model,
    }
}

/// The model to flash, aligned; the build script put it there.
#[cfg(feature = "_board")]
#[macro_export]
macro_rules! model {
    () => {
        bt_core::include_model!(concat!(env!("OUT_DIR"), "/model.btm"))
    };
}

/// The `main` of a board's binary: model and arena as statics, the board, the
/// application; and handlers that say where a panic or a fault happened.
#[cfg(feature = "_board")]
#[macro_export]
macro_rules! firmware {
    () => {
        const MODEL: &[u8] = $crate::model!();
        const ARENA: usize = $crate::arena_words(MODEL);

        #[cortex_m_rt::entry]
        fn main() -> ! {
            static mut MEMORY: $crate::app::Memory<
                { $crate::LINE_BYTES },
                ARENA,
                { $crate::CLASSES },
            > = $crate::app::Memory::new();
            $crate::board::require_processor();
            if let Some(board) = $crate::board::take() {
                $crate::app::run(board, $crate::flashed(MODEL), MEMORY);
            }
            $crate::board::exit::failure()
        }

        $crate::handlers!();
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
        #[cortex_m_rt::exception]
        unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
            $crate::board::exit::faulted(frame)
        }
    };
}
