//! What boards refuse, and a line that breaks.

use super::*;

#[test]
fn a_damaged_model_is_refused_on_the_board_and_the_board_serves_on() {
    let board = Board::find("mps2-an386").unwrap();
    let program = std::fs::read(built(board, SLOT, None)).unwrap();
    let file = Dense::default().model();
    let mut damaged = file.bytes().to_vec();
    *damaged.last_mut().unwrap() ^= 0x10;
    let reason = Model::parse(ModelBytes::from_unaligned(&damaged).bytes()).unwrap_err();
    let device = &mut Running::start(board, &program, &damaged, LIMIT).device;
    for _ in 0..2 {
        let error = device.hello().unwrap_err().to_string();
        assert_eq!(error, format!("the device has no model to serve: {reason}"));
    }
}

/// What wraps at 32 bits is refused where there are no more: each file by one of the boards, which in
/// turn take the sound model that it was made of.
#[test]
fn boards_refuse_what_the_host_refuses() {
    let sound = cases::program().write().unwrap();
    let crafted = cases::crafted();
    for (first, board) in emulated().enumerate() {
        let program = std::fs::read(built(board, SLOT, None)).unwrap();
        let hello = |model: &[u8]| Running::start(board, &program, model, LIMIT).device.hello();
        let identity = hello(sound.bytes()).unwrap();
        assert_eq!(identity.golden, Golden::Passed, "{}", board.name);
        for file in crafted.iter().skip(first).step_by(emulated().count()) {
            // One that is taken says who it is.
            let error = hello(file.bytes.bytes()).expect_err(file.name).to_string();
            let reason = file.refused.to_string();
            assert!(error.ends_with(&reason), "{}: {error}", file.name);
        }
    }
}

/// The UART's end of an emulator started with breaks.
struct Breaking {
    uart: UnixStream,
}

/// What makes a break of a `b` behind it.
const ESCAPE: u8 = 0x14;

impl Read for Breaking {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.uart.read(bytes)
    }
}

impl Write for Breaking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for &byte in bytes {
            let twice = 1 + usize::from(byte == ESCAPE);
            self.uart.write_all(&[byte; 2][..twice])?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.uart.flush()
    }
}

/// The hardware's error flags are read, cleared and counted, and service goes on.
#[test]
fn breaks_on_the_line_are_counted_and_served_over() {
    let board = Board::find("microbit").unwrap();
    let program = std::fs::read(built(board, SLOT, None)).unwrap();
    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    let elf = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(elf.path(), fill(&program, file.bytes()).unwrap()).unwrap();
    let emulator = Emulator::start_with_breaks(board, elf.path(), ESCAPE).unwrap();
    let mut uart = emulator.uart(Duration::from_millis(50)).unwrap();
    let line = Breaking {
        uart: uart.try_clone().unwrap(),
    };
    let mut device = Device::new(line, Instant::now() + LIMIT);
    let identity = device.hello().unwrap();
    let frame = model.frame_values() * model.input_type().bytes();
    let bytes = Noise::new(9).bytes(20 * frame);
    let mut breaks = 0;
    device.reset().unwrap();
    for chunk in bytes.chunks(frame) {
        uart.write_all(&[ESCAPE, b'b']).unwrap();
        breaks += 1;
        device.chunk(chunk).unwrap();
    }
    assert_eq!(device.scores().unwrap().raw, scores_of(&model, &bytes));
    let line = device.statistics().unwrap().line;
    assert_eq!((line.read_errors, line.frames_lost), (breaks, breaks));
    assert!(device.repeats() >= breaks);
    assert_eq!(identity.model_crc, model.crc());
}
