//! Prints the `defmt` log of a firmware: `device_log ELF SOCKET`.
//!
//! A program of its own, so that the decoder's many dependencies are built
//! only when `cargo xtask qemu --log` asks for them.

use std::error::Error;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::{env, fs};

use defmt_decoder::{DecodeError, Table};

/// Connects to the socket that QEMU writes the log to, decodes it by the table
/// in the ELF file, and prints a line a message to standard error until QEMU ends.
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(elf), Some(socket)) = (arguments.next(), arguments.next()) else {
        return Err("usage: device_log ELF SOCKET".into());
    };
    let table = Table::parse(&fs::read(elf)?)?.ok_or("the firmware holds no defmt table")?;
    let mut stream = UnixStream::connect(socket)?;
    let mut decoder = table.new_stream_decoder();
    let mut bytes = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        decoder.received(&bytes[..count]);
        loop {
            match decoder.decode() {
                Ok(frame) => {
                    let level = frame.level().map_or("", |level| level.as_str());
                    eprintln!("device {level:5} {}", frame.display_message());
                }
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) if table.encoding().can_recover() => {}
                Err(DecodeError::Malformed) => return Err("the log is garbled".into()),
            }
        }
    }
    Ok(())
}
