//! Prints the `defmt` log of a firmware: `device_log ELF < LOG`.
//!
//! A program of its own, so that the decoder's many dependencies are built
//! only when `cargo xtask qemu --log` asks for them.

use std::error::Error;
use std::io::{self, Read};
use std::{env, fs};

use bt_train::remark;
use defmt_decoder::{DecodeError, Table};

/// Decodes standard input by the table in the ELF file, and prints a line a
/// message to standard error until the input ends.
fn main() -> Result<(), Box<dyn Error>> {
    let Some(elf) = env::args_os().nth(1) else {
        return Err("usage: device_log ELF < LOG".into());
    };
    let table = Table::parse(&fs::read(elf)?)?.ok_or("the firmware holds no defmt table")?;
    let mut stream = io::stdin().lock();
    let mut decoder = table.new_stream_decoder();
    let mut bytes = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        decoder.received(&bytes[..count]);
        loop {
            match decoder.decode() {
                Ok(frame) => {
                    let level = frame.level().map_or("", |level| level.as_str());
                    remark!("device {level:5} {}", frame.display_message());
                }
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) if table.encoding().can_recover() => {}
                Err(DecodeError::Malformed) => return Err("the log is garbled".into()),
            }
        }
    }
    Ok(())
}
