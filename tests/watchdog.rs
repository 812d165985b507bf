//! A watchdog is fed between two pieces of work, from boot on.

use std::sync::atomic::{AtomicU32, Ordering};

use bt_core::{Model, Session};
use bt_embed::app::{Ended, Memory, run};
use bt_embed::board::{Board, Stack, Ticks};
use bt_embed::wire::Request;
use bt_tests::model::Dense;
use bt_tests::still::Still;
use embedded_io::{ErrorType, Read, Write};

/// A clock that counts how often the program said that it goes on.
struct Fed<'a>(&'a AtomicU32);

impl Ticks for Fed<'_> {
    fn hertz(&self) -> u32 {
        1_000_000
    }

    fn now(&self) -> u32 {
        0
    }

    fn alive(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A line that says these bytes and ends; nobody hears its answers.
struct Script(Vec<u8>);

impl ErrorType for Script {
    type Error = embedded_io::ErrorKind;
}

impl Read for Script {
    fn read(&mut self, place: &mut [u8]) -> Result<usize, Self::Error> {
        let count = place.len().min(self.0.len());
        for (place, byte) in place.iter_mut().zip(self.0.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

fn large() -> Dense {
    Dense {
        hidden: 40,
        ..Dense::default()
    }
}

/// Kibibytes of the CRC, both maps, every value and step of the self test.
fn pieces_of_a_boot(file: &[u8], model: &Model<'_>) -> u32 {
    // All but the file's header, which ends with the CRC.
    let kibibytes = (file.len() - 24).div_ceil(1024);
    assert!(kibibytes > 3, "{kibibytes}");
    let values = model.meta().golden_steps as usize * (model.frame_values() + 1);
    (kibibytes + 2 + values) as u32
}

#[test]
fn parse_and_self_test_come_in_pieces() {
    let file = large().model();
    let mut pieces = 0;
    let model = Model::parse_in_pieces(file.bytes(), &mut || pieces += 1).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let tested = session.self_test_in_pieces(&mut || pieces += 1);
    assert_eq!(tested, session.self_test());
    assert_eq!(pieces, pieces_of_a_boot(file.bytes(), &model));
}

#[test]
fn the_application_says_that_it_goes_on() {
    let file = large().model();
    let model = Model::parse(file.bytes()).unwrap();
    let data = [0; 12];
    let script: Vec<u8> = [
        Request::Hello,
        Request::Data {
            sequence: 0,
            bytes: &data,
        },
        Request::Scores { first: 0 },
    ]
    .into_iter()
    .zip(1..)
    .flat_map(|(request, tag)| {
        let mut place = [0; 64];
        let length = request.encode(tag, &mut place).unwrap();
        place[..length].to_vec()
    })
    .collect();
    let fed = AtomicU32::new(0);
    let board = Board {
        name: "none",
        stream: Script(script),
        ticks: Fed(&fed),
        led: Still,
        stack: Stack::default,
    };
    let mut memory = Memory::<320, 2000, 8>::new();
    assert_eq!(run(board, file.bytes(), &mut memory), Ended::End);
    // Before and behind every request, and before the line's end.
    let boot = pieces_of_a_boot(file.bytes(), &model);
    assert_eq!(fed.into_inner(), boot + 2 * 3 + 1);
}
