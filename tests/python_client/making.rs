//! Drawings and captions that the program asks for.

use super::*;

/// Pictures of a seed, in parts over the line: the host's bits, and the greys of what is painted.
#[test]
fn the_program_asks_for_drawings() {
    if !has_python() {
        return;
    }
    let shape = Dense {
        values: 900,
        hidden: 6,
        classes: 900,
        ..Dense::default()
    };
    let steps = ["--draw", "3", "--count", "2"];
    let expected = asked_to_draw(&shape.drawing(), &steps, (2, 3));
    assert_eq!(expected[1].as_array().map(Vec::len), Some(3));
    let painting = Dense {
        values: 20,
        ..shape
    }
    .painting(4, 30);
    let expected = asked_to_draw(&painting, &["--count", "2", "--draw"], (2, 4));
    assert_eq!(expected[1].as_array().map(Vec::len), Some(30));
    // As it stands after two steps.
    asked_to_draw(&painting, &["--draw", "2"], (1, 2));
}

/// The pictures that the program asked for with these words: the host's.
fn asked_to_draw(file: &ModelBytes, words: &[&str], size: (usize, usize)) -> Value {
    let model = Model::parse(file.bytes()).unwrap();
    let seed = u64::MAX - 1;
    let expected = drawing::draw(&model, seed, size, || ()).unwrap();
    let (host, device) = UnixStream::pair().unwrap();
    let program = format!("{FOLDER}/bt_client.py");
    let seed = seed.to_string();
    let words = [&[&program, "fd:0", "--seed", &seed], words].concat();
    let output = thread::scope(|scope| {
        let served = scope.spawn(|| {
            let board = in_memory(device, 0);
            // Replies of some hundred bits.
            let mut memory = Memory::<300, 2000, 900>::new();
            run(board, file.bytes(), &mut memory)
        });
        let output = left(host, &words);
        assert_eq!(served.join().unwrap(), Ended::End);
        output
    });
    let rows =
        |picture: &Vec<u8>| -> Value { picture.chunks(expected.width).map(Value::from).collect() };
    let expected: Value = expected.bits.iter().map(rows).collect();
    assert_eq!(printed(&output)["pictures"], expected);
    expected
}

/// Captions of a file's pictures, drawn from a seed: the host's words.
#[test]
fn the_program_asks_for_captions() {
    if !has_python() {
        return;
    }
    let file = Dense {
        input_type: InputType::U8,
        hidden: 9,
        classes: 40,
        ..Dense::default()
    }
    .captioning(7);
    let model = Model::parse(file.bytes()).unwrap();
    let mut writer = NpzWriter::new();
    let part = pictures(&model, 3, 2);
    let Values::F32(values) = &*part.values else {
        unreachable!("floats")
    };
    writer.array("x_test", &[3, 1, 7], values).unwrap();
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("pictures.npz");
    writer.write(&data).unwrap();
    let drawing = Drawing {
        temperature: Temperature::new(384),
        seed: Some(12),
    };
    let teller = |number| drawing.teller(number);
    let expected = bt_train::device::captions(&model, &part, &[0, 1, 2], teller, || ()).unwrap();
    let text = |words: &Vec<usize>| {
        let words = words.iter().map(|word| format!("class {word}"));
        words.collect::<Vec<_>>().join(" ")
    };
    let expected: Vec<String> = expected.iter().map(text).collect();
    let (host, device) = UnixStream::pair().unwrap();
    let program = format!("{FOLDER}/bt_client.py");
    let words = [
        &program,
        "fd:0",
        data.to_str().unwrap(),
        "--captions",
        "--temperature",
        "1.5",
        "--seed",
        "12",
    ];
    let output = thread::scope(|scope| {
        let served = scope.spawn(|| {
            let board = in_memory(device, 0);
            let mut memory = Memory::<300, 2000, 40>::new();
            run(board, file.bytes(), &mut memory)
        });
        let output = left(host, &words);
        assert_eq!(served.join().unwrap(), Ended::End);
        output
    });
    let printed = printed(&output);
    assert_eq!(printed["captions"], Value::from(expected.clone()));
    assert!(
        expected.iter().any(|caption| caption.len() > 20),
        "{expected:?}"
    );
}
