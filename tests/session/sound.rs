//! The end of an utterance, and what a microphone adds.

use super::*;

/// Sound of this length around an offset.
fn sound(length: usize, offset: i16) -> Vec<i16> {
    let mut noise = Noise::new(length as u32);
    let sample = |n: usize| (noise.bits() as i16 >> if n % 200 < 100 { 5 } else { 8 }) + offset;
    (0..length).map(sample).collect()
}

/// Samples one by one, then the end of the utterance.
fn utterance(session: &mut Session<'_, '_>, samples: &[i16]) -> Vec<i32> {
    session.reset();
    for &sample in samples {
        assert_eq!(session.push_i16(&[sample]), Ok(1));
        if session.frame_complete() {
            session.step().unwrap();
        }
    }
    // Once more changes nothing: when the step is due, nor when it is taken.
    session.finish().unwrap();
    session.finish().unwrap();
    if session.frame_complete() {
        session.step().unwrap();
    }
    session.finish().unwrap();
    assert!(!session.frame_complete());
    assert_eq!(session.steps() as usize, samples.len().div_ceil(SOUND_STEP));
    scores(session)
}

/// What `bt-train run` says of a recording, firmware says that pushes it sample by sample and ends it;
/// whatever the recording's length, in both formats of the front end.
#[test]
fn an_utterance_ends_as_run_ends_it() {
    for format in [FORMAT, FORMAT_UNFILTERED] {
        let bytes = exported::sound(1, format);
        let model = Model::parse(bytes.bytes()).unwrap();
        assert_eq!(model.frame_values(), SOUND_STEP);
        let sounds: Vec<Vec<i16>> = [1, 31, 32, 63, 64, 65, 100, 640, 700]
            .into_iter()
            .map(|length| sound(length, 300))
            .collect();
        let expected = device::run(&model, &recordings(&sounds), || ()).unwrap();
        let mut arena = vec![0; model.arena_bytes() / 4];
        let mut session = Session::new(&model, &mut arena).unwrap();
        for (sound, expected) in sounds.iter().zip(&expected) {
            let length = sound.len();
            assert_eq!(&utterance(&mut session, sound), expected, "{length}");
        }
    }
}

/// From its first sample to its last step: an offset changes no score, nor does what was heard before
/// the reset.
#[test]
fn an_offset_changes_no_score() {
    let bytes = exported::sound(2, FORMAT);
    let model = Model::parse(bytes.bytes()).unwrap();
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).unwrap();
    for length in [40, 65, 1_000] {
        let plain = utterance(&mut session, &sound(length, 0));
        for offset in [-20_000, 500, 31_000] {
            let found = utterance(&mut session, &sound(length, offset));
            assert_eq!(found, plain, "{length} samples around {offset}");
        }
    }
}

/// Before the high-pass there were zeros, and the models of that time go on getting them.
#[test]
fn an_unfiltered_front_end_ends_in_zeros() {
    let bytes = exported::sound(3, FORMAT_UNFILTERED);
    let model = Model::parse(bytes.bytes()).unwrap();
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let mut samples = sound(100, 700);
    let found = utterance(&mut session, &samples);
    samples.resize(2 * SOUND_STEP, 0);
    assert_eq!(found, utterance(&mut session, &samples));
}
