//! What the host reads: data sets, recordings and their index, float models, settings. Each is a file.

use std::path::Path;

use bt_train::data::{NpzWriter, PartName, Recordings, load};
use bt_train::float::checkpoint::Checkpoint;
use bt_train::float::config::HeadName;
use bt_train::training::settings::{Flags, Settings};

use super::{Target, bytes, text};

/// Archives of arrays.
pub const NPZ: Target = Target {
    name: "npz",
    seeds: || {
        let mut both = NpzWriter::new();
        let add = |result: bt_train::Result<()>| result.expect("shape and values fit");
        for part in ["train", "test"] {
            let of = |name: &str| format!("{name}_{part}");
            add(both.array(&of("x"), &[3, 2, 4], &[5u8; 24]));
            add(both.array(&of("y"), &[3], &[0i64, 1, 0]));
            add(both.array(&of("lengths"), &[3], &[2i32, 1, 2]));
        }
        let mut floats = NpzWriter::new();
        for part in ["train", "test"] {
            add(floats.array(&format!("x_{part}"), &[2, 1, 3], &[0.5f32; 6]));
            add(floats.array(&format!("y_{part}"), &[2], &[0u8, 1]));
        }
        [both, floats]
            .iter()
            .map(|writer| {
                with_file("d.npz", |path| {
                    writer.write(path).expect("a folder to write in");
                    std::fs::read(path).expect("the file that was written")
                })
            })
            .collect()
    },
    mutate: |file, noise| {
        if noise.bits().is_multiple_of(2) {
            return bytes(file, noise);
        }
        // Headers of arrays are text, kept as it is.
        text(
            file,
            &[
                "999999999999",
                "0",
                "-1",
                "3",
                "f4",
                "u8",
                "U4",
                "O",
                "True",
                "(",
                "2, 2",
            ],
            noise,
        )
    },
    run: |file| {
        read("d.npz", file, |path| {
            // As what y is by itself, and as what other heads take.
            let heads = [None, Some(HeadName::StepValues), Some(HeadName::Bits)];
            let parts = [PartName::Train, PartName::Test];
            let read = heads.map(|head| load(path, &Recordings::default(), &parts, head).is_ok());
            read.contains(&true)
        })
    },
};

/// Recordings, one in a folder of its class.
pub const WAV: Target = Target {
    name: "wav",
    seeds: || vec![riff(1, &[0, 100, -100, 32_767]), riff(2, &[1; 64])],
    mutate: bytes,
    run: |file| {
        with_folder(|folder| {
            for class in ["a", "b"] {
                let class = folder.join(class);
                std::fs::create_dir_all(&class).expect("a folder to write in");
                std::fs::write(class.join("x.wav"), file).expect("a folder to write in");
                std::fs::write(class.join("y.wav"), riff(1, &[3; 9]))
                    .expect("a folder to write in");
            }
            let hold_out = Recordings::new("file=y.wav", "").unwrap_or_default();
            let all = load(folder, &hold_out, &[PartName::Train], None);
            let by_name = load(folder, &Recordings::default(), &[PartName::Train], None);
            all.is_ok() || by_name.is_ok()
        })
    },
};

/// Float models.
pub const SAFETENSORS: Target = Target {
    name: "safetensors",
    seeds: || {
        let names = ["dense", "block_term", "tensor_train"];
        let read = |name| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/interop");
            std::fs::read(path.join(format!("{name}.safetensors"))).expect("a model of the tests")
        };
        names.map(read).to_vec()
    },
    mutate: |file, noise| {
        let Some((length, rest)) = file.split_first_chunk() else {
            return bytes(file, noise);
        };
        if noise.bits().is_multiple_of(3) {
            return bytes(file, noise);
        }
        // The header is JSON behind its length.
        let length = u64::from_le_bytes(*length) as usize;
        let (header, tensors) = rest.split_at(length.min(rest.len()));
        let words = [
            "F64",
            "I64",
            "F32",
            "0",
            "1",
            "-1",
            "4294967296",
            "18446744073709551615",
            "dense",
            "block-term",
            "tensor-train",
            "modes",
            "blocks",
            "64",
            "65",
            "front_end",
            "null",
            "1e9",
        ];
        let header = text(header, &words, noise);
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header);
        file.extend(tensors);
        file
    },
    run: |file| {
        read("m.safetensors", file, |path| {
            Checkpoint::read(path).is_ok_and(|checkpoint| checkpoint.model().is_ok())
        })
    },
};

/// The index of a folder of recordings.
pub const CSV: Target = Target {
    name: "csv",
    seeds: || {
        vec![
            b"file,label,speaker,index,samples,split\nx.wav,a,s,0,9,train\ny.wav,b,t,1,9,test\n"
                .to_vec(),
            b"label,file\na,x.wav\nb,\"y.wav\"\n".to_vec(),
        ]
    },
    mutate: |index, noise| {
        let words = [
            "file",
            "label",
            "split",
            "train",
            "test",
            "validation",
            "x.wav",
            "../x.wav",
            "",
            "a",
            "\"",
            "\r\n",
            "\u{feff}",
            "99999999999999999999",
        ];
        text(index, &words, noise)
    },
    run: |index| {
        with_folder(|folder| {
            for name in ["x.wav", "y.wav"] {
                std::fs::write(folder.join(name), riff(1, &[3; 9])).expect("a folder to write in");
            }
            std::fs::write(folder.join("index.csv"), index).expect("a folder to write in");
            let hold_out = Recordings::new("speaker=t", "speaker").unwrap_or_default();
            let all = load(folder, &hold_out, &[PartName::Train, PartName::Test], None);
            let by_name = load(folder, &Recordings::default(), &[PartName::Train], None);
            all.is_ok() || by_name.is_ok()
        })
    },
};

/// Settings.
pub const TOML: Target = Target {
    name: "toml",
    seeds: || {
        let all = "input_modes = \"3x4\"\nhidden_modes = \"2x4\"\ninput_map = \"block-term\"\nblocks = 2\n\
            rank = 4\nepochs = 3\nbatch = 8\nlr = 0.01\nseed = 7\npool = \"mean\"\ngate = \"sigmoid\"\n";
        let dashes = all.replace('_', "-");
        let taken = |text: &String| read("model.toml", text.as_bytes(), settings);
        let seeds: Vec<String> = [all.to_owned(), dashes].into_iter().filter(taken).collect();
        assert!(!seeds.is_empty(), "settings that are taken");
        seeds.into_iter().map(String::into_bytes).collect()
    },
    mutate: |file, noise| {
        let words = [
            "0",
            "-1",
            "1e300",
            "nan",
            "inf",
            "18446744073709551615",
            "true",
            "\"\"",
            "[]",
            "epochs",
            "blocks",
            "rank",
            "lr",
            "\"4x0x2\"",
            "\"99999999999x9\"",
            "dense",
            "last",
        ];
        text(file, &words, noise)
    },
    run: |file| read("model.toml", file, settings),
};

fn settings(path: &Path) -> bool {
    let found = Settings::resolve(Some(path), &Flags::default());
    // What is taken can be written and read again.
    found.is_ok_and(|settings| {
        let text = settings.to_toml().expect("settings as a file");
        read("again.toml", text.as_bytes(), |path| {
            let again =
                Settings::resolve(Some(path), &Flags::default()).expect("the same settings");
            settings
                .first_difference(&again)
                .expect("settings")
                .is_none()
        })
    })
}

/// A folder of its own, in memory where the system has a place for that.
fn with_folder<T>(f: impl FnOnce(&Path) -> T) -> T {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    f(folder.expect("a folder to write in").path())
}

fn with_file<T>(name: &str, f: impl FnOnce(&Path) -> T) -> T {
    with_folder(|folder| f(&folder.join(name)))
}

/// Puts bytes into a file and reads it.
fn read(name: &str, file: &[u8], f: impl FnOnce(&Path) -> bool) -> bool {
    with_file(name, |path| {
        std::fs::write(path, file).expect("a folder to write in");
        f(path)
    })
}

/// A recording of 8 kHz.
fn riff(channels: u16, samples: &[i16]) -> Vec<u8> {
    let data: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend(1u16.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(8_000u32.to_le_bytes());
    file.extend((16_000 * u32::from(channels)).to_le_bytes());
    file.extend((2 * channels).to_le_bytes());
    file.extend(16u16.to_le_bytes());
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}
