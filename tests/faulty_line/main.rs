//! The firmware's application on a line that fails in every way a line can,
//! each in one frame of a hundred. Host, line and device take turns in one
//! thread: the host speaks when the device waits and nothing is on its way, so
//! that a run is the same every time and no time passes waiting.

mod dead;
mod host;
mod line;

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;

use bt_core::detection::{Detection, Detector, Rule, Watch};
use bt_core::{Model, Session};
use bt_embed::app::{Ended, Memory, run};
use bt_embed::board::{Board, Stack, Ticks};
use bt_embed::wire::{
    DETECTION_BYTES, Decoder, Error, LineCounts, NO_TAG, PART_BYTES_MAX, Reply, Request, Statistics,
};
use bt_tests::model::{Dense, Noise};
use bt_tests::still::Still;
use embedded_io::{ErrorKind, Read, Write};
use host::Streaming;
use line::{Failed, Faulty, Host, said};

/// Requests of a run.
const REQUESTS: usize = 20_000;

/// A fault of each kind comes once in so many frames.
const ONCE_IN: u16 = 100;

/// Sendings of one request until it is given up.
const TRIES: usize = 20;

const LINE: usize = 300;
const ARENA: usize = 1000;
const CLASSES: usize = 8;

/// A clock that goes on by a step whenever it is looked at.
struct Count<'c>(&'c Cell<u32>, u32);

impl Ticks for Count<'_> {
    fn hertz(&self) -> u32 {
        1_000_000
    }

    fn now(&self) -> u32 {
        self.0.set(self.0.get().wrapping_add(self.1));
        self.0.get()
    }
}

/// Serves a model on a stream until its host hangs up.
fn serve<S: Read + Write>(stream: S, model: &[u8], clock: &Cell<u32>, pace: u32) {
    let board = Board {
        name: "in memory",
        stream,
        ticks: Count(clock, pace),
        led: Still,
        stack: Stack::default,
    };
    let mut memory = Memory::<LINE, ARENA, CLASSES>::new();
    assert_eq!(run(board, model, &mut memory), Ended::End);
}

#[test]
fn every_request_is_answered_right_and_every_loss_counted() {
    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    for (seed, once_in) in [(1, ONCE_IN), (2, ONCE_IN), (3, 30), (4, 0)] {
        let mut arena = vec![0; ARENA];
        let host = Streaming::new(&model, &mut arena);
        let mut line = Faulty::new(host, once_in, seed);
        serve(&mut line, file.bytes(), &Cell::new(0), 1);
        let (host, struck) = (&line.host, line.struck);
        assert!(host.asked >= REQUESTS && host.detections > 300);
        // The last request but one line's worth was for the counts.
        let counts = host.last.line;
        println!(
            "{} requests, {} again, {struck:?}, {counts:?}",
            host.asked, host.repeats
        );
        assert_eq!(host.cleared + host.last.steps, host.steps, "steps");
        if once_in == 0 {
            assert_eq!((host.repeats, counts), (0, LineCounts::default()));
            continue;
        }
        let kinds = [
            struck.flips,
            struck.drops,
            struck.inserts,
            struck.cuts,
            struck.doubles,
            struck.floods,
            struck.read_errors,
            struck.interruptions,
            struck.write_errors,
        ];
        assert!(kinds.iter().all(|&count| count > 100), "{struck:?}");
        assert_eq!(counts.read_errors, struck.read_errors);
        assert_eq!(counts.replies_lost, struck.write_errors);
        assert_eq!(counts.frames_lost, line.said.frames_lost);
        assert_eq!(counts.frames_garbled, line.said.frames_garbled);
        assert_eq!(counts.frames_too_long, line.said.frames_too_long);
    }
}
