//! Captions on the device: the words of a session beside plain loops.

use bt_core::about::Cell;
use bt_core::captions::{END, Teller, Temperature, UNKNOWN};
use bt_core::drawing::Random;
use bt_core::error::{PushError, StateError, WordError};
use bt_core::{Error, InputType, Model, SelfTest, Session};
use bt_embed::wire::{Error as WireError, Reply, Request};
use bt_tests::model::{Dense, Noise, pictures, scores};
use bt_tests::reference::{Reference, cell};
use bt_tests::serving::{Room, surroundings};
use bt_train::data::{Part, Targets, Values};
use bt_train::device;
use bt_train::float::checkpoint::Checkpoint;
use bt_train::float::model::Model as Network;
use bt_train::quantize::export::{Options, export};
use ndarray::Array3;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::sync::Arc;

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

/// Over the wire a word a request, each told again to who asks again, and only the one that is due.
#[test]
fn words_are_told_in_order() {
    let file = captioning().captioning(6);
    let model = Model::parse(file.bytes()).unwrap();
    let mut room = Room::of(&model);
    let mut service = room.serve(&model, file.bytes());
    let surroundings = surroundings();
    let mut ask = |request: Request<'_>| match service.handle(request, &surroundings) {
        Reply::Told { at, word, text } => {
            assert_eq!(text, format!("class {word}"));
            Ok((at, usize::from(word)))
        }
        Reply::Error(error) => Err(error),
        Reply::Taken { .. } | Reply::Ready | Reply::Scores(_) => Ok((u16::MAX, 0)),
        reply => panic!("{reply:?}"),
    };
    let tell = |number, temperature, word| Request::Tell {
        seed: 9,
        number,
        temperature,
        word,
    };
    let due = |expected| Err(WireError::Sequence { expected });
    assert_eq!(ask(tell(0, 0, 0)), Err(WireError::NoStep));
    assert_eq!(ask(tell(0, 31, 0)), Err(WireError::Temperature));
    let picture = picture(&model);
    let push = |sequence, bytes| Request::Data { sequence, bytes };
    ask(push(0, &picture)).unwrap();

    let part = pictures(&model, 1, 1);
    let part = Part {
        values: Arc::new(Values::F32(picture.map(|x| f32::from(x) / 4096.0).to_vec())),
        ..part
    };
    let expected = |number: u32, temperature: u16| {
        let teller = |_| match Temperature::new(temperature) {
            None => Teller::likeliest(),
            Some(temperature) => Teller::drawing(Random::new(9, number.into()), temperature),
        };
        let mut words = device::captions(&model, &part, &[0], teller, || ())
            .unwrap()
            .remove(0);
        words.push(END);
        words
    };
    let mut seen = Vec::new();
    for (number, temperature) in [(0, 0), (0, 400), (1, 400), (1, 300), (0, 0)] {
        let words = expected(number, temperature);
        assert_eq!(ask(tell(number, temperature, 1)), due(0));
        for (at, &word) in words.iter().enumerate() {
            let at = at as u16;
            for _ in 0..2 {
                assert_eq!(ask(tell(number, temperature, at)), Ok((at, word)));
            }
            let next = if word == END { 0 } else { u32::from(at) + 1 };
            assert_eq!(ask(tell(number, temperature, at + 2)), due(next));
            assert_eq!(ask(tell(number + 7, temperature, at + 1)), due(0));
        }
        let behind = words.len() as u16;
        assert_eq!(ask(tell(number, temperature, behind)), due(0));
        seen.push(words);
    }
    assert_eq!(seen[0], seen[4]);
    assert!(seen[1] != seen[2] || seen[2] != seen[3], "{seen:?}");
    assert!(seen.iter().all(|words| words.len() <= 7));

    // A picture in pieces, the last of which is missing; no rule watches words.
    ask(tell(0, 0, 0)).unwrap();
    ask(push(1, &picture[..3])).unwrap();
    assert_eq!(ask(tell(0, 0, 0)), Err(WireError::FrameUnderWay));
    assert_eq!(ask(tell(0, 0, 1)), due(0));
    ask(push(2, &picture[3..])).unwrap();
    assert_eq!(ask(tell(0, 0, 0)), Ok((0, seen[0][0])));
    assert_eq!(
        ask(Request::Window { steps: 2 }),
        Err(WireError::NotClasses)
    );
    ask(Request::Reset).unwrap();
    assert_eq!(ask(tell(0, 0, 0)), Err(WireError::NoStep));

    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    let mut room = Room::of(&model);
    let mut service = room.serve(&model, file.bytes());
    let reply = service.handle(tell(0, 0, 0), &surroundings);
    assert_eq!(reply, Reply::Error(WireError::NotWords));
}

/// Models of every kind with random weights: logits of people's words in integers beside those of the float model.
#[test]
fn integers_are_as_good_as_floats() {
    const PICTURES: usize = 40;
    let mut captions_alike = 0;
    for (seed, text) in [
        r#"{"input": {"map": "dense", "modes": [3,4]}, "hidden": {"modes": [4,5]}, "head": {"next_words": 30, "steps": 7}}"#,
        r#"{"input": {"map": "block-term", "modes": [3,4], "blocks": 2, "rank": 2}, "hidden": {"modes": [4,5]}, "head": {"next_words": 30}}"#,
        r#"{"input": {"map": "tensor-train", "modes": [3,4], "rank": 3}, "hidden": {"modes": [4,4]}, "recurrent": {"map": "block-term", "blocks": 1, "rank": 3}, "cell": "gru", "head": {"next_words": 17}}"#,
        r#"{"input": {"map": "block-term", "modes": [2,6], "blocks": 1, "rank": 3}, "hidden": {"modes": [3,5]}, "cell": "min-gru", "layers": 2, "head": {"next_words": 9}}"#,
        r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [11]}, "cell": "gru", "layers": 2, "head": {"next_words": 3}}"#,
        r#"{"input": {"map": "dense", "modes": [12]}, "hidden": {"modes": [13]}, "gate": "hard-sigmoid", "layers": 3, "head": {"next_words": 50}}"#,
    ]
    .into_iter()
    .enumerate()
    {
        let mut rng = ChaCha8Rng::seed_from_u64(seed as u64);
        let mut network = Network::new(serde_json::from_str(text).unwrap(), &mut rng).unwrap();
        network.scale = vec![1.0 / 64.0].into();
        network.offset = vec![100.0].into();
        for (name, mut values) in network.parameters_mut() {
            if name == "head.weight" || name == "words.weight" {
                values.mapv_inplace(|w| 2.0 * w);
            }
        }
        let words = network.config.head.gives.outputs();
        let mut noise = Noise::new(seed as u32);
        let pixels: Vec<u8> = noise.bytes(PICTURES * 12);
        let captions: Vec<Vec<usize>> = (0..PICTURES)
            .map(|_| {
                let word = |noise: &mut Noise| 1 + usize::from(noise.bits()) % (words - 1);
                let length = 1 + usize::from(noise.bits()) % 6;
                let mut caption: Vec<usize> = (0..length).map(|_| word(&mut noise)).collect();
                caption.push(END);
                caption
            })
            .collect();
        let part = Part {
            values: Arc::new(Values::U8(pixels.clone())),
            width: 12,
            starts: (0..PICTURES).map(|picture| 12 * picture).collect(),
            lengths: vec![1; PICTURES],
            targets: Some(Targets::of_captions(&captions)),
            groups: None,
        };
        let options = Options {
            name: "words".into(),
            limits: Default::default(),
            sequences: PICTURES,
        };
        let labels: Vec<String> = (0..words).map(|word| format!("word {word}")).collect();
        let exported = export(&Checkpoint::of(&network), &part, &labels, &options).unwrap();
        let model = device::parse(&exported.bytes).unwrap();
        assert_eq!(model.label(words - 1), Some(&*labels[words - 1]));
        assert_eq!(exported.layers[0].z.wrong, 0.0, "{text}");

        let normal = |&byte: &u8| (f32::from(byte) - 100.0) / 64.0;
        let x: Vec<f32> = pixels.iter().map(normal).collect();
        let x = Array3::from_shape_vec((PICTURES, 1, 12), x).unwrap();
        let lengths: Vec<usize> = captions.iter().map(Vec::len).collect();
        let wanted = network.word_logits(x.view(), &lengths, &captions.concat());
        let raw = device::run(&model, &part, || ()).unwrap();
        let unit = 2f64.powi(-model.score_shift());
        let (mut signal, mut noise, mut rows) = (0.0, 0.0, 0);
        for (wanted, raw) in wanted.outer_iter().zip(&raw) {
            for (&wanted, &raw) in wanted.iter().zip(raw) {
                signal += f64::from(wanted).powi(2);
                noise += (f64::from(wanted) - f64::from(raw) * unit).powi(2);
            }
            rows += 1;
        }
        assert_eq!(rows, captions.concat().len());
        let decibels = 10.0 * (signal / noise).log10();
        println!("{decibels:.1} dB: {text}");
        assert!(decibels > 35.0, "{decibels} dB: {text}");
        let all: Vec<usize> = (0..PICTURES).collect();
        let in_floats = bt_train::training::caption::captions(&network, &part, &all, 1);
        let told = device::captions(&model, &part, &all, |_| Teller::likeliest(), || ()).unwrap();
        captions_alike += told.iter().zip(&in_floats).filter(|(a, b)| a == b).count();
    }
    println!("{captions_alike} captions of {} alike", 6 * PICTURES);
    assert!(captions_alike > 6 * PICTURES * 3 / 4, "{captions_alike}");
}
