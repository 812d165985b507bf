//! The session's promises: pieces of any length, save and load, several streams over one model.

use bt_core::about::Pool;
use bt_core::error::{PushError, ScoresError, StateError, StepError};
use bt_core::internals::front_end::{FORMAT, FORMAT_UNFILTERED};
use bt_core::{Model, Session};
use bt_tests::exported::{self, SOUND_STEP, recordings};
use bt_tests::model::{Dense, Noise};
use bt_train::device;
use crc::{CRC_32_ISCSI, Crc};
use proptest::prelude::*;

fn frame_bytes(model: &Model<'_>) -> usize {
    model.frame_values() * model.input_type().bytes()
}

/// Feeds whole frames in pieces of `piece` values.
fn feed(session: &mut Session<'_, '_>, bytes: &[u8], piece: usize) {
    let piece = piece * session.model().input_type().bytes();
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min(at + piece);
        let mut values = &bytes[at..end];
        while session.feed(&mut values).unwrap() {
            session.step().unwrap();
        }
        at = end;
    }
}

fn scores(session: &Session<'_, '_>) -> Vec<i32> {
    let mut scores = vec![0; session.model().outputs()];
    session.scores(&mut scores).unwrap();
    scores
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_any_length_give_the_same_scores(
        seed in 0..10_000u64,
        pieces in prop::collection::vec(1..100usize, 4),
    ) {
        let bytes = exported::random(seed);
        let model = Model::parse(bytes.bytes()).unwrap();
        let data = Noise::new(seed as u32).bytes(3 * frame_bytes(&model));
        let mut arena = vec![0; model.arena_bytes() / 4];
        let mut found = |piece: usize| {
            let mut session = Session::new(&model, &mut arena).unwrap();
            feed(&mut session, &data, piece);
            assert_eq!(session.steps(), 3);
            scores(&session)
        };
        let whole = found(model.frame_values());
        for piece in [&[1, 10 * model.frame_values()], &pieces[..]].concat() {
            prop_assert_eq!(found(piece), whole.clone(), "pieces of {}", piece);
        }
    }

    #[test]
    fn a_saved_state_goes_on_as_if_nothing_had_happened(
        seed in 0..10_000u64,
        frames_before in 0..5usize,
        pieces in prop::array::uniform3(1..20usize),
    ) {
        let bytes = exported::random(seed);
        let model = Model::parse(bytes.bytes()).unwrap();
        let data = Noise::new(seed as u32).bytes(6 * frame_bytes(&model));
        let (first, second) = data.split_at(frames_before * frame_bytes(&model));
        let (mut a, mut b) = (
            vec![0; model.arena_bytes() / 4],
            vec![0; model.arena_bytes() / 4],
        );
        let mut unbroken = Session::new(&model, &mut a).unwrap();
        feed(&mut unbroken, first, pieces[0]);
        let mut state = vec![0; unbroken.saved_bytes()];
        unbroken.save(&mut state).unwrap();
        feed(&mut unbroken, second, pieces[1]);
        let mut resumed = Session::new(&model, &mut b).unwrap();
        resumed.load(&state).unwrap();
        feed(&mut resumed, second, pieces[2]);
        prop_assert_eq!(scores(&resumed), scores(&unbroken));
        // Of a wrong length, or in the middle of a frame.
        let is_refused = matches!(resumed.load(&state[1..]), Err(StateError::WrongLength { .. }));
        prop_assert!(is_refused);
        if model.frame_values() > 1 {
            let value = &data[..model.input_type().bytes()];
            resumed.push_bytes(value).unwrap();
            prop_assert_eq!(resumed.save(&mut state), Err(StateError::FrameUnderWay));
        }
    }
}

#[test]
fn misuse_is_an_error_and_changes_nothing() {
    let bytes = exported::random(8);
    let model = Model::parse(bytes.bytes()).unwrap();
    let data = Noise::new(1).bytes(frame_bytes(&model));
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let mut out = vec![0; model.outputs()];
    assert_eq!(session.scores(&mut out), Err(ScoresError::NoStep));
    let need = model.frame_values();
    assert_eq!(
        session.step(),
        Err(StepError::FrameIncomplete { need, found: 0 })
    );
    session.push_bytes(&data).unwrap();
    assert_eq!(session.push_bytes(&data), Err(PushError::FrameComplete));
    session.step().unwrap();
    out.pop();
    let classes = model.outputs();
    assert_eq!(
        session.scores(&mut out),
        Err(ScoresError::WrongLength {
            need: classes,
            found: classes - 1
        })
    );
    session.reset();
    assert_eq!(session.steps(), 0);
    assert!(session.hidden_state().iter().all(|&h| h == 0));
}

/// A model of few bytes of state, with a pool.
fn small(hidden: usize) -> Dense {
    Dense {
        values: 3,
        hidden,
        pool: Pool::Mean,
        ..Dense::default()
    }
}

/// The state of a session after three frames.
fn saved(model: &Model<'_>) -> Vec<u8> {
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(model, &mut arena).unwrap();
    feed(
        &mut session,
        &Noise::new(3).bytes(3 * frame_bytes(model)),
        9,
    );
    let mut state = vec![0; session.saved_bytes()];
    session.save(&mut state).unwrap();
    state
}

/// Puts the CRC-32C of a changed state right.
fn reseal(state: &mut [u8]) {
    let (bytes, crc) = state.split_last_chunk_mut::<4>().unwrap();
    *crc = Crc::<u32>::new(&CRC_32_ISCSI).checksum(bytes).to_le_bytes();
}

#[test]
fn every_flip_and_every_cut_of_a_saved_state_is_refused() {
    let bytes = small(3).model();
    let model = Model::parse(bytes.bytes()).unwrap();
    let state = saved(&model);
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).unwrap();
    feed(
        &mut session,
        &Noise::new(4).bytes(5 * frame_bytes(&model)),
        9,
    );
    let mut before = vec![0; session.saved_bytes()];
    session.save(&mut before).unwrap();
    let mut after = before.clone();
    let mut unchanged = |session: &Session<'_, '_>| {
        session.save(&mut after).unwrap();
        assert_eq!(after, before);
    };
    for bit in 0..state.len() * 8 {
        let mut damaged = state.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            session.load(&damaged),
            Err(StateError::Damaged),
            "bit {bit}"
        );
        unchanged(&session);
    }
    for length in 0..state.len() {
        let (need, found) = (state.len(), length);
        let error = Err(StateError::WrongLength { need, found });
        assert_eq!(session.load(&state[..length]), error);
        unchanged(&session);
    }
    session.load(&state).unwrap();
    assert_eq!(session.steps(), 3);

    // Sound, and of another model of the same sizes.
    let other = Dense {
        seed: 2,
        ..small(3)
    }
    .model();
    let other = Model::parse(other.bytes()).unwrap();
    assert_eq!(session.load(&saved(&other)), Err(StateError::Mismatch));
}

#[test]
fn a_state_in_parts_is_the_state_and_is_taken_whole_or_not_at_all() {
    let bytes = small(3).model();
    let model = Model::parse(bytes.bytes()).unwrap();
    let state = saved(&model);
    let value = [0; 2];
    let (mut a, mut b) = (
        vec![0; model.arena_bytes() / 4],
        vec![0; model.arena_bytes() / 4],
    );
    let mut whole = Session::new(&model, &mut a).unwrap();
    whole.load(&state).unwrap();
    let mut session = Session::new(&model, &mut b).unwrap();
    for length in (4..=state.len() + 4).step_by(4) {
        // Out in parts, in the order that the host likes.
        let mut parts = vec![0; state.len()];
        for at in (0..state.len())
            .step_by(length)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            let end = state.len().min(at + length);
            let taken = whole.save_part(at, &mut parts[at..end]).unwrap();
            assert_eq!(taken, end - at);
        }
        assert_eq!(parts, state);
        assert_eq!(whole.save_part(state.len(), &mut [0; 8]), Ok(0));
        // In, after steps that are forgotten.
        feed(
            &mut session,
            &Noise::new(4).bytes(2 * frame_bytes(&model)),
            9,
        );
        for (at, part) in state.chunks(length).enumerate() {
            let at = at * length;
            assert_eq!(session.load_part(at, part), Ok(at + part.len()));
            if at + part.len() == state.len() {
                break;
            }
            // Until it is whole, nothing is computed with it.
            let due = at + part.len();
            assert_eq!(session.load_due(), Some(due));
            assert_eq!(session.push_bytes(&value), Err(PushError::StateUnderWay));
            assert_eq!(session.step(), Err(StepError::StateUnderWay));
            assert_eq!(session.finish(), Err(StepError::StateUnderWay));
            assert!(!session.frame_complete());
            let mut none = vec![0; state.len()];
            assert_eq!(session.save(&mut none), Err(StateError::FrameUnderWay));
            let mut scores = vec![0; model.outputs()];
            assert_eq!(session.scores(&mut scores), Err(ScoresError::NoStep));
            for wrong in [due + 4, due - 4] {
                let is_first = wrong == 0;
                let refused = session.load_part(wrong, if is_first { &[1] } else { &[] });
                assert_eq!(refused, Err(StateError::Part { due }));
            }
        }
        assert_eq!((session.load_due(), session.steps()), (None, 3));
        assert_eq!(scores(&session), scores(&whole));
    }
    // Every flip is refused, where it strikes or at the end, and leaves a session at its start.
    for bit in 0..state.len() * 8 {
        let mut damaged = state.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let (first, second) = damaged.split_at(20);
        let result = session.load_part(0, first);
        let result = result.and_then(|at| session.load_part(at, second));
        let named = if bit < 32 {
            StateError::Mismatch
        } else {
            StateError::Damaged
        };
        assert_eq!(result, Err(named), "bit {bit}");
        assert_eq!((session.steps(), session.load_due()), (0, None));
        assert!(session.hidden_state().iter().all(|&h| h == 0));
    }
    // Resealed, it keeps to its ranges: more steps than the mean has.
    let mut resealed = state.clone();
    resealed[4] = 9;
    reseal(&mut resealed);
    assert_eq!(session.load_part(0, &resealed), Err(StateError::Damaged));
    // Too long, or begun anew.
    let (need, found) = (state.len(), state.len() + 4);
    let mut long = state.clone();
    long.extend([0; 4]);
    let too_long = Err(StateError::WrongLength { need, found });
    assert_eq!(session.load_part(0, &long), too_long);
    assert_eq!(session.load_part(0, &state[..8]), Ok(8));
    assert_eq!(session.load_part(0, &state), Ok(state.len()));
    session.load_part(0, &state[..8]).unwrap();
    session.reset();
    feed(&mut session, &Noise::new(4).bytes(frame_bytes(&model)), 9);
    assert_eq!(session.steps(), 1);
}

/// Under a right CRC only what a session can come to is loaded.
#[test]
fn a_resealed_state_keeps_to_its_ranges() {
    let bytes = small(3).model();
    let model = Model::parse(bytes.bytes()).unwrap();
    let state = saved(&model);
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).unwrap();
    // Words: model, steps, pooled, h of 3 units and their pad, c, sums.
    let (steps, pooled, pad, sums) = (4, 8, 18, 32);
    let mut load = |changes: &[(usize, &[u8])]| {
        let mut state = state.clone();
        for &(at, bytes) in changes {
            state[at..at + bytes.len()].copy_from_slice(bytes);
        }
        reseal(&mut state);
        session.load(&state)
    };
    let damaged = Err(StateError::Damaged);
    assert_eq!(load(&[]), Ok(()));
    assert_eq!(load(&[(pad, &[1])]), damaged);
    assert_eq!(load(&[(pad - 2, &[0xff; 2]), (20, &[0xff; 12])]), Ok(()));
    assert_eq!(load(&[(steps, &[4])]), damaged);
    assert_eq!(load(&[(pooled, &[4])]), damaged);
    assert_eq!(load(&[(steps, &[4]), (pooled, &[4])]), Ok(()));
    let largest: i32 = 3 << 15;
    for (sum, expected) in [
        (largest, Ok(())),
        (-largest, Ok(())),
        (largest + 1, damaged),
    ] {
        for unit in 0..3 {
            assert_eq!(load(&[(sums + 4 * unit, &sum.to_le_bytes())]), expected);
        }
    }
    // Long streams: the pool's count goes up and down between 32,768 and 65,535.
    for (count, expected) in [
        (32_767u32, damaged),
        (32_768, Ok(())),
        (65_535, Ok(())),
        (65_536, damaged),
    ] {
        let long = [(steps, &[0xff; 4][..]), (pooled, &count.to_le_bytes())];
        assert_eq!(load(&long), expected, "{count}");
    }

    // No pool has no count.
    let bytes = Dense::default().model();
    let model = Model::parse(bytes.bytes()).unwrap();
    let mut state = saved(&model);
    state[pooled] = 3;
    reseal(&mut state);
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).unwrap();
    assert_eq!(session.load(&state), damaged);
}

/// The front end's words, too: no sample of a hop under way, a level that energies reach.
#[test]
fn a_resealed_state_of_a_front_end_keeps_to_its_ranges() {
    let bytes = Dense {
        values: 16,
        vectors: 2,
        ..Dense::default()
    }
    .model();
    let model = Model::parse(bytes.bytes()).unwrap();
    let state = saved(&model);
    let layout = model.arena_layout();
    let filled = 12 + 4 * (layout.front_end_word - layout.hidden_word);
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let mut load = |at: usize, value: u32| {
        let mut state = state.clone();
        state[at..at + 4].copy_from_slice(&value.to_le_bytes());
        reseal(&mut state);
        session.load(&state)
    };
    let damaged = Err(StateError::Damaged);
    assert_eq!(load(filled, 0), Ok(()));
    for value in [1, 128, u32::MAX] {
        assert_eq!(load(filled, value), damaged);
    }
    // 64 bits of energy lie 23 octaves above the lowest level.
    assert_eq!(load(filled + 4, 23 << 16), Ok(()));
    for value in [(23 << 16) + 1, u32::MAX] {
        assert_eq!(load(filled + 4, value), damaged);
    }
    // The high-pass: no sample yet, or the mean of samples, Q15.
    let mean = |mean: i32| mean as u32 ^ 1 << 31;
    for value in [0, mean(0), mean(-(1 << 30)), mean(32_767 << 15)] {
        assert_eq!(load(filled + 8, value), Ok(()));
    }
    for value in [mean(32_768 << 15), mean(-(1 << 30) - 1), 1] {
        assert_eq!(load(filled + 8, value), damaged);
    }
    // How loud the three vectors before were.
    for at in [12, 16, 20] {
        assert_eq!(load(filled + at, 23 << 16), Ok(()));
        assert_eq!(load(filled + at, (23 << 16) + 1), damaged);
    }
    // The first samples.
    assert_eq!(load(filled + 24, u32::MAX), Ok(()));
}

/// The pool as its docs have it, in i64.
struct Mean {
    sums: Vec<i64>,
    count: i64,
}

impl Mean {
    fn add(&mut self, h: &[i16]) {
        for (sum, &h) in self.sums.iter_mut().zip(h) {
            *sum += i64::from(h);
        }
        self.count += 1;
        if self.count == 65_536 {
            for sum in &mut self.sums {
                *sum = (*sum + 1).div_euclid(2);
            }
            self.count = 32_768;
        }
    }

    /// Of a head without bias.
    fn scores(&self, weights: &[i16]) -> Vec<i32> {
        let means = self.sums.iter();
        let means: Vec<i64> = means
            .map(|sum| (sum + self.count / 2).div_euclid(self.count))
            .collect();
        let rows = weights.chunks(means.len());
        rows.map(|row| row.iter().zip(&means).map(|(&w, m)| i64::from(w) * m).sum())
            .map(|score: i64| score as i32)
            .collect()
    }
}

/// Steps of noise about a middle, compared with the reference around every halving and now and then.
fn pooled(session: &mut Session<'_, '_>, mean: &mut Mean, shape: &Dense, steps: u32, middle: i16) {
    let mut noise = Noise::new(steps);
    let weights = shape.head_weights();
    for _ in 0..steps {
        let frame = [0; 3].map(|_| (noise.bits() as i16 >> 4) + middle);
        session.push_i16(&frame).unwrap();
        session.step().unwrap();
        mean.add(session.hidden_state());
        let step = session.steps();
        if (step + 3) % 32_768 < 6 || step.is_multiple_of(997) {
            assert_eq!(scores(session), mean.scores(&weights), "step {step}");
        }
    }
}

/// 200,000 steps, then another input: 20,000 steps of it have 36 % of the weight that is then there.
#[test]
fn the_mean_of_a_long_stream_goes_on() {
    for hidden in [2, 3] {
        let shape = small(hidden);
        let bytes = shape.model();
        let model = Model::parse(bytes.bytes()).unwrap();
        let mut arena = vec![0; model.arena_bytes() / 4];
        let mut session = Session::new(&model, &mut arena).unwrap();
        let fresh = || Mean {
            sums: vec![0; hidden],
            count: 0,
        };
        pooled(&mut session, &mut fresh(), &shape, 20_000, -28_000);
        let other = scores(&session);
        session.reset();
        let mut mean = fresh();
        pooled(&mut session, &mut mean, &shape, 200_000, 28_000);
        let before = scores(&session);
        pooled(&mut session, &mut mean, &shape, 20_000, -28_000);
        // Of scores far enough apart for the rounding of the mean not to count.
        let shares = before.iter().zip(other).zip(scores(&session));
        let shares = shares
            .filter(|((before, other), _)| before.abs_diff(*other) > 100_000)
            .map(|((before, other), after)| f64::from(after - before) / f64::from(other - before));
        let shares: Vec<f64> = shares.collect();
        let right = |share: &f64| (share - 20_000.0 / 56_160.0).abs() < 0.01;
        assert!(shares.len() > 1 && shares.iter().all(right), "{shares:?}");
    }
}

/// The mean of recent steps as format.md has it, in i64, and as its equation has it, in f64: it moves on for
/// ever, holds no more than its horizon, and does not stall.
#[test]
fn the_mean_of_recent_steps_follows_its_equation() {
    for (hidden, horizon_shift) in [(2, 1), (3, 4), (3, 10)] {
        let shape = Dense {
            pool: Pool::Recent,
            horizon_shift,
            ..small(hidden)
        };
        let bytes = shape.model();
        let model = Model::parse(bytes.bytes()).unwrap();
        assert_eq!(model.horizon(), 1 << horizon_shift);
        let n = i64::from(model.horizon());
        let mut arena = vec![0; model.arena_bytes() / 4];
        let mut session = Session::new(&model, &mut arena).unwrap();
        let mut noise = Noise::new(5);
        let (mut sums, mut means, mut count) = (vec![0i64; hidden], vec![0f64; hidden], 0);
        let weights = shape.head_weights();
        for step in 0..6 * n {
            let middle = if step < 3 * n { 28_000 } else { -28_000 };
            let frame = [0; 3].map(|_| (noise.bits() as i16 >> 4) + middle);
            session.push_i16(&frame).unwrap();
            session.step().unwrap();
            let is_full = count == n;
            count = n.min(count + 1);
            for ((sum, mean), &h) in sums.iter_mut().zip(&mut means).zip(session.hidden_state()) {
                let leaves = if is_full {
                    (*sum + n / 2).div_euclid(n)
                } else {
                    0
                };
                *sum += i64::from(h) - leaves;
                *mean += (f64::from(h) - *mean) / count as f64;
            }
            let rounded: Vec<i64> = sums
                .iter()
                .map(|sum| (sum + count / 2).div_euclid(count))
                .collect();
            for (rounded, mean) in rounded.iter().zip(&means) {
                // Half an LSB of the sum leaves a step and is forgotten as slowly as it came.
                assert!((*rounded as f64 - mean).abs() <= 1.01, "{rounded} {mean}");
            }
            let expected: Vec<i32> = weights
                .chunks(hidden)
                .map(|row| row.iter().zip(&rounded).map(|(&w, m)| i64::from(w) * m))
                .map(|terms| terms.sum::<i64>() as i32)
                .collect();
            assert_eq!(scores(&session), expected, "step {step}");
        }
        // A state says how many steps its sums hold.
        let mut state = vec![0; session.saved_bytes()];
        session.save(&mut state).unwrap();
        session.load(&state).unwrap();
        state[8] ^= 1;
        reseal(&mut state);
        assert_eq!(session.load(&state), Err(StateError::Damaged));
    }
}

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

/// Silence stands for sound alone.
#[test]
fn a_frame_of_values_is_not_made_up() {
    let bytes = exported::random(8);
    let model = Model::parse(bytes.bytes()).unwrap();
    let need = model.frame_values();
    assert!(need > 1);
    let data = Noise::new(1).bytes(frame_bytes(&model));
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).unwrap();
    session.finish().unwrap();
    let (value, rest) = data.split_at(model.input_type().bytes());
    session.push_bytes(value).unwrap();
    assert_eq!(
        session.finish(),
        Err(StepError::FrameIncomplete { need, found: 1 })
    );
    session.push_bytes(rest).unwrap();
    session.step().unwrap();
    session.finish().unwrap();
    assert_eq!(session.steps(), 1);
}
