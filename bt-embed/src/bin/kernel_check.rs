//! Runs the lists of cases that every implementation of a kernel must get right
//! to the bit, on the chip: contractions, dense products, gathered rows, cell.
#![no_std]
#![no_main]

use bt_core::internals::{cell, kernel};
use bt_embed::board::exit;

#[cortex_m_rt::entry]
fn main() -> ! {
    let right = kernel::cases::digest() == kernel::cases::DIGEST
        && kernel::cases::portable_digest() == kernel::cases::DIGEST
        && cell::cases::digest(cell::update) == cell::cases::DIGEST;
    if right {
        exit::success()
    } else {
        exit::failure()
    }
}

bt_embed::handlers!();
