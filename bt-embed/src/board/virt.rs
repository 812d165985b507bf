//! QEMU's RISC-V machine `virt`, started without firmware of its own: machine mode, one hart.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};

use super::ns16550::Uart;
use super::register::Block;
use super::{Board, Ticks, stack};
use crate::{BOARD, CLOCK_HZ};

global_asm!(include_str!("virt/start.s"));

const UART: usize = 0x1000_0000;
/// The core-local interruptor, of which the machine's timer is used.
const CLINT: usize = 0x0200_0000;
const TIME: usize = 0xBFF8;

/// The machine has no LED.
#[derive(Debug)]
pub struct NoLed;

impl ErrorType for NoLed {
    type Error = Infallible;
}

impl OutputPin for NoLed {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The machine's timer, its lower word.
#[derive(Debug)]
pub struct MachineTimer {
    block: Block,
}

impl Ticks for MachineTimer {
    fn hertz(&self) -> u32 {
        CLOCK_HZ
    }

    fn now(&self) -> u32 {
        self.block.register(TIME).read()
    }
}

/// The board.
pub fn take() -> Option<Board<Uart, MachineTimer, NoLed>> {
    // SAFETY: by QEMU's description of the machine these are its UART and its core-local interruptor, and no
    // memory of the program.
    let (uart, clint) = unsafe { (Block::at(UART), Block::at(CLINT)) };
    Some(Board {
        name: BOARD,
        stream: Uart::new(uart),
        ticks: MachineTimer { block: clint },
        led: NoLed,
        stack: stack::measure,
    })
}
