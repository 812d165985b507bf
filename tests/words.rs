//! Captions on the device: the words of a session beside plain loops.

use bt_core::{
    Cell, END, Error, InputType, Model, PushError, Random, SelfTest, Session, StateError, Teller,
    Temperature, UNKNOWN, WordError,
};
use bt_tests::model::{Dense, scores};
use bt_tests::reference::{Reference, cell};

/// A model of random weights that tells captions of bytes.
fn captioning() -> Dense {
    Dense {
        input_type: InputType::U8,
        values: 7,
        hidden: 9,
        classes: 40,
        ..Dense::default()
    }
}

/// Raw scores after a picture and these words, in i64 and with the file's own numbers.
fn plain_scores(model: &Model<'_>, shape: &Dense, file: &[u8], words: &[usize]) -> Vec<i64> {
    let mut reference = Reference::new(model, file);
    reference.frame(&picture(model).map(i16::from));
    reference.picture();
    let units = model.hidden();
    let mut states = vec![(vec![0i16; units], vec![0i32; units]); model.layers()];
    for &word in [END].iter().chain(words) {
        reference.read(word);
        for layer in 0..model.layers() {
            if layer > 0 {
                let below = states[layer - 1].0.clone();
                reference.later(layer, &below);
            }
            let (h, c) = &states[layer];
            let apart = reference.recur(layer, h);
            let kind = (model.cell(), model.gate());
            let fraction = model.cell_fraction(layer);
            let (c, h) = cell(kind, fraction, (&reference.z(), &apart), c);
            states[layer] = (h, c);
        }
    }
    let h = &states[model.layers() - 1].0;
    let weights = shape.head_weights();
    let rows = weights.chunks(units);
    let dot = |row: &[i16]| {
        row.iter()
            .zip(h)
            .map(|(&w, &h)| i64::from(w) * i64::from(h))
            .sum()
    };
    rows.map(dot).collect()
}

fn picture(model: &Model<'_>) -> [u8; 7] {
    assert_eq!(model.frame_values(), 7);
    [9, 3, 0, 12, 0, 1, 6]
}

/// The likeliest words, found by hand: the first of the largest but the unknown one.
fn plain_caption(model: &Model<'_>, shape: &Dense, file: &[u8], longest: usize) -> Vec<usize> {
    let mut words = Vec::new();
    while words.len() < longest {
        let scores = plain_scores(model, shape, file, &words);
        let mut best = END;
        for (word, &score) in scores.iter().enumerate() {
            if word != UNKNOWN && score > scores[best] {
                best = word;
            }
        }
        if best == END {
            break;
        }
        words.push(best);
    }
    words
}

/// A caption by the session as its documentation says.
fn told(session: &mut Session<'_, '_>, teller: &mut Teller) -> Vec<usize> {
    let model = session.model();
    let mut words = Vec::new();
    while words.len() < model.caption_words().unwrap() {
        match teller.next_word(&scores(session), model.score_shift()) {
            None | Some(END) => break,
            Some(word) => words.push(word),
        }
        session.step_word(words[words.len() - 1]).unwrap();
    }
    words
}

/// Every cell, with layers and odd sizes; several weights, of which some captions end early and some do not.
#[test]
fn captions_are_those_of_plain_loops() {
    const LONGEST: usize = 6;
    let (mut ended, mut cut, mut distinct) = (0, 0, 0);
    for (cell, layers, hidden) in [
        (Cell::Lstm, 1, 9),
        (Cell::Lstm, 2, 4),
        (Cell::Gru, 1, 7),
        (Cell::Gru, 2, 5),
        (Cell::MinGru, 1, 5),
    ] {
        for seed in 0..12 {
            let shape = Dense {
                cell,
                layers,
                hidden,
                seed,
                ..captioning()
            };
            let file = shape.captioning(LONGEST as u32);
            let model = Model::parse(file.bytes()).unwrap();
            assert_eq!(model.caption_words(), Some(LONGEST));
            let mut arena = vec![0; model.arena_words()];
            let mut session = Session::new(&model, &mut arena).unwrap();
            assert_eq!(session.self_test(), SelfTest::Passed);
            let picture = picture(&model);
            assert_eq!(session.push_u8(&picture), Ok(7));
            session.step().unwrap();
            let words = told(&mut session, &mut Teller::likeliest());
            assert_eq!(words, plain_caption(&model, &shape, file.bytes(), LONGEST));
            let plain = plain_scores(&model, &shape, file.bytes(), &words);
            let found: Vec<i64> = scores(&session).into_iter().map(i64::from).collect();
            assert_eq!(found, plain, "{cell:?} {layers} {seed}");
            *(if words.len() == LONGEST {
                &mut cut
            } else {
                &mut ended
            }) += 1;
            distinct += usize::from(words.iter().any(|&word| word != words[0]));
        }
    }
    assert!(
        ended > 4 && cut > 4 && distinct > 20,
        "{ended} {cut} {distinct}"
    );
}

/// The same seed tells the same; another another, nearly always; and a picture needs to be pushed once.
#[test]
fn drawn_captions_are_told_again() {
    let file = captioning().captioning(20);
    let model = Model::parse(file.bytes()).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let picture = picture(&model);
    session.push_u8(&picture).unwrap();
    session.step().unwrap();
    let first = scores(&session);
    let with = |seed| Teller::drawing(Random::new(seed, 0), Temperature::new(500).unwrap());
    let words = told(&mut session, &mut with(4));
    let others = (5..9).map(|seed| {
        session.begin_caption().unwrap();
        assert_eq!(scores(&session), first);
        told(&mut session, &mut with(seed))
    });
    let others: Vec<Vec<usize>> = others.collect();
    assert!(
        others.iter().all(|other| *other != words),
        "{words:?} {others:?}"
    );
    assert!(words.iter().all(|&word| word != END && word != UNKNOWN));
    session.begin_caption().unwrap();
    assert_eq!(told(&mut session, &mut with(4)), words);
    // Another picture forgets the caption of the one before, without a reset.
    session.push_u8(&picture).unwrap();
    session.step().unwrap();
    assert_eq!(scores(&session), first);
    assert_eq!(told(&mut session, &mut with(4)), words);

    // A state saved within a caption, loaded elsewhere.
    session.begin_caption().unwrap();
    session.step_word(words[0]).unwrap();
    let mut state = vec![0; session.saved_bytes()];
    session.save(&mut state).unwrap();
    session.step_word(words[1]).unwrap();
    let expected = scores(&session);
    let mut arena = vec![u32::MAX; model.arena_words()];
    let mut other = Session::new(&model, &mut arena).unwrap();
    other.load(&state).unwrap();
    other.step_word(words[1]).unwrap();
    assert_eq!(scores(&other), expected);
}

/// Calls out of order and words that there are not change nothing.
#[test]
fn what_is_out_of_order_is_refused() {
    let file = captioning().captioning(5);
    let model = Model::parse(file.bytes()).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    assert_eq!(session.step_word(2), Err(WordError::NoPicture));
    assert_eq!(session.begin_caption(), Err(WordError::NoPicture));
    let picture = picture(&model);
    session.push_u8(&picture[..3]).unwrap();
    assert_eq!(session.step_word(2), Err(WordError::PictureUnderWay));
    session.push_u8(&picture[3..]).unwrap();
    assert_eq!(session.step_word(2), Err(WordError::PictureUnderWay));
    assert_eq!(session.push_u8(&picture), Err(PushError::FrameComplete));
    session.step().unwrap();
    let before = scores(&session);
    for word in [40, usize::MAX] {
        let refused = session.step_word(word);
        assert_eq!(refused, Err(WordError::NoSuchWord { words: 40 }));
    }
    assert_eq!(scores(&session), before);
    session.step_word(11).unwrap();
    session.push_u8(&picture[..1]).unwrap();
    assert_eq!(session.begin_caption(), Err(WordError::PictureUnderWay));
    session.drop_frame();
    session.begin_caption().unwrap();
    assert_eq!(scores(&session), before);

    let mut state = vec![0; session.saved_bytes()];
    session.save(&mut state).unwrap();
    session.load_part(0, &state[..8]).unwrap();
    assert_eq!(session.step_word(2), Err(WordError::StateUnderWay));
    session.load_part(8, &state[8..]).unwrap();
    session.step_word(2).unwrap();
    state[20] ^= 1;
    assert_eq!(session.load(&state), Err(StateError::Damaged));
    session.restart();
    assert_eq!(session.step_word(2), Err(WordError::NoPicture));

    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    assert_eq!(model.caption_words(), None);
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let refused = session.step_word(0).map_err(Error::from);
    assert_eq!(refused, Err(Error::Word(WordError::NotWords)));
    let text = refused.unwrap_err().to_string();
    assert_eq!(text, "the model tells no captions: it has no words");
}
