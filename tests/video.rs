//! `import-video` with the real ffmpeg: clips that it encodes here without loss, so that every value is known.

use bt_tests::program::{bt_train, fails, run, text};
use bt_train::data::{PartName, Recordings, load};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const WIDTH: usize = 32;
const HEIGHT: usize = 24;

/// A pixel of frame `t`: `base`, brighter from frame to frame and from row to row, each channel otherwise.
fn pixel(base: usize, t: usize, row: usize, channel: usize) -> u8 {
    (base + 5 * t + row + 40 * channel) as u8
}

/// Encodes so many frames without loss; `channels` 3: colours.
fn encode(path: &Path, base: usize, frames: usize, channels: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let format = if channels == 3 { "rgb24" } else { "gray" };
    let size = format!("{WIDTH}x{HEIGHT}");
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", format])
        .args(["-s", &size, "-r", "10", "-i", "-", "-c:v", "ffv1"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("ffmpeg: cargo xtask setup installs it");
    let mut bytes = Vec::new();
    for (t, row) in (0..frames).flat_map(|t| (0..HEIGHT).map(move |row| (t, row))) {
        for channel in (0..WIDTH).flat_map(|_| 0..channels) {
            bytes.push(pixel(base, t, row, channel));
        }
    }
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert!(child.wait().unwrap().success());
}

fn import(folder: &Path, out: &Path, more: &[&str]) -> (Value, String) {
    let whole = format!("{WIDTH}x{HEIGHT}");
    let size = if more.contains(&"--size") {
        vec![]
    } else {
        vec!["--size", &whole]
    };
    let mut words = vec!["import-video", text(folder), "--out", text(out)];
    words.extend(size);
    words.extend(more);
    words.push("--json");
    let left = run(&words);
    assert_eq!(left.status, Some(0), "{left:?}");
    (serde_json::from_str(&left.out).unwrap(), left.err)
}

/// Values, labels and lengths of a part.
fn part(npz: &Path, name: PartName) -> (Vec<u8>, usize, usize) {
    let data = load(npz, &Recordings::default(), &[name], None).unwrap();
    let part = data.part(name).unwrap();
    let mut values = Vec::new();
    for sequence in 0..part.sequences() {
        part.values
            .for_each(part.range(sequence), |_, value| values.push(value as u8));
    }
    (values, part.width, part.lengths[0])
}

/// The layout of UCF11: every value of every frame, groups whole, clips that give nothing told and left out.
#[test]
fn clips_become_frames_and_groups_stay_whole() {
    let place = tempfile::tempdir().unwrap();
    let clips = place.path().join("clips");
    for (class, name) in ["jump", "swing"].iter().enumerate() {
        for group in 0..5 {
            for take in 0..2 {
                let path = format!("{name}/v_{name}_{group}/v_{name}_{group}_{take}.mkv");
                encode(&clips.join(path), 10 * class + 2 * group + take, 11, 3);
            }
        }
    }
    // Half a file, none at all, one frame too few, and what is no video.
    let whole = std::fs::read(clips.join("jump/v_jump_0/v_jump_0_0.mkv")).unwrap();
    std::fs::write(
        clips.join("jump/v_jump_0/half.mkv"),
        &whole[..whole.len() / 2],
    )
    .unwrap();
    std::fs::write(clips.join("jump/v_jump_1/none.mkv"), "").unwrap();
    std::fs::write(clips.join("jump/v_jump_1/text.mp4"), "no video at all").unwrap();
    encode(&clips.join("swing/v_swing_0/short.mkv"), 0, 5, 3);
    std::fs::create_dir(clips.join("jump/Annotation")).unwrap();
    std::fs::write(clips.join("jump/Annotation/a.xgtf"), "<xml/>").unwrap();

    let out = place.path().join("d.npz");
    let (object, warned) = import(&clips, &out, &["--frames", "6"]);
    assert_eq!(object["labels"], serde_json::json!(["jump", "swing"]));
    assert_eq!(object["frame_values"], WIDTH * HEIGHT * 3);
    assert_eq!(
        object["sequences"],
        serde_json::json!({ "train": 16, "test": 4 })
    );
    assert_eq!(object["groups"], 10);
    let skipped: Vec<&str> = object["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|skipped| skipped["clip"].as_str().unwrap())
        .collect();
    assert_eq!(skipped.len(), 4, "{skipped:?}");
    for (name, why) in [
        ("half.mkv", "is damaged"),
        ("none.mkv", "is damaged"),
        ("text.mp4", "is damaged"),
        ("short.mkv", "has 5 frames, and 6 are wanted"),
    ] {
        assert!(skipped.iter().any(|clip| clip.ends_with(name)), "{name}");
        let line = warned.lines().find(|line| line.contains(name)).unwrap();
        assert!(line.contains(why), "{line}");
    }
    assert!(!place.path().join("d.npz.parts").exists());

    // Every value of every clip, whichever part it is in.
    let mut bases = Vec::new();
    for name in [PartName::Train, PartName::Test] {
        let (values, width, steps) = part(&out, name);
        assert_eq!((width, steps), (WIDTH * HEIGHT * 3, 6));
        for clip in values.chunks(width * steps) {
            let base = usize::from(clip[0]);
            bases.push(base);
            for (at, frame) in clip.chunks(width).enumerate() {
                for (place, &value) in frame.iter().enumerate() {
                    let (row, channel) = (place / (3 * WIDTH), place % 3);
                    // Frames 0, 2, … 10 of 11.
                    assert_eq!(value, pixel(base, 2 * at, row, channel));
                }
            }
        }
    }
    bases.sort_unstable();
    assert_eq!(bases, (0..20).collect::<Vec<_>>());
    // Both takes of a group are in one part.
    let test = part(&out, PartName::Test).0;
    let mut groups: Vec<u8> = test
        .chunks(WIDTH * HEIGHT * 3 * 6)
        .map(|clip| clip[0] / 2)
        .collect();
    groups.sort_unstable();
    assert_eq!((groups[0], groups[2]), (groups[1], groups[3]));

    // The data set trains, and validation takes whole groups of it.
    let run_folder = place.path().join("run");
    let words = [
        "train",
        "--data",
        text(&out),
        "--out",
        text(&run_folder),
        "--epochs",
        "1",
        "--hidden-modes",
        "2x2x2",
        "--input-modes",
        "12x16x12",
        "--input-filter",
        "difference",
    ];
    let left = run(&words);
    assert_eq!(left.status, Some(0), "{left:?}");
}

/// Grey frames of half the size, by the means of areas; a folder of classes alone has no groups.
#[test]
fn frames_are_scaled_and_grey() {
    let place = tempfile::tempdir().unwrap();
    let clips = place.path().join("clips");
    for (class, name) in ["a", "b"].iter().enumerate() {
        for clip in 0..5 {
            encode(&clips.join(format!("{name}/{clip}.mkv")), 50 * class, 7, 1);
        }
    }
    let out = place.path().join("grey.npz");
    let (object, _) = import(
        &clips,
        &out,
        &["--grey", "--frames", "3", "--size", "16x12"],
    );
    assert_eq!(object["groups"], Value::Null);
    assert_eq!(
        object["sequences"],
        serde_json::json!({ "train": 8, "test": 2 })
    );
    let (values, width, _) = part(&out, PartName::Train);
    assert_eq!(width, 16 * 12);
    for (at, frame) in values.chunks(width).enumerate() {
        let base = if at / 3 < 4 { 0 } else { 50 };
        for (place, &value) in frame.iter().enumerate() {
            let above = f64::from(pixel(base, 3 * (at % 3), 2 * (place / 16), 0));
            assert!(
                (f64::from(value) - above - 0.5).abs() <= 1.0,
                "{value} {above}"
            );
        }
    }
}

/// Pictures of another size in the middle of a clip, as a receiver that changes channels records them.
#[test]
fn a_clip_whose_pictures_change_keeps_its_form() {
    let place = tempfile::tempdir().unwrap();
    let clips = place.path().join("clips");
    for name in ["a", "b"] {
        encode(&clips.join(format!("{name}/whole.mkv")), 0, 8, 3);
    }
    let mut stream = Vec::new();
    for size in ["32x24", "64x48"] {
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i"])
            .arg(format!("color=c=gray:s={size}:r=10:d=1"))
            .args(["-c:v", "mpeg2video", "-q:v", "2", "-f", "mpegts", "-"])
            .output()
            .unwrap();
        assert!(made.status.success());
        stream.extend(made.stdout);
    }
    std::fs::write(clips.join("b/changing.ts"), stream).unwrap();
    let out = place.path().join("d.npz");
    let (object, warned) = import(&clips, &out, &["--test-share", "0"]);
    let taken = object["sequences"]["train"].as_u64().unwrap();
    let skipped = object["skipped"].as_array().unwrap().len() as u64;
    assert_eq!(taken + skipped, 3, "{warned}");
    let (values, width, steps) = part(&out, PartName::Train);
    assert_eq!(values.len() as u64, taken * (width * steps) as u64);
    if taken == 3 {
        // Grey before and after.
        let changing = &values[width * steps..2 * width * steps];
        assert!(changing.iter().all(|&value| value.abs_diff(128) <= 4));
    }
}

/// Killed in the middle, it goes on with what it has: the same bytes as unbroken.
#[test]
fn a_killed_import_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let clips = place.path().join("clips");
    for name in ["a", "b"] {
        for clip in 0..20 {
            encode(&clips.join(format!("{name}/{clip}.mkv")), clip, 9, 3);
        }
    }
    let (once, again) = (
        place.path().join("once.npz"),
        place.path().join("again.npz"),
    );
    import(&clips, &once, &[]);
    let size = format!("{WIDTH}x{HEIGHT}");
    let mut child = bt_train()
        .args([
            "import-video",
            text(&clips),
            "--out",
            text(&again),
            "--size",
            &size,
        ])
        .args(["--jobs", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let parts = place.path().join("again.npz.parts");
    let count = || std::fs::read_dir(&parts).map_or(0, Iterator::count);
    let start = Instant::now();
    while count() < 3 && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let done = count();
    assert!((3..40).contains(&done) && !again.exists(), "{done} parts");
    import(&clips, &again, &[]);
    assert_eq!(
        std::fs::read(&once).unwrap(),
        std::fs::read(&again).unwrap()
    );
    assert!(!parts.exists());
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let clips = place.path().join("clips");
    encode(&clips.join("a/1.mkv"), 0, 8, 3);
    std::fs::create_dir(clips.join("b")).unwrap();
    std::fs::write(clips.join("b/1.mkv"), "nothing").unwrap();
    let out = place.path().join("d.npz");
    let words = |more: &[&'static str]| -> Vec<String> {
        let mut words = vec!["import-video".to_owned(), text(&clips).to_owned()];
        words.extend(["--out".to_owned(), text(&out).to_owned()]);
        words.extend(more.iter().map(|word| (*word).to_owned()));
        words
    };
    let refused = |status, more: &[&'static str], expected: &[&str]| {
        let words = words(more);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        fails(status, &words, expected);
    };
    refused(
        1,
        &[],
        &[
            "no clip of the class `b` can be used",
            "1.mkv is damaged",
            "--frames",
        ],
    );
    refused(2, &["--size", "160"], &["--size", "160x120"]);
    refused(2, &["--frames", "0"], &["--frames"]);
    refused(2, &["--test-share", "1"], &["test-share", "is 1"]);
    fails(
        1,
        &["import-video", text(&clips.join("a")), "--out", text(&out)],
        &["holds no clips in folders"],
    );

    // Without the program.
    let left = bt_train()
        .args(words(&[]))
        .env("PATH", place.path())
        .output()
        .unwrap();
    let line = String::from_utf8(left.stderr).unwrap();
    assert_eq!(left.status.code(), Some(1));
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(
        line.contains("ffmpeg: is missing; install FFmpeg"),
        "{line}"
    );
    assert!(!out.exists());
}
