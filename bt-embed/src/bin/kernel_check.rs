//! Runs the lists of cases that every implementation of a kernel must get right
//! to the bit, on the chip: contractions, dense products, gathered rows, cell.
#![no_std]
#![no_main]

use bt_core::internals::{cell, kernel};
use bt_embed::board::{self, exit};

bt_embed::entry!(run, () = ());

fn run((): &'static mut ()) -> ! {
    board::require_processor();
    let right = kernel::cases::digest() == kernel::cases::DIGEST
        && kernel::cases::portable_digest() == kernel::cases::DIGEST
        && cell::cases::digest(cell::update) == cell::cases::DIGEST
        && cell::cases::gru_digest(cell::gru::update) == cell::cases::GRU_DIGEST
        && cell::cases::min_gru_digest(cell::min_gru::update) == cell::cases::MIN_GRU_DIGEST;
    if right {
        exit::success()
    } else {
        exit::failure()
    }
}

bt_embed::handlers!();
