//! Requests that are wrong, repeated, or met by another version; and frames as PROTOCOL.md prints them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use bt_core::Model;
use bt_embed::service::Service;
use bt_embed::wire::{self, Reply, Request, frame};
use bt_tests::line::Faults;
use bt_tests::model::{Dense, Noise, scores_of};
use bt_tests::serving::{Room, surroundings};
use tools::device::Device;

use super::{Count, Lamp, with_device};

#[test]
fn wrong_requests_have_clear_answers() {
    let file = Dense::default().model();
    with_device(file.bytes(), [Faults::default(); 2], 1, |mut device, _| {
        let message = |result: anyhow::Result<()>| format!("{:#}", result.unwrap_err());
        assert_eq!(
            message(device.scores().map(drop)),
            "the device answered: no step is complete yet"
        );
        assert_eq!(
            message(device.label(3).map(drop)),
            "the device answered: there are only 3 classes"
        );
        assert_eq!(
            message(device.chunk(&[0; 400]).map(drop)),
            "the line is too noisy: a frame is longer than 300 bytes, 12 times in a row"
        );
        // It serves on.
        assert_eq!(device.hello().unwrap().classes, 3);
    });
}

/// A device that answers whatever it is asked with one frame.
struct Stubborn {
    answer: Vec<u8>,
    unread: Vec<u8>,
}

impl io::Read for Stubborn {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.unread.len().min(bytes.len());
        bytes[..count].copy_from_slice(&self.unread[..count]);
        self.unread.drain(..count);
        Ok(count)
    }
}

impl io::Write for Stubborn {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unread.extend(&self.answer);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_device_of_another_version_is_refused_by_name_at_once() {
    // As devices of versions 1 and 2 answer it, and one that answers in our version.
    for (body, named) in [
        ([1, 0xFF, 0, 3, 1, 0, 0, 0], 1),
        ([2, 0xFF, 0, 3, 2, 0, 0, 0], 2),
        ([3, 0xFF, 1, 3, 7, 0, 0, 0], 7),
    ] {
        let mut line = [0; 40];
        let length = frame::encode(&mut line, |w| w.bytes(&body)).unwrap();
        let stream = Stubborn {
            answer: line[..length].to_vec(),
            unread: Vec::new(),
        };
        let mut device = Device::new(stream, Instant::now() + Duration::from_secs(10));
        let error = device.hello().unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "the device answered: it speaks version {named} of the protocol, this program version 3"
            )
        );
        assert_eq!(device.repeats(), 0);
    }
}

/// Counts are cleared once, however often the host must ask.
#[test]
fn a_period_is_cleared_once() {
    let file = Dense::default().model();
    let faults = Faults {
        cut: 300,
        ..Faults::default()
    };
    with_device(
        file.bytes(),
        [Faults::default(), faults],
        3,
        |mut device, _| {
            let mut steps = 0;
            for period in 0..30 {
                device.reset().unwrap();
                device.chunk(&[1; 14]).unwrap();
                let ended = device.clear().unwrap();
                assert_eq!((ended.period, ended.steps), (period, 1));
                steps += ended.steps;
            }
            assert_eq!(steps, 30);
            assert!(device.repeats() > 10, "no reply was lost");
        },
    );
}

/// A host that was away may say again what it said before, however long ago.
#[test]
fn every_chunk_that_was_taken_is_taken_once() {
    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    let bytes = Noise::new(3).bytes(10 * 14);
    let mut room = Room::of(&model);
    let ticks = Count(AtomicU32::new(0));
    let lamp = Lamp(Arc::default());
    let service = Service::new(&model, file.bytes(), room.places(), &ticks, lamp);
    let mut service = service.unwrap();
    let surroundings = surroundings();
    for (sequence, chunk) in (0..).zip(bytes.chunks(14)) {
        for repeated in (0..=sequence).rev() {
            let bytes = if repeated == sequence {
                chunk
            } else {
                &[9; 14]
            };
            let request = Request::Data {
                sequence: repeated,
                bytes,
            };
            let taken = Reply::Taken {
                next: sequence + 1,
                steps: sequence + 1,
            };
            assert_eq!(service.handle(request, &surroundings), taken);
        }
        let ahead = Request::Data {
            sequence: sequence + 2,
            bytes: chunk,
        };
        let expected = sequence + 1;
        let refused = Reply::Error(wire::Error::Sequence { expected });
        assert_eq!(service.handle(ahead, &surroundings), refused);
    }
    let Reply::Scores(scores) = service.handle(Request::Scores { first: 0 }, &surroundings) else {
        panic!("no scores");
    };
    assert_eq!(
        scores.raw.iter().collect::<Vec<_>>(),
        scores_of(&model, &bytes)
    );
}

/// The frames that PROTOCOL.md prints.
#[test]
fn frames_as_documented() {
    let page = include_str!("../../bt-embed/PROTOCOL.md");
    let hex = |frame: &[u8]| {
        frame
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut line = [0; 100];
    let requests = [
        Request::Hello,
        Request::Reset,
        Request::Data {
            sequence: 0,
            bytes: &[1, 0, 255, 255],
        },
        Request::Scores { first: 0 },
        Request::Finish,
        Request::Save { at: 0 },
    ];
    for (tag, request) in requests.iter().enumerate() {
        let length = request.encode(tag as u8 + 1, &mut line).unwrap();
        assert!(
            page.contains(&hex(&line[..length])),
            "{request:?}: {}",
            hex(&line[..length])
        );
    }
    let length = Reply::Taken { next: 1, steps: 0 }
        .encode(3, &mut line)
        .unwrap();
    assert!(
        page.contains(&hex(&line[..length])),
        "{}",
        hex(&line[..length])
    );
}
