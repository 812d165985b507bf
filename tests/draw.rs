//! Drawings: the bits of a session beside a plain reference, over the wire, and on the command line.

use bt_core::drawing::Random;
use bt_core::error::DrawError;
use bt_core::{Model, ModelBytes, Session};
use bt_embed::service::Surroundings;
use bt_embed::wire::{Error, Reply, Request};
use bt_tests::model::Dense;
use bt_tests::program::{fails, run};
use bt_tests::serving::{Room, surroundings};
use bt_train::data::NpzWriter;
use bt_train::drawing;
use std::path::Path;

/// Bits of a frame; two more values of it are always 0.
const BITS: usize = 5;

/// A model that draws, of random weights.
fn model(seed: u32) -> ModelBytes {
    Dense {
        values: BITS + 2,
        hidden: 9,
        classes: BITS,
        seed,
        ..Dense::default()
    }
    .drawing()
}

/// PCG32 as O'Neill's paper has it, in integers that are wide enough.
struct Pcg {
    state: u128,
    increment: u128,
}

impl Pcg {
    fn new(seed: u64, stream: u64) -> Pcg {
        let mut pcg = Pcg {
            state: 0,
            increment: (2 * u128::from(stream) + 1) % (1 << 64),
        };
        pcg.next();
        pcg.state = (pcg.state + u128::from(seed)) % (1 << 64);
        pcg.next();
        pcg
    }

    fn next(&mut self) -> u32 {
        let old = self.state;
        self.state = (old * 6_364_136_223_846_793_005 + self.increment) % (1 << 64);
        let mixed = (((old >> 18) ^ old) >> 27) % (1 << 32);
        let turn = (old >> 59) as u32;
        let twice = mixed << 32 | mixed;
        (twice >> turn) as u32
    }
}

/// Frames pushed by hand, scores read, σ in f64: a bit differs only where its number lies within the table's error
/// of the probability.
#[test]
fn bits_follow_from_scores_and_the_random_source() {
    let (mut near, mut ones) = (0, 0);
    for seed in 1..6 {
        let file = model(seed);
        let model = Model::parse(file.bytes()).unwrap();
        let [mut ours, mut theirs] = [(); 2].map(|()| vec![0; model.arena_words()]);
        let mut drawing = Session::new(&model, &mut ours).unwrap();
        let mut plain = Session::new(&model, &mut theirs).unwrap();
        let mut random = Random::new(seed.into(), 3);
        let mut pcg = Pcg::new(seed.into(), 3);
        // What it holds before the first step does not matter.
        let mut frame = [1; BITS];
        let mut pushed = [0; BITS + 2];
        for _ in 0..400 {
            drawing.draw(&mut random, &mut frame).unwrap();
            assert_eq!(plain.push_u8(&pushed), Ok(BITS + 2));
            plain.step().unwrap();
            let mut scores = [0; BITS];
            plain.scores(&mut scores).unwrap();
            for (&bit, score) in frame.iter().zip(scores) {
                let logit = f64::from(score) * 2f64.powi(-model.score_shift());
                let probability = 32_768.0 / (1.0 + (-logit.clamp(-16.0, 16.0)).exp());
                let number = f64::from(pcg.next() >> 17);
                // 1.43 of the table, 0.25 · 2⁻¹² · 2¹⁵ of the logit's rounding.
                if (number - probability).abs() > 3.5 {
                    assert_eq!(bit == 1, number < probability, "{number} {probability}");
                } else {
                    near += 1;
                }
                ones += u32::from(bit);
            }
            pushed[..BITS].copy_from_slice(&frame);
        }
    }
    assert!(near < 20, "{near} of 10000");
    assert!((2_000..8_000).contains(&ones), "{ones}");
}

/// A drawing is told by seed and stream, and what refuses leaves everything as it was.
#[test]
fn what_cannot_be_drawn_is_refused() {
    let file = model(1);
    let model = Model::parse(file.bytes()).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let draw = |session: &mut Session<'_, '_>, seed, stream| {
        session.reset();
        let mut random = Random::new(seed, stream);
        let mut frame = [0; BITS];
        let mut all = Vec::new();
        for _ in 0..20 {
            session.draw(&mut random, &mut frame).unwrap();
            all.extend(frame);
        }
        all
    };
    let one = draw(&mut session, 1, 0);
    assert_ne!(draw(&mut session, 2, 0), one);
    assert_ne!(draw(&mut session, 1, 1), one);
    assert_eq!(draw(&mut session, 1, 0), one);

    let mut random = Random::new(1, 0);
    let wrong = DrawError::WrongLength {
        need: BITS,
        found: 4,
    };
    assert_eq!(session.draw(&mut random, &mut [0; 4]), Err(wrong));
    session.push_u8(&[1]).unwrap();
    let under_way = Err(DrawError::FrameUnderWay);
    assert_eq!(session.draw(&mut random, &mut [0; BITS]), under_way);
    assert_eq!((session.steps(), random), (20, Random::new(1, 0)));

    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let refused = session.draw(&mut Random::new(1, 0), &mut [0; 3]);
    assert_eq!(refused, Err(DrawError::NotDrawn));
    assert_eq!(session.steps(), 0);
}

/// A picture goes on from frames that are given: pushed all but the last, which is handed over.
#[test]
fn a_drawing_goes_on_from_given_frames() {
    let file = model(2);
    let model = Model::parse(file.bytes()).unwrap();
    let [mut one, mut two] = [(); 2].map(|()| vec![0; model.arena_words()]);
    let mut drawn = Session::new(&model, &mut one).unwrap();
    let (mut random, mut frame) = (Random::new(7, 7), [0; BITS]);
    let mut before = [0; BITS];
    for _ in 0..3 {
        before = frame;
        drawn.draw(&mut random, &mut frame).unwrap();
    }
    let mut given = Session::new(&model, &mut two).unwrap();
    let first = {
        let (mut random, mut frame) = (Random::new(7, 7), [0; BITS]);
        let mut arena = vec![0; model.arena_words()];
        let mut session = Session::new(&model, &mut arena).unwrap();
        session.draw(&mut random, &mut frame).unwrap();
        frame
    };
    for frame in [[0; BITS], first] {
        let padded: Vec<u8> = frame.into_iter().chain([0, 0]).collect();
        given.push_u8(&padded).unwrap();
        given.step().unwrap();
    }
    // The third step reads the second frame and takes the numbers from the eleventh on.
    let mut random = Random::new(7, 7);
    (0..2 * BITS).for_each(|_| {
        random.next_u32();
    });
    given.draw(&mut random, &mut before).unwrap();
    assert_eq!(before, frame);
}

/// Replies hold two bits: the rest is asked for; repetitions take no step; what is not due is refused.
#[test]
fn a_service_takes_each_step_once() {
    let file = model(3);
    let model = Model::parse(file.bytes()).unwrap();
    let expected = drawing::draw(&model, 9, (2, 3), || ()).unwrap();
    let surroundings = Surroundings {
        bit_count_max: 2,
        ..surroundings()
    };
    let mut room = Room::of(&model);
    let mut service = room.serve(&model, file.bytes());
    let mut ask = |number, step, first| {
        let request = Request::Draw {
            seed: 9,
            number,
            step,
            first,
        };
        match service.handle(request, &surroundings) {
            Reply::Drawn(drawn) => {
                assert_eq!((drawn.first, usize::from(drawn.count)), (first, BITS));
                Ok((drawn.steps, drawn.bits.iter().collect::<Vec<u8>>()))
            }
            Reply::Error(error) => Err(error),
            reply => panic!("{reply:?}"),
        }
    };
    let due = |expected| Err(Error::Sequence { expected });
    assert_eq!(ask(0, 1, 0), due(0));
    for (number, picture) in (0..).zip(&expected.bits) {
        for (step, row) in (0..).zip(picture.chunks(BITS)) {
            for _ in 0..2 {
                let mut found = Vec::new();
                for first in [0, 2, 4] {
                    let (steps, bits) = ask(number, step, first).unwrap();
                    assert_eq!(
                        (steps, bits.len()),
                        (step + 1, if first == 4 { 1 } else { 2 })
                    );
                    found.extend(bits);
                }
                assert_eq!(found, row);
            }
            assert_eq!(ask(number, step + 2, 0), due(step + 1));
            assert_eq!(ask(number + 1, step + 1, 0), due(0));
        }
    }
    assert_eq!(ask(1, 2, 6), Err(Error::Class { classes: 5 }));
    // The first step of the picture that is under way, long ago: it begins anew.
    assert_eq!(ask(1, 0, 0).unwrap().0, 1);

    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    let mut room = Room::of(&model);
    let mut service = room.serve(&model, file.bytes());
    let request = Request::Draw {
        seed: 0,
        number: 0,
        step: 0,
        first: 0,
    };
    let reply = service.handle(request, &surroundings);
    assert_eq!(reply, Reply::Error(Error::NotDrawn));
}

/// The program refuses what is no drawing, in one line, and writes nothing.
#[test]
fn the_program_refuses_what_is_no_drawing() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (draws, other, out) = (at("draws.btm"), at("other.btm"), at("sheet.png"));
    std::fs::write(&draws, model(1).bytes()).unwrap();
    std::fs::write(&other, Dense::default().model().bytes()).unwrap();
    let words = |model, flags: &[&'static str]| {
        let mut words = vec![
            "generate".to_owned(),
            model,
            "--out".to_owned(),
            at("sheet.png"),
        ];
        words.extend(flags.iter().map(|flag| flag.to_string()));
        words
    };
    for (status, words, expected) in [
        (
            1,
            words(other, &[]),
            &["other.btm", "the model does not draw", "--head next-bits"][..],
        ),
        (2, words(draws.clone(), &["--count", "0"]), &["--count"][..]),
        (2, words(draws.clone(), &["--steps", "0"]), &["--steps"][..]),
        (
            2,
            words(draws.clone(), &["--seed", "18446744073709551616"]),
            &["--seed"][..],
        ),
        (2, words(draws.clone(), &["--seed=-1"]), &["--seed"][..]),
        // Made by hand: nothing in it says how large its pictures are.
        (1, words(draws.clone(), &[]), &["draws.btm"][..]),
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        fails(status, &words, expected);
    }
    assert!(!std::path::Path::new(&out).exists());

    let arrays = at("x.npz");
    let words = [
        "generate", &draws, "--seed", "5", "--count", "3", "--steps", "4", "--out",
    ];
    let left = run(&[&words[..], &[&arrays]].concat());
    assert_eq!(left.status, Some(0), "{left:?}");
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&arrays).unwrap()).unwrap();
    let x = npyz::NpyFile::new(archive.by_name("x.npy").unwrap()).unwrap();
    assert_eq!(x.shape(), [3, 4, BITS as u64]);
    let file = model(1);
    let model = Model::parse(file.bytes()).unwrap();
    let expected = drawing::draw(&model, 5, (3, 4), || ()).unwrap();
    assert_eq!(x.into_vec::<u8>().unwrap(), expected.bits.concat());
    let left = run(&[&words[..], &[&out]].concat());
    assert_eq!(left.status, Some(0), "{left:?}");
    assert_eq!(std::fs::read(&out).unwrap()[..8], *b"\x89PNG\r\n\x1a\n");
}

/// Pictures of 4 by 6 pixels: learned, told in nats, gone on with, drawn from a seed; what cannot be is refused.
#[test]
fn a_float_model_paints_pictures() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (data, other, folder, sheet) = (at("p.npz"), at("o.npz"), at("run"), at("sheet.png"));
    let bits = |count: usize, pixels: usize| -> Vec<u8> {
        let bit = |at: usize| u8::from((at * 7 + at / pixels * 3) % 5 < 2);
        (0..count * pixels).map(bit).collect()
    };
    let mut npz = NpzWriter::new();
    for part in ["train", "val", "test"] {
        npz.array(&format!("x_{part}"), &[20, 4, 6], &bits(20, 24))
            .unwrap();
    }
    npz.write(Path::new(&data)).unwrap();
    let mut npz = NpzWriter::new();
    npz.array("x_test", &[2, 4, 5], &bits(2, 20)).unwrap();
    npz.write(Path::new(&other)).unwrap();
    let ran = |words: &[&str]| {
        let left = run(words);
        assert_eq!(left.status, Some(0), "{left:?}");
        left.out
    };
    let train = [
        "train",
        "--data",
        &data,
        "--out",
        &folder,
        "--head",
        "draw",
        "--units",
        "8",
        "--batch",
        "4",
        "--draw-steps",
        "3",
        "--latent",
        "4",
        "--json",
        "--epochs",
    ];
    ran(&[&train[..], &["2"]].concat());
    let said = ran(&[
        "train", "--data", &data, "--out", &folder, "--resume", "--epochs", "3", "--json",
    ]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&said["epochs"], &said["keep"]),
        (&3.into(), &"nats".into())
    );
    let eval = ran(&["eval", &folder, "--data", &data, "--json"]);
    let eval: serde_json::Value = serde_json::from_str(&eval).unwrap();
    let [nats, divergence] = ["nats", "divergence"].map(|key| eval[key].as_f64().unwrap());
    assert!(
        0.0 < divergence && divergence < nats && nats < 24.0,
        "{eval}"
    );
    assert!(
        (eval["loss"].as_f64().unwrap() * 24.0 - nats).abs() < 1e-9,
        "{eval}"
    );

    let generate = ["generate", &folder, "--count", "3", "--out"];
    let drawn = |name: &str, seed: &str| {
        let path = at(name);
        ran(&[&generate[..], &[&path, "--seed", seed]].concat());
        let mut archive = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()).unwrap();
        let x = npyz::NpyFile::new(archive.by_name("x.npy").unwrap()).unwrap();
        assert_eq!(x.shape(), [3, 4, 6]);
        x.into_vec::<u8>().unwrap()
    };
    let largest = u64::MAX.to_string();
    let one = drawn("one.npz", &largest);
    assert_eq!(drawn("again.npz", &largest), one);
    assert_ne!(drawn("other.npz", "1"), one);
    assert!(one.iter().any(|&grey| grey != 0 && grey != 255), "{one:?}");
    ran(&[&generate[..], &[&sheet]].concat());
    assert_eq!(std::fs::read(&sheet).unwrap()[..8], *b"\x89PNG\r\n\x1a\n");

    let refused = at("refused");
    let with = |words: &[&'static str]| {
        let mut all = [&train[..11], &["--json", "--epochs", "1"], words].concat();
        all[4] = &refused;
        all
    };
    for (status, words, expected) in [
        (2, with(&["--draw-steps", "0"]), &["draw-steps: is 0"][..]),
        (2, with(&["--latent", "0"]), &["latent: is 0"]),
        (1, with(&["--cell", "gru"]), &["cell: "]),
        (
            1,
            vec!["compare", "--data", &data, "--head", "draw"],
            &["head: gives bits", "accuracy of classes", "eval"],
        ),
        (1, with(&["--input-dropout", "0.1"]), &["input-dropout: "]),
        (
            2,
            [&generate[..], &[&sheet, "--seed", "18446744073709551616"]].concat(),
            &["--seed"],
        ),
        (
            2,
            [&generate[..], &[&sheet, "--steps", "4"]].concat(),
            &["--steps"],
        ),
        (
            1,
            vec!["eval", &folder, "--data", &other],
            &["o.npz", "features a step"],
        ),
    ] {
        fails(status, &words, expected);
    }
}
