//! The Python client beside PROTOCOL.md, against the firmware on a line with
//! faults and in QEMU, and against devices that answer nonsense.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use bt_core::about::FloatInput;
use bt_core::captions::Temperature;
use bt_core::detection::{Detection, Detector, Rule, Watch};
use bt_core::internals::front_end::FORMAT;
use bt_core::internals::model::cases;
use bt_core::{InputType, Model, ModelBytes, Session};
use bt_embed::app::{Ended, Memory, run};
use bt_embed::board::{Board, Stack};
use bt_embed::wire::{Error, Reply, frame};
use bt_tests::exported::{self, recordings};
use bt_tests::model::{Dense, Noise, pictures, scores_of};
use bt_tests::still::Still;
use bt_train::command::captions::Drawing;
use bt_train::data::{NpzWriter, Values};
use bt_train::drawing;
use embedded_io::ErrorKind;
use serde_json::Value;
use tools::emulator::Emulator;
use tools::firmware::{Firmware, ModelIn};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../bt-embed/python");

/// A client that does not wait long, and what it shall do.
const START: &str = "
import json, sys
sys.path.insert(0, sys.argv[1])
import bt_client
client = bt_client.Client(bt_client.open_port('fd:0'), patience_s=0.05)
def say(**what): print(json.dumps(what))
";

fn python() -> OsString {
    std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into())
}

/// Whether there is a Python; says so where there is none.
fn has_python() -> bool {
    let found = Command::new(python()).arg("--version").output().is_ok();
    if !found {
        // Not by eprintln!, which a passing test keeps to itself.
        let skipped = b"SKIPPED bt_client.py: no python3; set PYTHON\n";
        io::stderr().write_all(skipped).unwrap();
    }
    found
}

/// What Python leaves, its standard input one end of the line.
fn left(line: UnixStream, arguments: &[&str]) -> Output {
    Command::new(python())
        .args(arguments)
        .stdin(Stdio::from(OwnedFd::from(line)))
        .output()
        .unwrap()
}

/// The one JSON object that Python printed.
fn printed(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A device's end that loses bytes as it reads, and flips bits as it writes.
struct Noisy {
    stream: UnixStream,
    noise: Noise,
    /// 0: never.
    once_in: u16,
}

impl Noisy {
    fn strikes(&mut self) -> bool {
        self.once_in != 0 && self.noise.bits().is_multiple_of(self.once_in)
    }
}

impl embedded_io::ErrorType for Noisy {
    type Error = ErrorKind;
}

impl embedded_io::Read for Noisy {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let count = self.stream.read(&mut buffer[..1]).unwrap_or(0);
        if count > 0 && self.strikes() {
            return Err(ErrorKind::Other);
        }
        Ok(count)
    }
}

impl embedded_io::Write for Noisy {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let mut bytes = bytes.to_vec();
        for byte in &mut bytes {
            if self.strikes() {
                *byte ^= 0x10;
            }
        }
        self.stream.write(&bytes).map_err(|_| ErrorKind::BrokenPipe)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// A board at the end of a line that strikes once in so many bytes; 0 for never.
fn in_memory(stream: UnixStream, once_in: u16) -> Board<Noisy, Still, Still> {
    Board {
        name: "in memory",
        stream: Noisy {
            stream,
            noise: Noise::new(4),
            once_in,
        },
        ticks: Still,
        led: Still,
        stack: Stack::default,
    }
}

#[test]
fn noise_on_the_line_loses_nothing() {
    if !has_python() {
        return;
    }
    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    let bytes = Noise::new(8).bytes(200 * 14);
    let place = tempfile::tempdir().unwrap();
    let values = place.path().join("values");
    fs::write(&values, &bytes).unwrap();
    let (host, device) = UnixStream::pair().unwrap();
    let output = thread::scope(|scope| {
        let served = scope.spawn(|| {
            let board = in_memory(device, 300);
            let mut memory = Memory::<300, 1000, 8>::new();
            run(board, file.bytes(), &mut memory)
        });
        let script = format!(
            "{START}
values = open(sys.argv[2], 'rb').read()
periods, scores = [], []
for _ in range(3):
    # Short chunks, so that most frames survive.
    client.reset()
    for at in range(0, len(values), 40):
        client.data(values[at:at + 40])
    if not periods:
        state = client.save()
        client.reset()
        client.load(state)
    scores.append(client.scores()['raw'])
    periods.append(client.clear())
say(scores=scores, periods=periods, hello=client.hello(), label=client.label(1), repeats=client.repeats)
"
        );
        let output = left(host, &["-c", &script, FOLDER, values.to_str().unwrap()]);
        assert_eq!(served.join().unwrap(), Ended::End);
        output
    });
    let said = printed(&output);
    let wanted = scores_of(&model, &bytes);
    assert_eq!(said["scores"], serde_json::json!([wanted, wanted, wanted]));
    assert_eq!(said["hello"]["model_crc"], model.crc());
    assert_eq!(said["label"], "class 1");
    for (at, period) in said["periods"].as_array().unwrap().iter().enumerate() {
        assert_eq!(
            (&period["period"], &period["steps"]),
            (&at.into(), &200.into())
        );
    }
    let last = &said["periods"][2];
    assert!(last["read_errors"].as_u64() > Some(5), "{last}");
    assert!(said["repeats"].as_u64() > Some(10), "{said}");
}

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

/// Of classes 0 and 2.
const RULE: Rule = Rule {
    threshold: 14_000,
    smoothing: 1,
    hold_off: 2,
};

/// What is detected in frames of seven i16 by the rule, in windows of so many steps.
fn detected(model: &Model<'_>, bytes: &[u8], window: u32) -> Vec<Detection> {
    let (mut watches, mut scores) = ([Watch::OFF; 3], [0; 3]);
    let mut detector = Detector::new(model, &mut watches).unwrap();
    for class in [0, 2] {
        detector.watch(class, Some(RULE)).unwrap();
    }
    detector.set_window(window);
    let mut arena = vec![0; model.arena_words()];
    let mut session = Session::new(model, &mut arena).unwrap();
    let mut found = Vec::new();
    for mut frame in bytes.chunks(14) {
        assert!(session.feed(&mut frame).unwrap());
        session.step().unwrap();
        found.extend(detector.step(&mut session, &mut scores).unwrap());
    }
    found
}

/// By the rules of a report, on a line with faults, and after more detections than a device keeps.
#[test]
fn the_program_tells_what_was_detected() {
    if !has_python() {
        return;
    }
    let file = Dense {
        score_shift: 20,
        ..Dense::default()
    }
    .model();
    let model = Model::parse(file.bytes()).unwrap();
    let bytes = Noise::new(21).bytes(200 * 14);
    let place = tempfile::tempdir().unwrap();
    let (values, rules) = (place.path().join("values"), place.path().join("rules"));
    fs::write(&values, &bytes).unwrap();
    let row = |class: usize| {
        serde_json::json!({
            "label": format!("class {class}"),
            "threshold": 0.5,
            "rule": { "threshold": RULE.threshold, "smoothing": RULE.smoothing, "hold_off": RULE.hold_off },
        })
    };
    let report = |rows: &[Value]| {
        let report = serde_json::json!({ "hours": 1.0, "classes": rows });
        fs::write(&rules, report.to_string()).unwrap();
    };
    let told = |found: &[Detection], first: usize| -> Value {
        let all = found.iter().enumerate().skip(first).map(|(number, found)| {
            serde_json::json!({
                "number": number,
                "step": found.step,
                "class": found.class,
                "probability": found.confidence,
            })
        });
        all.collect()
    };
    let on_board = |once_in, arguments: &[&str]| {
        let (host, device) = UnixStream::pair().unwrap();
        thread::scope(|scope| {
            let served = scope.spawn(|| {
                let mut memory = Memory::<300, 1000, 8>::new();
                run(in_memory(device, once_in), file.bytes(), &mut memory)
            });
            let output = left(host, arguments);
            assert_eq!(served.join().unwrap(), Ended::End);
            output
        })
    };
    let program = format!("{FOLDER}/bt_client.py");
    let [values, path] = [&values, &rules].map(|path| path.to_str().unwrap());
    report(&[row(2), row(0)]);
    for (window, steps, once_in) in [(0, "0", 0), (4, "4", 0), (0, "0", 800)] {
        let expected = detected(&model, &bytes, window);
        assert!(expected.len() > 8, "{}", expected.len());
        let words = [&program, "fd:0", values, "--rules", path, "--window", steps];
        let said = printed(&on_board(once_in, &words));
        assert_eq!(said["detections"], told(&expected, 0), "window {window}");
        assert_eq!(said["detections_lost"], 0);
    }
    // Asked once at the end: the last 16, and how many there were.
    let script = format!(
        "{START}
for class_ in (0, 2): client.watch(class_, {}, {}, {})
client.sequence(open(sys.argv[2], 'rb').read())
total, found = client.detections()
client.watch(2, 0)
try:
    client.watch(2, 32768)
except bt_client.DeviceError as error:
    say(total=total, found=found, error=str(error))
",
        RULE.threshold, RULE.smoothing, RULE.hold_off
    );
    let said = printed(&on_board(0, &["-c", &script, FOLDER, values]));
    let expected = detected(&model, &bytes, 0);
    assert!(expected.len() > 17, "{}", expected.len());
    assert_eq!(said["total"], expected.len());
    assert_eq!(said["found"], told(&expected, expected.len() - 16));
    assert_eq!(
        said["error"],
        "the device answered: no such rule: field 1 (1 threshold, 2 smoothing) is out of range"
    );

    let refused = |arguments: &[&str]| {
        let output = on_board(0, arguments);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let words = [&program, "fd:0", values, "--rules", path];
    report(&[serde_json::json!({ "label": "owl", "rule": row(0)["rule"] })]);
    assert_eq!(
        refused(&words),
        format!("error: {path}: the device's model has no class owl\n")
    );
    fs::write(&rules, "[1, 2]").unwrap();
    assert_eq!(
        refused(&words),
        format!("error: {path}: is no report of bt-train detect --json\n")
    );
}

#[test]
fn the_program_streams_to_firmware_in_qemu() {
    if !has_python() {
        return;
    }
    let board = tools::board::Board::find("mps2-an386").unwrap();
    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.btm");
    fs::write(&path, file.bytes()).unwrap();
    let firmware = Firmware {
        board,
        model: ModelIn::Program(&path),
        log: false,
        binary: None,
    };
    let elf = firmware.build().unwrap();
    // Frames longer than COBS' longest run, most of them without a zero byte.
    let bytes: Vec<u8> = Noise::new(6)
        .bytes(300 * 14)
        .iter()
        .map(|b| b | 1)
        .collect();
    let values = place.path().join("values");
    fs::write(&values, &bytes).unwrap();
    let emulator = Emulator::start(board, &elf, false).unwrap();
    let line = || emulator.uart(Duration::from_secs(5)).unwrap();
    let program = format!("{FOLDER}/bt_client.py");
    let said = printed(&left(line(), &[&program, "fd:0", values.to_str().unwrap()]));
    assert_eq!(said["steps"], 300);
    assert_eq!(said["raw"], serde_json::json!(scores_of(&model, &bytes)));
    assert_eq!(said["label"], format!("class {}", said["best"]));
    let said = printed(&left(line(), &[&program, "fd:0"]));
    assert_eq!(said["board"], board.name);
    assert_eq!(said["statistics"]["steps"], 300);
    assert_eq!(said["statistics"]["read_errors"], 0);
}

/// What the program leaves that streams to a model in memory.
fn program(model: &[u8], arguments: &[&str]) -> Output {
    let (host, device) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let served = scope.spawn(|| {
            let board = in_memory(device, 0);
            run(board, model, &mut Memory::<300, 2000, 8>::new())
        });
        let client = format!("{FOLDER}/bt_client.py");
        let output = left(host, &[&[&client, "fd:0"], arguments].concat());
        assert_eq!(served.join().unwrap(), Ended::End);
        output
    })
}

/// A canonical RIFF file of 16-bit PCM.
fn wav(samples: &[i16], channels: u16, hertz: u32) -> Vec<u8> {
    let data: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let length = data.len() as u32;
    let frame = 2 * channels;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    file.extend(channels.to_le_bytes());
    file.extend(hertz.to_le_bytes());
    file.extend((hertz * u32::from(frame)).to_le_bytes());
    file.extend(frame.to_le_bytes());
    file.extend(b"\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(data);
    file
}

#[test]
fn the_program_streams_recordings_as_run_does() {
    if !has_python() {
        return;
    }
    let file = exported::sound(1, FORMAT);
    let model = Model::parse(file.bytes()).unwrap();
    let hertz = model.front_end().unwrap().sample_rate_hz();
    let mut noise = Noise::new(9);
    // The last step is not complete.
    let sound: Vec<i16> = (0..555).map(|_| noise.bits() as i16 >> 4).collect();
    let wanted =
        bt_train::device::run(&model, &recordings(std::slice::from_ref(&sound)), || ()).unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("sound.wav");
    let path = path.to_str().unwrap();
    fs::write(path, wav(&sound, 1, hertz)).unwrap();
    let said = printed(&program(file.bytes(), &[path]));
    assert_eq!(
        (&said["raw"], &said["steps"]),
        (&serde_json::json!(wanted[0]), &9.into())
    );
    let complaint = |model: &[u8]| {
        let output = program(model, &[path]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    fs::write(path, wav(&sound[..554], 2, 44_100)).unwrap();
    let refused = format!(
        "error: {path}: 2 channels of 16 bits at 44100 Hz, the device takes 1 of 16 bits at {hertz} Hz\n"
    );
    assert_eq!(complaint(file.bytes()), refused);
    let refused = format!("error: {path}: the device's model takes frames of values, not sound\n");
    assert_eq!(complaint(Dense::default().model().bytes()), refused);
    fs::write(path, b"RIFF").unwrap();
    assert!(complaint(file.bytes()).starts_with("error: "));
}

/// Floats become the integers that bt-core makes of them, each place by its own offset and step.
#[test]
fn the_program_streams_data_sets_as_run_does() {
    if !has_python() {
        return;
    }
    let mut contents = cases::program();
    let places = contents.map_values as usize;
    contents.float_inputs = (0..places)
        .map(|at| FloatInput {
            offset: 20.0 - at as f32,
            lsb: 0.01 * (1 + at) as f32,
        })
        .collect();
    let file = contents.write().unwrap();
    let model = Model::parse(file.bytes()).unwrap();
    let inputs: Vec<FloatInput> = model.float_inputs().collect();
    assert_eq!(inputs.len(), places);
    let mut noise = Noise::new(3);
    let (sequences, steps) = (3, 4);
    let lengths = [4u8, 1, 3];
    let mut floats: Vec<f32> = (0..sequences * steps * places)
        .map(|_| f32::from(noise.bits() as i16) / 3.0)
        .collect();
    floats[1] = f32::NAN;
    let bytes: Vec<Vec<u8>> = floats
        .chunks(steps * places)
        .zip(lengths)
        .map(|(sequence, length)| {
            let values = sequence
                .iter()
                .enumerate()
                .take(usize::from(length) * places);
            let integer = |(at, &value): (usize, &f32)| {
                inputs[at % places].integer(model.input_type(), value)
            };
            match model.input_type() {
                InputType::I16 => values.flat_map(|v| integer(v).to_le_bytes()).collect(),
                InputType::U8 | InputType::I8 => values.map(|v| integer(v) as u8).collect(),
            }
        })
        .collect();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("data.npz");
    let path = path.to_str().unwrap();
    let raw: Vec<u8> = floats
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let classes: Vec<u8> = [1i64, 0, 1]
        .iter()
        .flat_map(|class| class.to_le_bytes())
        .collect();
    let x_test = npy("<f4", &format!("({sequences}, {steps}, {places})"), &raw);
    let others = [
        ("lengths_test", npy("|u1", "(3,)", &lengths)),
        ("y_test", npy("<i8", "(3,)", &classes)),
    ];
    let npz = |x: &[u8]| {
        let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
        let named = others.iter().map(|(name, bytes)| (*name, &bytes[..]));
        for (name, bytes) in named.chain([("x_test", x)]) {
            let options = zip::write::SimpleFileOptions::default()
                .compression_method(zip::CompressionMethod::Stored);
            zip.start_file(format!("{name}.npy"), options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
    };
    npz(&x_test);
    let said = printed(&program(file.bytes(), &[path]));
    let rows = said["sequences"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    let mut right = 0;
    for ((row, bytes), (class, length)) in rows
        .iter()
        .zip(&bytes)
        .zip([1u64, 0, 1].into_iter().zip(lengths))
    {
        assert_eq!(row["raw"], serde_json::json!(scores_of(&model, bytes)));
        assert_eq!(row["steps"], length);
        right += u64::from(row["best"] == class);
    }
    assert_eq!(said["right"], right);
    assert_eq!(
        printed(&program(file.bytes(), &[path, "--limit", "1"]))["sequences"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    npz(&npy(
        ">f4",
        &format!("({sequences}, {steps}, {places})"),
        &raw,
    ));
    let output = program(file.bytes(), &[path]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said,
        "error: x_test: arrays of >f4 in this order are not read\n"
    );
}

/// A file of NumPy's, version 1.
fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\0".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

/// A stream goes on from a file after the device was off.
#[test]
fn the_program_keeps_a_state_over_a_power_cycle() {
    if !has_python() {
        return;
    }
    let file = Dense::default().model();
    let model = Model::parse(file.bytes()).unwrap();
    let other = Dense {
        seed: 5,
        ..Dense::default()
    }
    .model();
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    let state = state.to_str().unwrap();
    // At its start; the session of this test goes on from a state of its own.
    let said = printed(&program(file.bytes(), &["--save", state]));
    let mut arena = vec![0; model.arena_bytes() / 4];
    let mut session = Session::new(&model, &mut arena).unwrap();
    let mut bytes = fs::read(state).unwrap();
    assert_eq!(said["bytes"], bytes.len());
    session.load(&bytes).unwrap();
    session.push_bytes(&[3; 14]).unwrap();
    session.step().unwrap();
    session.save(&mut bytes).unwrap();
    fs::write(state, &bytes).unwrap();
    printed(&program(file.bytes(), &["--load", state]));
    let refused = |model: &[u8]| {
        let output = program(model, &["--load", state]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let (crc, other_crc) = (model.crc(), Model::parse(other.bytes()).unwrap().crc());
    assert_eq!(
        refused(other.bytes()),
        format!("error: the state is of model {crc:08x}, the device has model {other_crc:08x}\n")
    );
    bytes[9] ^= 1;
    fs::write(state, &bytes).unwrap();
    assert_eq!(refused(file.bytes()), "error: the state is damaged\n");
}

/// What the client says of a device that answers everything with these bytes, if it waits so long for an
/// answer that can be read.
fn complaint(answer: Vec<u8>, patience_s: f64) -> String {
    let (host, mut device) = UnixStream::pair().unwrap();
    let answering = thread::spawn(move || {
        let mut bytes = [0; 100];
        while device.read(&mut bytes).is_ok_and(|count| count > 0) {
            if device.write_all(&answer).is_err() {
                break;
            }
        }
    });
    let script = format!(
        "{START}
client.patience_s = {patience_s}
try:
    client.hello()
except bt_client.DeviceError as error:
    say(error=str(error), repeats=client.repeats)
"
    );
    let said = printed(&left(host, &["-c", &script, FOLDER]));
    answering.join().unwrap();
    let error = said["error"].as_str().unwrap();
    format!("{} times: {error}", said["repeats"])
}

#[test]
fn every_answer_ends_in_a_word() {
    if !has_python() {
        return;
    }
    let encoded = |body: &[u8]| {
        let mut line = [0; 100];
        let length = frame::encode(&mut line, |w| w.bytes(body)).unwrap();
        line[..length].to_vec()
    };
    let reply = |tag, reply: Reply<'_>| {
        let mut line = [0; 200];
        let length = reply.encode(tag, &mut line).unwrap();
        line[..length].to_vec()
    };
    let cases = [
        (vec![], "11 times: the device does not answer"),
        (
            b"\x03\x01\x00".to_vec(),
            "11 times: the line is too noisy: a frame arrived garbled, 12 times in a row",
        ),
        (
            encoded(&[1, 0xFF, 0, 3, 1, 0, 0, 0]),
            "0 times: the device answered: it speaks version 1 of the protocol, this program version 3",
        ),
        (
            reply(1, Reply::Error(Error::Version { device: 9 })),
            "0 times: the device answered: it speaks version 9 of the protocol, this program version 3",
        ),
        (
            reply(0, Reply::Error(Error::Line)),
            "11 times: the line is too noisy: bytes of a frame were lost on the line, 12 times in a row",
        ),
        (
            reply(1, Reply::Refused { reason: "no model" }),
            "0 times: the device has no model to serve: no model",
        ),
        (encoded(&[3, 0x81, 1]), "0 times: a reply is too short"),
        (
            encoded(&[3, 0x81, 1, 5, 5]),
            "0 times: a reply is too short",
        ),
        (
            encoded(&[3, 0x81]),
            "11 times: the line is too noisy: a frame arrived garbled, 12 times in a row",
        ),
    ];
    for (answer, complains) in cases {
        // Only what cannot be read is waited for in vain.
        let is_noise = complains.starts_with("11 times");
        let patience_s = if is_noise { 0.05 } else { 30.0 };
        assert_eq!(complaint(answer, patience_s), complains);
    }
}
