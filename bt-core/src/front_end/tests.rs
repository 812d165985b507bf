mod microphone;

use core::f64::consts::PI;

use super::level::LEVEL_MIN;
use super::*;
use crate::cases::Noise;

/// A section at a multiple of 4, as a model file has it.
struct Section {
    words: Vec<u32>,
}

impl Section {
    fn new(config: &Config) -> Section {
        let bytes = write(config).expect("a valid configuration");
        let words = bytes
            .chunks(4)
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        Section {
            words: words.collect(),
        }
    }

    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }

    fn front_end(&self) -> FrontEnd<'_> {
        FrontEnd::parse(self.bytes()).expect("what write wrote")
    }
}

fn configs() -> Vec<Config> {
    let digits = Config {
        level: Level::Absolute,
        ..Config::default()
    };
    let wide = Config {
        sample_rate_hz: 16_000,
        window: 1_024,
        hop: 320,
        bands: 64,
        low_hz: 60.0,
        high_hz: 8_000.0,
        ..digits
    };
    let least = Config {
        window: 32,
        hop: 32,
        bands: 4,
        low_hz: 0.0,
        high_hz: 4_000.0,
        ..digits
    };
    let most = Config {
        window: 2_048,
        hop: 1_024,
        bands: 128,
        low_hz: 40.0,
        high_hz: 4_000.0,
        ..digits
    };
    let few = Config {
        window: 64,
        hop: 10,
        bands: 1,
        low_hz: 1_000.0,
        high_hz: 1_500.0,
        ..digits
    };
    vec![digits, wide, least, most, few]
}

/// All vectors of a stream that arrives in pieces of the lengths that
/// `piece` gives.
fn vectors(front_end: &FrontEnd, pcm: &[i16], mut piece: impl FnMut() -> usize) -> Vec<Vec<i16>> {
    let mut state = vec![0; front_end.state_words()];
    let mut out = vec![0; front_end.bands()];
    let mut all = Vec::new();
    let mut rest = pcm;
    while !rest.is_empty() {
        let (mut part, later) = rest.split_at(piece().clamp(1, rest.len()));
        rest = later;
        while !part.is_empty() {
            let push = front_end.push(&mut state, part, &mut out);
            assert!(push.consumed > 0 && push.consumed <= part.len());
            part = &part[push.consumed..];
            if push.produced {
                all.push(out.clone());
            }
        }
    }
    all
}

/// What the high-pass, which is held against its own f64 reference, makes of
/// samples.
fn filtered(config: &Config, pcm: &[i16]) -> Vec<i16> {
    if config.format == FORMAT_UNFILTERED {
        return pcm.to_vec();
    }
    let mut following = HighPass::new(config.sample_rate_hz).following(0, pcm[0]);
    pcm.iter().map(|&sample| following.next(sample)).collect()
}

/// The pipeline behind the high-pass in f64, from the configuration alone: per
/// vector the energy of each band, and that of the loudest bin (bands or not).
fn reference(config: &Config, pcm: &[i16]) -> Vec<(Vec<f64>, f64)> {
    let Config {
        sample_rate_hz,
        window,
        hop,
        bands,
        low_hz,
        high_hz,
        ..
    } = *config;
    let mel = |hz: f64| 2_595.0 * (1.0 + hz / 700.0).log10();
    let (low, high) = (mel(f64::from(low_hz)), mel(f64::from(high_hz)));
    let step = (high - low) / (bands + 1) as f64;
    let mut samples = vec![0.0; window - hop];
    samples.extend(pcm.iter().map(|&x| f64::from(x)));
    let starts = (0..pcm.len() / hop).map(|vector| vector * hop);
    let circle: Vec<(f64, f64)> = (0..window)
        .map(|n| (2.0 * PI * n as f64 / window as f64).sin_cos())
        .collect();
    let frames = starts.map(|start| &samples[start..start + window]);
    frames
        .map(|frame| {
            let weighted: Vec<f64> = (0..window)
                .map(|n| frame[n] * 0.5 * (1.0 - circle[n].1))
                .collect();
            let mut energies = vec![0.0; bands];
            let mut loudest = 0.0f64;
            for bin in 0..window / 2 {
                let (mut re, mut im) = (0.0, 0.0);
                for (n, x) in weighted.iter().enumerate() {
                    let (sin, cos) = circle[(bin * n) % window];
                    re += x * cos;
                    im -= x * sin;
                }
                // Samples are scaled by 2^15, the FFT by 1/window.
                let scale = f64::from(1 << 15) / window as f64;
                let power = (re * re + im * im) * scale * scale / f64::from(1 << fft::POWER_SHIFT);
                let energy_bin = power * 32_768.0;
                loudest = loudest.max(energy_bin);
                let hz = bin as f64 * f64::from(sample_rate_hz) / window as f64;
                for (band, energy) in energies.iter_mut().enumerate() {
                    let distance = (mel(hz) - low) / step - (band + 1) as f64;
                    *energy += energy_bin * (1.0 - distance.abs()).max(0.0);
                }
            }
            (energies, loudest)
        })
        .collect()
}

/// Named signals of `length` samples.
fn signals(length: usize) -> Vec<(&'static str, Vec<i16>)> {
    let mut noise = Noise(7);
    let square = |period: usize| {
        move |n: usize| {
            if (n / period).is_multiple_of(2) {
                32_767
            } else {
                -32_768
            }
        }
    };
    let sine = |hz: f64, amplitude: f64| {
        move |n: usize| (amplitude * (2.0 * PI * hz * n as f64 / 8_000.0).sin()).round() as i16
    };
    vec![
        ("silence", vec![0; length]),
        ("one LSB", (0..length).map(|_| noise.sample() & 1).collect()),
        ("lowest", vec![i16::MIN; length]),
        ("highest", vec![i16::MAX; length]),
        ("noise", (0..length).map(|_| noise.sample()).collect()),
        (
            "quiet noise",
            (0..length).map(|_| noise.sample() >> 8).collect(),
        ),
        ("alternating", (0..length).map(square(1)).collect()),
        ("square", (0..length).map(square(9)).collect()),
        ("slow square", (0..length).map(square(200)).collect()),
        ("sine", (0..length).map(sine(440.0, 32_767.0)).collect()),
        ("quiet sine", (0..length).map(sine(1_234.5, 20.0)).collect()),
    ]
}

/// Band by band: log₂ of the f64 energy, to 0.03 (0.1 dB), once an
/// amplitude is granted that the turns' rounding to Q0.15 may leak from the
/// loudest bin.
#[test]
fn follows_the_f64_pipeline() {
    const ERROR_LOG2: f64 = 0.03;
    const LEAKAGE: f64 = 1.0 / 32_768.0;
    let value = |amplitude: f64| {
        let energy = amplitude.max(0.0).powi(2);
        (energy + FLOOR as f64).log2() - f64::from(ZERO_LOG2)
    };
    let unfiltered = configs().into_iter().map(|config| Config {
        format: FORMAT_UNFILTERED,
        ..config
    });
    for config in configs().into_iter().chain(unfiltered) {
        let section = Section::new(&config);
        let front_end = section.front_end();
        for (name, pcm) in signals(config.window.max(4 * config.hop)) {
            let found = vectors(&front_end, &pcm, || usize::MAX);
            let expected = reference(&config, &filtered(&config, &pcm));
            assert_eq!(found.len(), pcm.len() / config.hop);
            let mut largest = 0.0f64;
            for (found, (energies, loudest)) in found.iter().zip(&expected) {
                let leakage = LEAKAGE * loudest.sqrt();
                for (&found, energy) in found.iter().zip(energies) {
                    let found = f64::from(found) / 1_024.0;
                    largest = largest.max(value(energy.sqrt() - leakage) - found);
                    largest = largest.max(found - value(energy.sqrt() + leakage));
                }
            }
            println!("{} {} {name}: {largest:.4}", config.window, config.bands);
            assert!(largest <= ERROR_LOG2);
        }
    }
}

#[test]
fn bits_are_the_released_ones() {
    for (format, digest) in [
        (FORMAT_UNFILTERED, cases::DIGEST_UNFILTERED),
        (FORMAT, cases::DIGEST),
    ] {
        let section = Section::new(&Config {
            format,
            ..Config::default()
        });
        let front_end = section.front_end();
        let mut state = vec![0; front_end.state_words()];
        let found = cases::digest(&front_end, &mut state);
        assert_eq!(found, digest, "format {format}: {found:#x}");
    }
}

#[test]
fn pieces_of_any_length_give_the_same() {
    for config in configs() {
        for (level, format) in [
            (Level::Absolute, FORMAT),
            (Level::Relative, FORMAT),
            (Level::Relative, FORMAT_UNFILTERED),
        ] {
            let section = Section::new(&Config {
                level,
                format,
                ..config
            });
            let front_end = section.front_end();
            let pcm = &signals(5 * config.hop + config.hop / 3)[4].1;
            let whole = vectors(&front_end, pcm, || usize::MAX);
            assert_eq!(whole.len(), 5);
            assert_eq!(vectors(&front_end, pcm, || 1), whole);
            let mut noise = Noise(99);
            assert_eq!(
                vectors(&front_end, pcm, || (noise.sample() & 255) as usize),
                whole
            );
        }
    }
}

/// Saving the first words, and scratch that holds anything, change nothing.
#[test]
fn saved_words_are_the_whole_state() {
    let section = Section::new(&Config::default());
    let front_end = section.front_end();
    let pcm = &signals(1_000)[4].1;
    let run = |state: &mut [u32], mut pcm: &[i16]| {
        let mut all = Vec::new();
        while !pcm.is_empty() {
            let mut out = [0; 32];
            let push = front_end.push(state, pcm, &mut out);
            pcm = &pcm[push.consumed..];
            all.extend(push.produced.then_some(out));
        }
        all
    };
    let mut state = vec![0; front_end.state_words()];
    let first = run(&mut state, &pcm[..333]);
    let mut other = vec![0xdead_beef; front_end.state_words()];
    let saved = front_end.saved_words();
    other[..saved].copy_from_slice(&state[..saved]);
    let second = run(&mut other, &pcm[333..]);
    assert_eq!(second, run(&mut state, &pcm[333..]));
    front_end.reset(&mut state);
    assert_eq!([first, second].concat(), run(&mut state, pcm));
}

/// A state full of ones neither panics nor lasts longer than the high-pass, 300
/// samples, and a window.
#[test]
fn recovers_from_a_damaged_state() {
    let section = Section::new(&Config {
        level: Level::Absolute,
        ..Config::default()
    });
    let front_end = section.front_end();
    let mut state = vec![u32::MAX; front_end.state_words()];
    let mut out = [0; 32];
    for _ in 0..5 {
        front_end.push(&mut state, &[0; 128], &mut out);
    }
    assert_eq!(out, [-19 << 10; 32]);
}

#[test]
fn short_state_or_output_consumes_nothing() {
    let section = Section::new(&Config::default());
    let front_end = section.front_end();
    let nothing = Push {
        consumed: 0,
        produced: false,
    };
    let mut state = vec![0; front_end.state_words()];
    let short = state.len() - 1;
    assert_eq!(
        front_end.push(&mut state[..short], &[1; 128], &mut [0; 32]),
        nothing
    );
    assert_eq!(front_end.push(&mut state, &[1; 128], &mut [0; 31]), nothing);
    assert_eq!(front_end.push(&mut [], &[1; 128], &mut [0; 32]), nothing);
    assert_eq!(front_end.push(&mut state, &[], &mut [0; 32]), nothing);
}

/// Speech-like noise in bursts, 30 dB apart: relative values agree from the
/// first vector on, but for the floor and the samples' own rounding.
#[test]
fn relative_level_removes_the_gain() {
    let section = Section::new(&Config {
        level: Level::Relative,
        ..Config::default()
    });
    let front_end = section.front_end();
    let mut noise = Noise(5);
    let loud: Vec<i16> = (0..8_000)
        .map(|n| {
            noise.sample()
                / if (n / 1_000usize).is_multiple_of(2) {
                    2
                } else {
                    16
                }
        })
        .collect();
    let quiet: Vec<i16> = loud.iter().map(|x| x / 32).collect();
    let loud = vectors(&front_end, &loud, || usize::MAX);
    let quiet = vectors(&front_end, &quiet, || usize::MAX);
    for (loud, quiet) in loud.iter().flatten().zip(quiet.iter().flatten()) {
        assert!(*loud <= 0);
        // 0.5 octaves of energy, 1.5 dB; it was ten octaves before.
        assert!(
            (i32::from(*loud) - i32::from(*quiet)).abs() <= 512,
            "{loud} {quiet}"
        );
    }
}

#[test]
fn level_falls_an_octave_a_second() {
    let section = Section::new(&Config::default());
    let front_end = section.front_end();
    let mut state = vec![0; front_end.state_words()];
    let mut out = [0; 32];
    let mut noise = Noise(3);
    let mut second = |loud: bool, out: &mut [i16]| {
        for _ in 0..63 {
            let pcm: Vec<i16> = (0..128)
                .map(|_| if loud { noise.sample() >> 6 } else { 0 })
                .collect();
            front_end.push(&mut state, &pcm, out);
        }
    };
    second(true, &mut out);
    second(false, &mut out);
    let before = out[0];
    second(false, &mut out);
    let risen = out[0] - before;
    assert!((1_024 - 16..=1_024 + 32).contains(&risen), "{risen}");
    // Silence ends at the floor below the lowest level, not below any.
    for _ in 0..40 {
        second(false, &mut out);
    }
    assert_eq!(out, [(-19 - LEVEL_MIN as i16) << 10; 32]);
}

/// No byte of a section is trusted.
#[test]
fn parse_names_what_is_wrong() {
    let good = write(&Config::default()).unwrap();
    let parse = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let mut words = vec![0u32; bytes.len().div_ceil(4)];
        let view: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        view[..bytes.len()].copy_from_slice(&bytes);
        FrontEnd::parse(&view[..bytes.len()]).map(|_| ())
    };
    let set = |at: usize, value: u16| {
        move |bytes: &mut Vec<u8>| bytes[at..at + 2].copy_from_slice(&value.to_le_bytes())
    };
    let tables = layout::Tables::new(256, 32);
    assert_eq!(good.len(), tables.end);
    assert_eq!(parse(&|_| {}), Ok(()));
    for length in 0..good.len() {
        let need = if length < layout::HEADER_BYTES {
            layout::HEADER_BYTES
        } else {
            good.len()
        };
        let expected = FrontEndError::Length {
            need,
            found: length,
        };
        assert_eq!(parse(&|bytes| bytes.truncate(length)), Err(expected));
    }
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
    let cases: [(Change, FrontEndError); 13] = [
        (
            &|bytes| bytes.push(0),
            FrontEndError::Length {
                need: 852,
                found: 853,
            },
        ),
        (&set(0, 0), FrontEndError::Format { found: 0 }),
        (&set(0, 3), FrontEndError::Format { found: 3 }),
        (&set(4, 0), FrontEndError::SampleRate),
        (&set(8, 255), FrontEndError::Window { found: 255 }),
        (&set(8, 4_096), FrontEndError::Window { found: 4_096 }),
        (&set(10, 127), FrontEndError::Hop { found: 127 }),
        (&set(10, 258), FrontEndError::Hop { found: 258 }),
        (&set(12, 0), FrontEndError::Bands { found: 0 }),
        (&set(14, 2), FrontEndError::Level { found: 2 }),
        (
            &set(tables.turns.start + 6, 32_000),
            FrontEndError::Turn { index: 1 },
        ),
        (
            &set(tables.rises.start + 4, 32_769),
            FrontEndError::Rise { index: 2 },
        ),
        (
            &set(tables.edges.start, 129),
            FrontEndError::Edge { index: 0 },
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(parse(change), Err(expected));
    }
    let mut words = vec![0u32; good.len() / 4 + 1];
    let view: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    view[1..=good.len()].copy_from_slice(&good);
    let misaligned = FrontEnd::parse(&view[1..=good.len()]).map(|_| ());
    assert_eq!(misaligned, Err(FrontEndError::Misaligned));
}

/// Whatever one changed byte does to the tables, samples do not panic.
#[test]
fn changed_sections_are_harmless() {
    let good = write(&Config {
        window: 64,
        hop: 64,
        bands: 4,
        ..Config::default()
    })
    .unwrap();
    let loud = [i16::MIN; 64];
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut words = vec![0u32; good.len() / 4];
            let view: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
            view.copy_from_slice(&good);
            view[at] ^= 1 << bit;
            if let Ok(front_end) = FrontEnd::parse(bytemuck::cast_slice(&words)) {
                let mut state = vec![0; front_end.state_words()];
                let mut out = vec![0; front_end.bands()];
                front_end.push(&mut state, &loud, &mut out);
                front_end.push(&mut state, &loud, &mut out);
            }
        }
    }
}

#[test]
fn write_refuses_what_cannot_be() {
    let good = Config::default();
    let cases = [
        (
            Config {
                sample_rate_hz: 0,
                ..good
            },
            "the sample rate is zero",
        ),
        (
            Config {
                window: 200,
                ..good
            },
            "a window of 200 samples",
        ),
        (Config { window: 16, ..good }, "a window of 16 samples"),
        (Config { hop: 0, ..good }, "a hop of 0 samples"),
        (Config { hop: 3, ..good }, "a hop of 3 samples"),
        (Config { hop: 300, ..good }, "a hop of 300 samples"),
        (Config { bands: 0, ..good }, "0 bands"),
        (
            Config {
                low_hz: f32::NAN,
                ..good
            },
            "bands from NaN",
        ),
        (
            Config {
                low_hz: 4_000.0,
                ..good
            },
            "bands from 4000",
        ),
        (
            Config {
                high_hz: 4_100.0,
                ..good
            },
            "bands from 80 to 4100",
        ),
        (Config { bands: 200, ..good }, "band 0 is so narrow"),
        (Config { format: 0, ..good }, "format 0; there are 1 and 2"),
    ];
    for (config, text) in cases {
        let error = write(&config).expect_err(text);
        assert!(error.to_string().starts_with(text), "{error}");
    }
}
