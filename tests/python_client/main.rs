//! The Python client beside PROTOCOL.md, against the firmware on a line with
//! faults and in QEMU, and against devices that answer nonsense.

mod data;
mod making;

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
use bt_embed::board::Board;
use bt_embed::wire::{Error, Reply, frame};
use bt_tests::exported::{self, recordings};
use bt_tests::model::{Dense, Noise, pictures, scores_of};
use bt_tests::still::{Still, board};
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
    board(Noisy {
        stream,
        noise: Noise::new(4),
        once_in,
    })
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
