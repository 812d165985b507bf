//! A line that is dead for a while, and one that takes nothing.

use super::*;

/// A line that is dead for so many reads, then says hello and hangs up.
struct Dead {
    errors: usize,
    rest: VecDeque<u8>,
    written: Vec<u8>,
    takes: bool,
}

impl Dead {
    fn new(errors: usize, takes: bool) -> Dead {
        let mut line = [0; LINE];
        // What the device drops ends at the first delimiter.
        let length = Request::Hello.encode(9, &mut line[1..]).unwrap();
        Dead {
            errors,
            rest: line[..=length].iter().copied().collect(),
            written: Vec::new(),
            takes,
        }
    }
}

impl embedded_io::ErrorType for Dead {
    type Error = Failed;
}

impl Read for Dead {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failed> {
        if self.errors > 0 {
            self.errors -= 1;
            return Err(Failed(ErrorKind::NotConnected));
        }
        Ok(self.rest.pop_front().map_or(0, |byte| {
            buffer[0] = byte;
            1
        }))
    }
}

impl Write for Dead {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Failed> {
        if self.takes {
            self.written.extend(bytes);
        }
        Ok(if self.takes { bytes.len() } else { 0 })
    }

    fn flush(&mut self) -> Result<(), Failed> {
        Ok(())
    }
}

#[test]
fn a_dead_line_is_read_again_until_it_lives_but_not_without_pause() {
    let file = Dense::default().model();
    let ticks = |errors, pace| {
        let clock = Cell::new(0);
        let mut line = Dead::new(errors, true);
        serve(&mut line, file.bytes(), &clock, pace);
        let replies = line.written.split_inclusive(|&byte| byte == 0);
        let replies: Vec<_> = replies.map(<[u8]>::to_vec).collect();
        let (hello, lost) = replies.split_last().unwrap();
        assert_eq!(lost.len(), usize::from(errors > 0));
        assert!(
            lost.iter()
                .all(|frame| said(frame) == Some(Reply::Error(Error::Line)))
        );
        let mut decoder = Decoder::<4096>::new();
        assert!(hello.iter().any(|&byte| decoder.ends_frame(byte)));
        let reply = decoder.take().and_then(Reply::decode);
        assert!(matches!(reply, Ok((9, Reply::Hello(_)))), "{reply:?}");
        clock.get()
    };
    // Pauses are 10 ms, at 1 MHz 10,000 ticks, from the 16th error in a row on.
    let undisturbed = ticks(0, 1);
    assert_eq!(ticks(15, 1) - undisturbed, 0);
    let paused = ticks(115, 1) - undisturbed;
    assert!((1_000_000..1_010_000).contains(&paused), "{paused}");
    // A clock that stands still holds nothing up.
    assert_eq!(ticks(115, 0), 0);
}

#[test]
fn a_stream_that_takes_nothing_is_given_up_for_the_reply() {
    let file = Dense::default().model();
    let mut line = Dead::new(0, false);
    // It comes back at all, and does not panic as `Write::write_all` would.
    serve(&mut line, file.bytes(), &Cell::new(0), 1);
    assert!(line.rest.is_empty());
}
