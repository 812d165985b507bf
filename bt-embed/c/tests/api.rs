//! The C functions as a C program calls them, on the host.

// What the calls ask of a caller is explained in bt_core.h; the memory here lives as long as its session.
#![allow(clippy::undocumented_unsafe_blocks)]

use std::ffi::CStr;
use std::ptr::{null, null_mut};

use bt_c::*;
use bt_core::captions::END;
use bt_core::detection::{Detector, Rule, Watch};
use bt_core::{InputType, Model, Session};
use bt_tests::model::{Dense, Noise, scores_of};

/// A session with its memory, at an address of its own.
struct Started {
    session: *mut bt_session,
    _memory: Vec<u64>,
}

fn start(model: &[u8]) -> Started {
    let bytes = read(model).unwrap().session_bytes;
    let mut memory = vec![u64::MAX; bytes.div_ceil(8)];
    let mut session = null_mut();
    let place = memory.as_mut_ptr().cast();
    // One byte less is too little.
    let less =
        unsafe { bt_session_start(model.as_ptr(), model.len(), place, bytes - 4, &mut session) };
    assert_eq!((less, session), (Status::MemoryTooSmall, null_mut()));
    let status =
        unsafe { bt_session_start(model.as_ptr(), model.len(), place, bytes, &mut session) };
    assert_eq!(status, Status::Ok);
    Started {
        session,
        _memory: memory,
    }
}

fn read(model: &[u8]) -> Result<bt_model_info, Status> {
    let mut info = std::mem::MaybeUninit::uninit();
    match unsafe { bt_model_read(model.as_ptr(), model.len(), info.as_mut_ptr()) } {
        Status::Ok => Ok(unsafe { info.assume_init() }),
        status => Err(status),
    }
}

/// Pushes values of a model of i16 and takes the steps that they complete.
fn feed(session: *mut bt_session, mut values: &[i16]) {
    while !values.is_empty() {
        let mut taken = 0;
        let status =
            unsafe { bt_session_push_i16(session, values.as_ptr(), values.len(), &mut taken) };
        assert_eq!(status, Status::Ok);
        values = &values[taken..];
        if unsafe { bt_session_frame_complete(session) } {
            assert_eq!(unsafe { bt_session_step(session) }, Status::Ok);
        }
    }
}

fn scores(session: *mut bt_session, count: usize) -> Vec<i32> {
    let mut scores = vec![0; count];
    let status = unsafe { bt_session_scores(session, scores.as_mut_ptr(), count) };
    assert_eq!(status, Status::Ok);
    scores
}

fn values(bytes: &[u8]) -> Vec<i16> {
    let pairs = bytes.chunks_exact(2);
    pairs
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

#[test]
fn a_stream_gives_the_scores_of_a_session_of_rust() {
    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    let info = read(file.bytes()).unwrap();
    assert_eq!((info.frame_values, info.outputs, info.hidden), (7, 3, 6));
    assert_eq!((info.input_type, info.output_kind), (2, 0));
    assert_eq!(info.crc, model.crc());
    let bytes = Noise::new(5).bytes(4 * 7 * 2);
    let started = start(file.bytes());
    assert_eq!(unsafe { bt_session_self_test(started.session) }, Status::Ok);
    feed(started.session, &values(&bytes));
    assert_eq!(unsafe { bt_session_steps(started.session) }, 4);
    let told = scores(started.session, 3);
    assert_eq!(told, scores_of(&model, &bytes));
    let best = (0..3).rev().max_by_key(|&class| told[class]).unwrap();
    assert_eq!(unsafe { bt_argmax(told.as_ptr(), 3) }, best);
}

/// Two sessions share a model and nothing else; a state goes from one to the other.
#[test]
fn sessions_are_independent_and_states_carry_over() {
    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    let bytes = Noise::new(6).bytes(6 * 7 * 2);
    let all = values(&bytes);
    let (first, second) = (start(file.bytes()), start(file.bytes()));
    feed(first.session, &all[..3 * 7]);
    feed(second.session, &all[7..9]);
    let count = unsafe { bt_session_saved_bytes(first.session) };
    let mut state = vec![0; count];
    let save = |session, state: &mut [u8]| unsafe {
        bt_session_save(session, state.as_mut_ptr(), state.len())
    };
    let load =
        |session, state: &[u8]| unsafe { bt_session_load(session, state.as_ptr(), state.len()) };
    assert_eq!(save(second.session, &mut state), Status::FrameUnderWay);
    assert_eq!(save(first.session, &mut state[1..]), Status::WrongLength);
    assert_eq!(save(first.session, &mut state), Status::Ok);
    state[20] ^= 1;
    assert_eq!(load(second.session, &state), Status::StateDamaged);
    state[20] ^= 1;
    assert_eq!(load(second.session, &state), Status::Ok);
    feed(second.session, &all[3 * 7..]);
    assert_eq!(scores(second.session, 3), scores_of(&model, &bytes));
    let other = Dense {
        seed: 2,
        ..Dense::default()
    };
    let other = other.model();
    let other = start(other.bytes());
    assert_eq!(load(other.session, &state), Status::StateMismatch);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let file = Dense::default().model();
    let bytes = file.bytes();
    let started = start(bytes);
    let session = started.session;
    let mut taken = 99;
    unsafe {
        let mut place = null_mut();
        assert_eq!(
            bt_session_start(bytes.as_ptr(), bytes.len(), null_mut(), 4096, &mut place),
            Status::Null
        );
        assert_eq!(bt_model_read(null(), 64, null_mut()), Status::Null);
        assert_eq!(bt_session_step(null_mut()), Status::Null);
        assert_eq!(
            bt_session_push_u8(session, [1].as_ptr(), 1, &mut taken),
            Status::WrongType
        );
        assert_eq!(taken, 0);
        assert_eq!(
            bt_session_push_i16(session, null(), 1, &mut taken),
            Status::Null
        );
        assert_eq!(
            bt_session_push_i16(session, [1].as_ptr(), 1, &mut taken),
            Status::Ok
        );
        assert_eq!(bt_session_step(session), Status::FrameIncomplete);
        assert_eq!(bt_session_finish(session), Status::FrameIncomplete);
        assert_eq!(
            bt_session_scores(session, [0; 3].as_mut_ptr(), 3),
            Status::NoStep
        );
        assert_eq!(
            bt_session_scores(session, [0; 4].as_mut_ptr(), 4),
            Status::WrongLength
        );
        assert_eq!(
            bt_session_push_i16(session, [1; 6].as_ptr(), 6, &mut taken),
            Status::Ok
        );
        assert_eq!(
            bt_session_push_i16(session, [1].as_ptr(), 1, &mut taken),
            Status::FrameComplete
        );
        assert_eq!(bt_session_reset(session), Status::Ok);
        assert!(!bt_session_frame_complete(session));
        // Memory that holds no session, or one that was copied here from elsewhere.
        let mut elsewhere = vec![0u64; 8192];
        assert_eq!(
            bt_session_step(elsewhere.as_mut_ptr().cast()),
            Status::NoSession
        );
        let copy = elsewhere.as_mut_ptr().cast::<u8>();
        copy.copy_from(session.cast(), SESSION_OVERHEAD_BYTES);
        assert_eq!(bt_session_step(copy.cast()), Status::NoSession);
        assert_eq!(bt_session_step(copy.add(1).cast()), Status::NoSession);
    }
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut damaged = bytes.to_vec();
        change(&mut damaged);
        let aligned = bt_core::ModelBytes::from_unaligned(&damaged);
        read(aligned.bytes()).unwrap_err()
    };
    assert_eq!(refused(&|bytes| bytes[0] ^= 1), Status::ModelMagic);
    assert_eq!(refused(&|bytes| bytes[4] = 99), Status::ModelVersion);
    assert_eq!(refused(&|bytes| bytes[60] ^= 1), Status::ModelDamaged);
    assert_eq!(refused(&|bytes| bytes.truncate(80)), Status::ModelTruncated);
    assert_eq!(read(&bytes[1..]).unwrap_err(), Status::Misaligned);
}

/// A detector with its memory.
struct Looking {
    detector: *mut bt_detector,
    _memory: Vec<u64>,
}

/// A detector for a model of so many outputs, which needs all of its memory.
fn detector(session: *mut bt_session, outputs: usize) -> Looking {
    let bytes = DETECTOR_OVERHEAD_BYTES + WATCH_BYTES * outputs;
    let mut memory = vec![u64::MAX; bytes.div_ceil(8)];
    let place = memory.as_mut_ptr().cast();
    let mut detector = null_mut();
    let less = unsafe { bt_detector_start(session, place, bytes - 1, &mut detector) };
    assert_eq!((less, detector), (Status::MemoryTooSmall, null_mut()));
    let status = unsafe { bt_detector_start(session, place, bytes, &mut detector) };
    assert_eq!(status, Status::Ok);
    Looking {
        detector,
        _memory: memory,
    }
}

const RULE: bt_rule = bt_rule {
    threshold: 16_000,
    smoothing: 1,
    hold_off: 2,
};

/// With a state that goes on and in windows: what a detector of Rust detects, whose detections other tests hold
/// against f64.
#[test]
fn detections_are_those_of_a_detector_of_rust() {
    let shape = Dense {
        score_shift: 20,
        ..Dense::default()
    };
    let file = shape.model();
    let model = Model::parse(file.bytes()).unwrap();
    let all = values(&Noise::new(7).bytes(60 * 7 * 2));
    for window in [0, 3] {
        let (mut watches, mut of_rust) = ([Watch::OFF; 3], [0; 3]);
        let mut rust = Detector::new(&model, &mut watches).unwrap();
        let started = start(file.bytes());
        let c = detector(started.session, 3);
        for class in [0, 2] {
            let rule = Rule {
                threshold: RULE.threshold,
                smoothing: RULE.smoothing,
                hold_off: RULE.hold_off,
            };
            rust.watch(class, Some(rule)).unwrap();
            let status = unsafe { bt_detector_watch(c.detector, class, &RULE) };
            assert_eq!(status, Status::Ok);
        }
        rust.set_window(window);
        assert_eq!(
            unsafe { bt_detector_set_window(c.detector, window) },
            Status::Ok
        );
        let look = |frame: &[i16]| {
            feed(started.session, frame);
            let (mut scores, mut detected, mut told) = ([0; 3], true, bt_detection::default());
            let (place, at) = (scores.as_mut_ptr(), &mut detected);
            let status =
                unsafe { bt_detector_step(c.detector, started.session, place, 3, at, &mut told) };
            assert_eq!(status, Status::Ok);
            (scores, detected.then_some(told))
        };
        let mut arena = vec![0; model.arena_words()];
        let mut session = Session::new(&model, &mut arena).unwrap();
        let mut detections = 0;
        for frame in all.chunks(7) {
            session.push_i16(frame).unwrap();
            session.step().unwrap();
            let expected = rust.step(&mut session, &mut of_rust).unwrap();
            detections += usize::from(expected.is_some());
            let expected = expected.map(|found| bt_detection {
                output: found.class,
                step: found.step,
                confidence: found.confidence,
            });
            assert_eq!(look(frame), (of_rust, expected));
        }
        assert!(detections > 2, "{detections}");
        // After a reset the same frames are detected again.
        unsafe {
            assert_eq!(bt_session_reset(started.session), Status::Ok);
            assert_eq!(bt_detector_reset(c.detector), Status::Ok);
        }
        let again = all.chunks(7).filter(|frame| look(frame).1.is_some());
        let again = again.count();
        assert_eq!(again, detections);
    }
}

#[test]
fn detectors_that_cannot_be_are_refused_by_name() {
    let file = Dense::default().model();
    let started = start(file.bytes());
    let looking = detector(started.session, 3);
    let other = Dense {
        seed: 2,
        ..Dense::default()
    };
    let other = other.model();
    let other = start(other.bytes());
    let (mut scores, mut detected, mut told) = ([0; 3], true, bt_detection::default());
    let mut step = |detector, session, count| unsafe {
        bt_detector_step(
            detector,
            session,
            scores.as_mut_ptr(),
            count,
            &mut detected,
            &mut told,
        )
    };
    let detector = looking.detector;
    assert_eq!(step(detector, started.session, 3), Status::NoStep);
    assert_eq!(step(detector, other.session, 3), Status::StateMismatch);
    assert_eq!(step(detector, null_mut(), 3), Status::Null);
    assert_eq!(step(null_mut(), started.session, 3), Status::Null);
    feed(started.session, &[5; 7]);
    assert_eq!(step(detector, started.session, 2), Status::WrongLength);
    assert_eq!(step(detector, started.session, 3), Status::Ok);
    let watch = |output, rule| unsafe { bt_detector_watch(detector, output, rule) };
    assert_eq!(watch(3, &RULE), Status::NoOutput);
    assert_eq!(
        watch(
            2,
            &bt_rule {
                threshold: 0,
                ..RULE
            }
        ),
        Status::Rule
    );
    assert_eq!(
        watch(
            2,
            &bt_rule {
                smoothing: 11,
                ..RULE
            }
        ),
        Status::Rule
    );
    assert_eq!(watch(2, null()), Status::Ok);
    unsafe {
        // A session is no detector, and one that was moved neither.
        let session = started.session.cast();
        assert_eq!(bt_detector_reset(session), Status::NoDetector);
        let mut elsewhere = [0u64; 32];
        let copy: *mut bt_detector = elsewhere.as_mut_ptr().cast();
        copy.cast::<u8>()
            .copy_from(detector.cast(), DETECTOR_OVERHEAD_BYTES);
        assert_eq!(bt_detector_set_window(copy, 1), Status::NoDetector);
        assert_eq!(bt_detector_reset(copy.byte_add(1)), Status::NoDetector);
        let mut place = null_mut();
        let memory = elsewhere.as_mut_ptr().cast::<u8>();
        let status = bt_detector_start(started.session, memory.add(1), 200, &mut place);
        assert_eq!(status, Status::Misaligned);
        let drawing = Dense {
            values: 12,
            classes: 12,
            ..Dense::default()
        };
        let drawing = drawing.drawing();
        let bits = start(drawing.bytes());
        let status = bt_detector_start(bits.session, memory, 256, &mut place);
        assert_eq!((status, place), (Status::NotClasses, null_mut()));
    }
}

#[test]
fn bytes_of_both_signs_go_in() {
    for input_type in [InputType::U8, InputType::I8] {
        let shape = Dense {
            input_type,
            ..Dense::default()
        };
        let file = shape.model();
        let model = Model::parse(file.bytes()).unwrap();
        let bytes = Noise::new(8).bytes(7);
        let started = start(file.bytes());
        let mut taken = 0;
        let (at, count) = (bytes.as_ptr(), bytes.len());
        let status = match input_type {
            InputType::U8 => unsafe { bt_session_push_u8(started.session, at, count, &mut taken) },
            _ => unsafe { bt_session_push_i8(started.session, at.cast(), count, &mut taken) },
        };
        assert_eq!((status, taken), (Status::Ok, 7));
        assert_eq!(unsafe { bt_session_step(started.session) }, Status::Ok);
        assert_eq!(scores(started.session, 3), scores_of(&model, &bytes));
    }
}

/// The header that a C program reads has these very numbers, names and sizes.
#[test]
fn the_header_is_of_this_library() {
    let header = include_str!("../bt_core.h");
    let mut told = 0;
    for line in header.lines().map(str::trim) {
        let Some((name, rest)) = line.split_once(" = ") else {
            continue;
        };
        if !name.starts_with("BT_OK") && !name.starts_with("BT_ERROR_") {
            continue;
        }
        let number = rest.split(',').next().unwrap().parse().unwrap();
        let status = Status::from_number(number).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(status.name().to_str(), Ok(name));
        let by_number = unsafe { CStr::from_ptr(bt_status_name(number)) };
        assert_eq!(by_number.to_str(), Ok(name));
        told += 1;
    }
    assert_eq!(told, Status::ALL.len());
    assert_eq!(unsafe { CStr::from_ptr(bt_status_name(-1)) }, c"?");
    for defined in [
        format!("BT_SESSION_OVERHEAD_BYTES {SESSION_OVERHEAD_BYTES}\n"),
        format!("BT_DETECTOR_OVERHEAD_BYTES {DETECTOR_OVERHEAD_BYTES}\n"),
        format!("BT_DETECTOR_OVERHEAD_BYTES + {WATCH_BYTES}u * "),
        format!("uint64_t place[{}];", RANDOM_BYTES / 8),
        format!("#define BT_WORD_END {END}\n"),
    ] {
        assert!(header.contains(&defined), "{defined}");
    }
}
