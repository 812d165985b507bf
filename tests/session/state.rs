//! Saved states: whole, in parts, and damaged.

use super::*;

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
