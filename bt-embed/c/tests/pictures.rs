//! Pictures and captions as a C program has them, on the host: those of a session of Rust, which other tests hold against
//! plain arithmetic, and refusals by name.

// What the calls ask of a caller is explained in bt_core.h; the memory here lives as long as its session.
#![allow(clippy::undocumented_unsafe_blocks)]

use std::mem::MaybeUninit;
use std::ptr::null_mut;

use bt_c::*;
use bt_core::captions::{END, Teller, Temperature};
use bt_core::drawing::Random;
use bt_core::{InputType, Model, ModelBytes, Session};
use bt_tests::model::{Dense, Noise};

/// A session of a model, and the memory it lies in.
fn start(file: &ModelBytes) -> (*mut bt_session, Vec<u64>) {
    let (at, count) = (file.bytes().as_ptr(), file.bytes().len());
    let arena = Model::parse(file.bytes()).unwrap().arena_bytes();
    let bytes = SESSION_OVERHEAD_BYTES + arena;
    let mut memory = vec![u64::MAX; bytes.div_ceil(8)];
    let mut session = null_mut();
    let place = memory.as_mut_ptr().cast();
    let status = unsafe { bt_session_start(at, count, place, bytes, &mut session) };
    assert_eq!(status, Status::Ok);
    (session, memory)
}

fn random(seed: u64, number: u64) -> bt_random {
    let mut random = MaybeUninit::uninit();
    unsafe {
        let status = bt_random_start(random.as_mut_ptr(), seed, number);
        assert_eq!(status, Status::Ok);
        random.assume_init()
    }
}

fn shape() -> Dense {
    Dense {
        hidden: 9,
        classes: 12,
        ..Dense::default()
    }
}

#[test]
fn pictures_are_those_of_a_session_of_rust() {
    let file = shape().painting(5, 3);
    let model = Model::parse(file.bytes()).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut rust = Session::new(&model, &mut arena).unwrap();
    let (session, _memory) = start(&file);
    let mut picture = bt_picture::default();
    let told = unsafe { bt_session_picture(session, &mut picture) };
    let expected = bt_picture {
        steps: 5,
        rows: 3,
        columns: 4,
    };
    assert_eq!((told, picture), (Status::Ok, expected));
    let (mut of_rust, mut of_c) = (Random::new(7, 2), random(7, 2));
    for _ in 0..5 {
        rust.paint(&mut of_rust).unwrap();
        let status = unsafe { bt_session_paint(session, &mut of_c) };
        assert_eq!(status, Status::Ok);
        let (mut theirs, mut ours) = ([0; 12], [0; 12]);
        rust.pixels(0, &mut theirs).unwrap();
        for first in [0, 5] {
            let rest = &mut ours[first..];
            let (place, count) = (rest.as_mut_ptr(), rest.len());
            let status = unsafe { bt_session_pixels(session, first, place, count) };
            assert_eq!((status, ours), (Status::Ok, theirs));
        }
    }
    let more = unsafe { bt_session_paint(session, &mut of_c) };
    assert_eq!(more, Status::PictureComplete);
    let beyond = unsafe { bt_session_pixels(session, 12, [0].as_mut_ptr(), 1) };
    assert_eq!(beyond, Status::WrongLength);
}

#[test]
fn drawings_are_those_of_a_session_of_rust() {
    let file = Dense {
        values: 12,
        ..shape()
    }
    .drawing();
    let model = Model::parse(file.bytes()).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut rust = Session::new(&model, &mut arena).unwrap();
    let (session, _memory) = start(&file);
    let (mut of_rust, mut of_c) = (Random::new(1 << 40, 3), random(1 << 40, 3));
    let (mut theirs, mut ours, mut ones) = ([9; 12], [8; 12], 0);
    for _ in 0..6 {
        rust.draw(&mut of_rust, &mut theirs).unwrap();
        let status = unsafe { bt_session_draw(session, &mut of_c, ours.as_mut_ptr(), 12) };
        assert_eq!((status, ours), (Status::Ok, theirs));
        ones += ours.iter().filter(|&&bit| bit == 1).count();
    }
    assert!((1..72).contains(&ones), "{ones}");
}

#[test]
fn captions_are_those_of_a_session_of_rust() {
    let file = Dense {
        input_type: InputType::U8,
        classes: 40,
        ..shape()
    }
    .captioning(6);
    let model = Model::parse(file.bytes()).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut rust = Session::new(&model, &mut arena).unwrap();
    let (session, _memory) = start(&file);
    assert_eq!(unsafe { bt_session_caption_words(session) }, 6);
    let mut scores = [0; 40];
    let mut next = |random: *mut bt_random, temperature| {
        let (mut word, place) = (99, scores.as_mut_ptr());
        let status =
            unsafe { bt_session_next_word(session, random, temperature, place, 40, &mut word) };
        (status, word)
    };
    assert_eq!(next(null_mut(), 0), (Status::NoStep, 99));
    let early = unsafe { bt_session_begin_caption(session) };
    assert_eq!(early, Status::NoPicture);

    let picture = Noise::new(3).bytes(7);
    let mut taken = 0;
    unsafe {
        let status = bt_session_push_u8(session, picture.as_ptr(), 7, &mut taken);
        assert_eq!((status, taken), (Status::Ok, 7));
        assert_eq!(bt_session_begin_caption(session), Status::FrameUnderWay);
        assert_eq!(bt_session_step(session), Status::Ok);
    }
    assert!(rust.feed(&mut &picture[..]).unwrap());
    rust.step().unwrap();
    let mut source = random(5, 0);
    let mut drawing = Teller::drawing(Random::new(5, 0), Temperature::new(300).unwrap());
    let mut all = Vec::new();
    for (teller, temperature) in [(&mut Teller::likeliest(), 0), (&mut drawing, 300)] {
        rust.begin_caption().unwrap();
        let begun = unsafe { bt_session_begin_caption(session) };
        assert_eq!(begun, Status::Ok);
        for _ in 0..6 {
            let mut of_rust = [0; 40];
            rust.scores(&mut of_rust).unwrap();
            let word = teller.next_word(&of_rust, model.score_shift()).unwrap();
            assert_eq!(next(&mut source, temperature), (Status::Ok, word));
            all.push(word);
            if word == END {
                break;
            }
            rust.step_word(word).unwrap();
            let stepped = unsafe { bt_session_step_word(session, word) };
            assert_eq!(stepped, Status::Ok);
        }
    }
    all.sort_unstable();
    all.dedup();
    assert!(all.len() > 3, "{all:?}");
    assert_eq!(next(&mut source, 31), (Status::Temperature, 99));
    assert_eq!(next(null_mut(), 300), (Status::Null, 99));
    let beyond = unsafe { bt_session_step_word(session, 40) };
    assert_eq!(beyond, Status::NoOutput);
}

/// A model of one kind refuses what is of another, and null is told.
#[test]
fn what_a_model_does_not_do_is_refused_by_name() {
    let file = Dense::default().model();
    let (session, _memory) = start(&file);
    let (mut source, mut bytes, mut scores, mut word) = (random(0, 0), [0; 3], [0; 3], 0);
    let mut picture = bt_picture::default();
    unsafe {
        let pixels = bytes.as_mut_ptr();
        assert_eq!(bt_random_start(null_mut(), 0, 0), Status::Null);
        assert_eq!(bt_session_caption_words(session), 0);
        assert_eq!(bt_session_caption_words(null_mut()), 0);
        let told = bt_session_picture(session, &mut picture);
        assert_eq!(told, Status::NotPainted);
        assert_eq!(bt_session_picture(null_mut(), &mut picture), Status::Null);
        assert_eq!(bt_session_paint(session, &mut source), Status::NotPainted);
        assert_eq!(bt_session_paint(session, null_mut()), Status::Null);
        assert_eq!(bt_session_pixels(session, 0, pixels, 3), Status::NotPainted);
        assert_eq!(bt_session_pixels(session, 0, null_mut(), 3), Status::Null);
        let drawn = bt_session_draw(session, &mut source, pixels, 3);
        assert_eq!(drawn, Status::NotDrawn);
        let scores = scores.as_mut_ptr();
        let told = bt_session_next_word(session, null_mut(), 0, scores, 3, &mut word);
        assert_eq!(told, Status::NotCaptions);
        assert_eq!(bt_session_step_word(session, 0), Status::NotCaptions);
        assert_eq!(bt_session_begin_caption(session), Status::NotCaptions);
    }
    assert_eq!(source, random(0, 0));

    // A picture that has all its steps takes none that is pushed either.
    let file = shape().painting(1, 3);
    let (session, _memory) = start(&file);
    let mut taken = 0;
    unsafe {
        let pixels = bytes.as_mut_ptr();
        assert_eq!(bt_session_pixels(session, 0, pixels, 3), Status::NoStep);
        let wrong = bt_session_draw(session, &mut source, pixels, 3);
        assert_eq!(wrong, Status::WrongLength);
        assert_eq!(bt_session_paint(session, &mut source), Status::Ok);
        let status = bt_session_push_i16(session, [0; 7].as_ptr(), 7, &mut taken);
        assert_eq!((status, taken), (Status::Ok, 7));
        assert_eq!(bt_session_step(session), Status::PictureComplete);
        assert_eq!(
            bt_session_paint(session, &mut source),
            Status::FrameUnderWay
        );
    }
}
