//! Pictures and captions over the line: those of the host.

use bt_core::captions::Temperature;
use bt_core::{InputType, Model};
use bt_tests::line::Faults;
use bt_tests::model::{Dense, pictures};
use bt_train::command::captions::Drawing;
use bt_train::drawing;

use super::with_device;

/// Pictures over a quiet line and a noisy one: the host's, bit for bit.
#[test]
fn a_device_draws_what_the_host_draws() {
    let file = Dense {
        values: 66,
        hidden: 10,
        classes: 66,
        ..Dense::default()
    }
    .drawing();
    let model = Model::parse(file.bytes()).unwrap();
    let expected = drawing::draw(&model, u64::MAX, (3, 5), || ()).unwrap();
    assert_ne!(expected.bits[0], expected.bits[1]);
    let noisy = Faults {
        flip: 600,
        drop: 600,
        ..Faults::default()
    };
    for faults in [Faults::default(), noisy] {
        with_device(file.bytes(), [faults; 2], 5, |mut device, _| {
            let found = tools::draw::draw(&mut device, &model, u64::MAX, (3, 5)).unwrap();
            assert_eq!(found, expected);
            // Scores are those of the last step; values pushed end the drawing.
            let scores = device.scores().unwrap();
            assert_eq!((scores.steps, scores.raw.len()), (5, 66));
            device.chunk(&[0; 66]).unwrap();
            let line = device.draw(u64::MAX, 2, 6).unwrap_err().to_string();
            assert!(line.contains("step 0 is due"), "{line}");
        });
    }
}

/// Captions over a quiet line and a noisy one: the host's words, the likeliest and drawn ones.
#[test]
fn a_device_tells_what_the_host_tells() {
    let file = Dense {
        input_type: InputType::U8,
        hidden: 9,
        classes: 40,
        ..Dense::default()
    }
    .captioning(9);
    let model = Model::parse(file.bytes()).unwrap();
    let part = pictures(&model, 5, 3);
    let noisy = Faults {
        flip: 600,
        drop: 600,
        ..Faults::default()
    };
    let drawn = Drawing {
        temperature: Temperature::new(500),
        seed: Some(u64::MAX),
    };
    for (faults, drawing) in [
        (Faults::default(), Drawing::default()),
        (Faults::default(), drawn.clone()),
        (noisy, drawn),
    ] {
        let sequences = [0, 1, 2, 3, 4];
        let teller = |number| drawing.teller(number);
        let expected = bt_train::device::captions(&model, &part, &sequences, teller, || ());
        with_device(file.bytes(), [faults; 2], 5, |mut device, _| {
            let told = tools::caption::tell(&mut device, &model, &part, &sequences, &drawing);
            let told = told.unwrap();
            let words = |caption: &Vec<(usize, String)>| caption.iter().map(|(w, _)| *w).collect();
            let words: Vec<Vec<usize>> = told.captions.iter().map(words).collect();
            assert_eq!(words, expected.unwrap());
            assert!(
                words.iter().any(|caption| caption != &words[0]),
                "{words:?}"
            );
            let (word, text) = &told.captions.concat()[0];
            assert_eq!(text, &format!("class {word}"));
        });
    }
}
