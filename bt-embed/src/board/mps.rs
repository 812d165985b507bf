//! Arm's MPS2 and MPS3 boards, which QEMU emulates: one core each, the same
//! UART and LED at different addresses.
#![allow(unsafe_code)]

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};

use super::cmsdk_uart::Uart;
use super::register::Block;
use super::sys_tick::SysTickClock;
use super::{Board, stack};
use crate::CLOCK_HZ;

/// Where the devices lie.
struct Map {
    uart: usize,
    fpga_io: usize,
}

#[cfg(any(
    feature = "board-mps2-an385",
    feature = "board-mps2-an386",
    feature = "board-mps2-an386-no-fpu",
    feature = "board-mps2-an500"
))]
const MAP: Map = Map {
    uart: 0x4000_4000,
    fpga_io: 0x4002_8000,
};

// The secure aliases: the program stays in the state the core starts in.
#[cfg(feature = "board-mps2-an505")]
const MAP: Map = Map {
    uart: 0x5020_0000,
    fpga_io: 0x5030_2000,
};

#[cfg(feature = "board-mps3-an547")]
const MAP: Map = Map {
    uart: 0x5930_3000,
    fpga_io: 0x5930_2000,
};

const BAUD: u32 = 115_200;

/// LED 0 of the FPGA's I/O block.
#[derive(Debug)]
pub struct Led {
    block: Block,
}

const LED: usize = 0x00;

impl ErrorType for Led {
    type Error = Infallible;
}

impl OutputPin for Led {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.block.register(LED).write(0);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.block.register(LED).write(1);
        Ok(())
    }
}

/// The board, once.
pub fn take() -> Option<Board<Uart, SysTickClock, Led>> {
    let core = cortex_m::Peripherals::take()?;
    // SAFETY: by the board's application note these are the first UART and
    // the FPGA I/O block, and no memory of the program.
    let (uart, fpga_io) = unsafe { (Block::at(MAP.uart), Block::at(MAP.fpga_io)) };
    Some(Board {
        name: crate::BOARD,
        stream: Uart::new(uart, CLOCK_HZ, BAUD),
        ticks: SysTickClock::new(core.SYST, CLOCK_HZ),
        led: Led { block: fpga_io },
        stack: stack::measure,
    })
}
