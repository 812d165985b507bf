use super::*;
use crate::wire::{Bits, Decoder, Golden, LineCounts, Raw};
use bt_core::InputType;
use bt_core::health::Limits;
use proptest::prelude::*;

fn round_trip(tag: u8, reply: Reply<'_>) {
    let mut line = [0; 1100];
    let length = reply.encode(tag, &mut line).unwrap();
    let mut decoder = Decoder::<1100>::new();
    let (end, start) = line[..length].split_last().unwrap();
    assert!(start.iter().all(|&byte| decoder.push(byte).is_none()));
    let body = decoder.push(*end).unwrap().unwrap();
    assert_eq!(Reply::decode(body), Ok((tag, reply)));
}

fn hello<'a>(n: u32, board: &'a str, model: &'a str) -> Hello<'a> {
    Hello {
        firmware: [1, 2, n as u8],
        input: [InputType::U8, InputType::I8, InputType::I16][n as usize % 3],
        golden: [Golden::Passed, Golden::Failed][n as usize / 3 % 2],
        score_shift: n as i32,
        chunk_bytes_max: n as u16,
        classes: n as u16,
        hidden: n as u16,
        frame_values: n,
        arena_bytes: n,
        model_crc: n,
        tick_hz: n,
        step_ticks: n.wrapping_add(1),
        sample_hz: n.wrapping_add(2),
        board,
        model,
    }
}

#[test]
fn every_error_comes_back() {
    for code in (1..=27).chain([30]) {
        round_trip(7, Reply::Error(Error::from_wire(code, 2).unwrap()));
    }
    assert_eq!(Error::from_wire(0, 0), None);
    assert_eq!(Error::from_wire(28, 0), None);
}

/// Devices of every version say which they speak in the same bytes.
#[test]
fn another_version_is_named() {
    for device in [0, 1, VERSION + 1, u8::MAX] {
        let error = [device, kind::ERROR, 7, 3, device, 0, 0, 0];
        assert_eq!(Reply::decode(&error), Err(Error::Version { device }));
    }
    let mut line = [0; 40];
    let answer = Reply::Error(Error::Version { device: VERSION });
    let length = answer.encode(7, &mut line).unwrap();
    let mut decoder = Decoder::<40>::new();
    let body = line[..length].iter().find_map(|&byte| {
        let ended = decoder.ends_frame(byte);
        ended.then(|| decoder.take().unwrap().to_vec())
    });
    assert_eq!(body.unwrap(), [VERSION, 0xFF, 7, 3, VERSION, 0, 0, 0]);
}

#[test]
fn a_long_name_is_cut_at_a_character() {
    let mut line = [0; 200];
    let name = "ä".repeat(33);
    let name = std::format!("x{name}");
    let length = Reply::Label {
        class: 0,
        text: &name,
    }
    .encode(1, &mut line)
    .unwrap();
    let mut decoder = Decoder::<200>::new();
    let found = line[..length]
        .iter()
        .find_map(|&b| decoder.push(b).map(|r| r.unwrap().to_vec()))
        .unwrap();
    let Ok((1, Reply::Label { text, .. })) = Reply::decode(&found) else {
        panic!("not a label");
    };
    assert_eq!(text, &name[..63]);
}

proptest! {
    #[test]
    fn replies_come_back(tag: u8, n: u32, ticks: u64, confidence in 0f32..=1.0,
                         text in "\\PC{0,16}", raw in prop::collection::vec(any::<i32>(), 0..200)) {
        round_trip(tag, Reply::Hello(hello(n, &text, &text)));
        round_trip(tag, Reply::Label { class: n as u16, text: &text });
        round_trip(tag, Reply::Taken { next: n, steps: n });
        round_trip(tag, Reply::Ready);
        round_trip(tag, Reply::Scores(Scores {
            steps: n, best: n as u16, confidence, first: 0, classes: n as u16, raw: Raw::Values(&raw),
        }));
        round_trip(tag, Reply::Statistics(Statistics {
            period: n, steps: n.wrapping_add(1), ticks, step_ticks_max: n.wrapping_add(2),
            push_ticks_max: n.wrapping_add(3), score_ticks_max: n.wrapping_add(4),
            limits: Limits {
                inputs: ticks ^ 1, inputs_clipped: ticks ^ 2, gates: ticks ^ 3,
                gates_saturated: ticks ^ 4, cells: ticks ^ 5, cells_at_limit: ticks ^ 6,
            },
            line: LineCounts {
                frames_garbled: n.wrapping_add(5), frames_too_long: n.wrapping_add(6),
                frames_lost: n.wrapping_add(7), read_errors: n.wrapping_add(8),
                replies_lost: n.wrapping_add(9),
            },
            stack_bytes_used: n.wrapping_add(10), stack_bytes: n.wrapping_add(11),
        }));
        round_trip(tag, Reply::State { total: n, at: n ^ 1, bytes: text.as_bytes() });
        round_trip(tag, Reply::Loaded { due: n, total: n ^ 1 });
        round_trip(tag, Reply::Inputs { places: n, first: n ^ 1, bytes: text.as_bytes() });
        round_trip(tag, Reply::Slots(Slots {
            image_bytes_max: n, piece_bytes_max: n as u16, served: n as u8, sequence: n ^ 1,
            arena_bytes: n ^ 2, scores: n as u16, passed_over: &text,
        }));
        let whole = text.len() / DETECTION_BYTES * DETECTION_BYTES;
        round_trip(tag, Reply::Detections { total: n, first: n ^ 1, bytes: &text.as_bytes()[..whole] });
        round_trip(tag, Reply::Written { due: n });
        round_trip(tag, Reply::Told { at: n as u16, word: !n as u16, text: &text });
        round_trip(tag, Reply::Rejected { reason: &text });
        let bits: Vec<u8> = raw.iter().map(|raw| (raw & 1) as u8).collect();
        round_trip(tag, Reply::Drawn(Drawn {
            steps: n, first: n as u16, count: n as u16, bits: Bits::Values(&bits),
        }));
        round_trip(tag, Reply::Painted(Painted {
            steps: n, steps_in_all: n as u16, rows: !n as u16, first: (n >> 1) as u16,
            count: (n >> 16) as u16, greys: text.as_bytes(),
        }));
        round_trip(tag, Reply::Refused { reason: &text });
    }

    #[test]
    fn any_body_is_a_reply_or_an_error(body in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Reply::decode(&body);
    }
}
