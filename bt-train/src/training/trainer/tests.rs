use super::*;
use crate::data::{Items, Values};
use crate::error::ErrorKind;
use crate::float::config::InputFilter;
use crate::training::augment::Augment;
use crate::training::metrics::Figures;
use crate::training::modes::Modes;
use crate::training::settings::HeadChoice;
use bt_core::drawing::Random;
use std::ops::ControlFlow;
use std::sync::Arc;

/// 60 sequences of 1 to 5 steps of 8 values; the class is that of the
/// largest of the first three values' sums.
pub fn data() -> DataSet {
    // The data that the assertions on them were found with.
    let mut state = 1u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let (mut values, mut labels, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for sequence in 0..60 {
        let class = sequence % 3;
        for _ in 0..5 {
            values.extend((0..8).map(|i| noise() / 2 + if i == class { 100 } else { 0 }));
        }
        labels.push(class);
        lengths.push(1 + sequence % 5);
    }
    DataSet {
        train: Some(Part {
            values: Arc::new(Values::U8(values)),
            width: 8,
            starts: (0..60).map(|s| s * 40).collect(),
            lengths,
            targets: Some(labels.into()),
            groups: None,
        }),
        ..DataSet::default()
    }
}

pub fn settings() -> Settings {
    Settings {
        input_modes: Modes(vec![2, 4]),
        hidden_modes: Modes(vec![2, 3]),
        recurrent_dropout: 0.2,
        epochs: 6,
        batch: 8,
        lr: 0.03,
        ..Settings::default()
    }
}

/// The same settings, each sequence drawn to 4 frames, with every dropout and every variation of frames.
pub fn varied() -> Settings {
    Settings {
        input_dropout: 0.2,
        output_dropout: 0.2,
        weight_decay: 0.05,
        factor_decay: 0.0,
        label_smoothing: 0.1,
        beta2: 0.99,
        frames: 4,
        augment: Augment {
            frame: Modes(vec![2, 2, 2]),
            noise: 3.0,
            scale: 0.1,
            brightness: 5.0,
            shift: 1,
            flip: 0.5,
            crop: 0.2,
            time_warp: 0.3,
            jitter: 1.0,
            ..Augment::default()
        },
        ..settings()
    }
}

/// 60 pictures of 4 by 4 pixels, a row a step: one of three rows is white, and some pixels more.
pub fn pictures() -> DataSet {
    let mut random = Random::new(3, 0);
    let mut noise = move || random.next_u32() >> 24 < 20;
    let pixels = (0..60).flat_map(|picture| (0..16).map(move |pixel| pixel / 4 == picture % 3));
    let values = pixels.map(|white| u8::from(white | noise())).collect();
    DataSet {
        train: Some(Part {
            values: Arc::new(Values::U8(values)),
            width: 4,
            starts: (0..60).map(|s| s * 16).collect(),
            lengths: vec![4; 60],
            targets: None,
            groups: None,
        }),
        ..DataSet::default()
    }
}

/// Pictures in 3 steps of 4 latent values.
pub fn drawing() -> Settings {
    Settings {
        head: HeadChoice::Draw,
        draw_steps: 3,
        latent: 4,
        input_modes: Modes(vec![5, 8]),
        hidden_modes: Modes(vec![2, 4]),
        epochs: 6,
        batch: 8,
        lr: 0.03,
        ..Settings::default()
    }
}

/// The bound falls below what independent pixels of the right frequencies cost, and the latent values are used.
#[test]
fn pictures_are_learned() {
    pictures_are_learned_by(&drawing(), 40, 0.8);
}

/// The same through windows of 2 by 2 points, three times four points of 16 pixels: less well.
#[test]
fn pictures_are_learned_with_attention() {
    let settings = Settings {
        attention: 2,
        input_modes: Modes(vec![4, 4]),
        ..drawing()
    };
    pictures_are_learned_by(&settings, 16, 0.95);
    let says = |settings: Settings| settings.model(&pictures()).unwrap_err().to_string();
    let line = says(Settings {
        attention: 4,
        input_modes: Modes(vec![5, 8]),
        ..settings.clone()
    });
    assert!(
        line.starts_with("attention: is 4; give 2 or more, fewer than pictures of 4 by 4"),
        "{line}"
    );
    let line = says(Settings {
        head: HeadChoice::NextBits,
        draw_steps: Settings::default().draw_steps,
        latent: Settings::default().latent,
        ..settings
    });
    assert!(line.starts_with("attention: is for pictures"), "{line}");
}

fn pictures_are_learned_by(settings: &Settings, inputs: usize, share: f64) {
    let settings = Settings {
        epochs: 60,
        ..settings.clone()
    };
    let data = pictures();
    let config = settings.model(&data).unwrap();
    assert_eq!((config.inputs(), config.data_width()), (inputs, 16));
    let mut trainer = Trainer::new(&settings, config, &data).unwrap();
    while !trainer.finished() {
        trainer.epoch(&mut on).unwrap().unwrap();
    }
    let model = trainer.checkpoint().model().unwrap();
    let data = data.for_model(&model.config).unwrap();
    let part = data.part(PartName::Train).unwrap();
    let targets = part.known_targets(PartName::Train).unwrap();
    let score = Score::of(&model, &evaluate::told(&model, part), targets);
    let Figures::Bits(bits) = score.figures else {
        panic!("bits")
    };
    let right = match &targets.items {
        Items::Bits(right) => right.mapv(|bit| f64::from(u8::from(bit))),
        _ => panic!("bits"),
    };
    let entropy = right.mean_axis(ndarray::Axis(0)).unwrap();
    let entropy: f64 = entropy
        .iter()
        .filter(|p| (0.0..1.0).contains(*p) && **p > 0.0)
        .map(|p| -p * p.ln() - (1.0 - p) * (1.0 - p).ln())
        .sum();
    let divergence = bits.divergence.unwrap();
    assert!(bits.nats < share * entropy, "{bits:?} of {entropy}");
    assert!(divergence > 0.5 && divergence < bits.nats, "{bits:?}");
    assert!((score.loss * 16.0 - bits.nats).abs() < 1e-9);
    // The same numbers are drawn whenever it is asked.
    assert_eq!(
        Score::of(&model, &evaluate::told(&model, part), targets),
        score
    );
}

fn on(_: Update) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn learns_and_repeats_itself() {
    let (settings, data) = (settings(), data());
    let run = || {
        let config = settings.model(&data).unwrap();
        let mut trainer = Trainer::new(&settings, config, &data).unwrap();
        assert_eq!(trainer.sequences(), (51, 9));
        while !trainer.finished() {
            trainer.epoch(&mut on).unwrap().unwrap();
        }
        trainer
    };
    let (once, again) = (run(), run());
    assert!(
        once.best()
            .unwrap()
            .validation
            .unwrap()
            .figures
            .accuracy()
            .unwrap()
            > 0.7
    );
    assert_eq!(once.state(), again.state());
    assert_eq!(once.checkpoint(), again.checkpoint());
}

/// 90 sequences of 4 steps of 8 values, a still picture of any bytes; the class is the value that climbs.
fn motion() -> DataSet {
    let mut random = Random::new(7, 0);
    let mut noise = move || (random.next_u32() >> 24) as u8;
    let mut values = Vec::new();
    for sequence in 0..90 {
        let picture: Vec<u8> = (0..8).map(|_| noise() / 4 * 3).collect();
        for t in 0..4 {
            let climbs = |i| if i == sequence % 3 { 4 * t } else { 0 };
            values.extend((0..8).map(|i| picture[i] + climbs(i) + noise() / 128));
        }
    }
    DataSet {
        train: Some(Part {
            values: Arc::new(Values::U8(values)),
            width: 8,
            starts: (0..90).map(|s| s * 32).collect(),
            lengths: vec![4; 90],
            targets: Some((0..90).map(|s| s % 3).collect::<Vec<_>>().into()),
            groups: None,
        }),
        ..DataSet::default()
    }
}

/// What moves a little in pictures that differ much is learned behind a filter, and not without.
#[test]
fn a_filter_shows_what_moves() {
    let data = motion();
    let accuracy = |input_filter| {
        let settings = Settings {
            input_filter,
            epochs: 10,
            ..settings()
        };
        let config = settings.model(&data).unwrap();
        let mut trainer = Trainer::new(&settings, config, &data).unwrap();
        while !trainer.finished() {
            trainer.epoch(&mut on).unwrap().unwrap();
        }
        let best = trainer.best().unwrap().validation.unwrap();
        best.figures.accuracy().unwrap()
    };
    assert!(accuracy(InputFilter::Difference) > 0.95);
    assert!(accuracy(InputFilter::HighPass) > 0.95);
    assert!(accuracy(InputFilter::None) < 0.7);
}

#[test]
fn a_filter_of_single_steps_is_refused() {
    let mut data = motion();
    data.train.as_mut().unwrap().lengths.fill(1);
    let settings = Settings {
        input_filter: InputFilter::Difference,
        ..settings()
    };
    let config = settings.model(&data).unwrap();
    let error = Trainer::new(&settings, config, &data).err().unwrap();
    let line = error.to_string();
    assert!(line.starts_with("input-filter: passes nothing"), "{line}");
}

/// A horizon that no filter has is told by the name of its setting.
#[test]
fn a_horizon_without_its_filter_is_refused() {
    for (input_filter, filter_horizon) in [
        (InputFilter::None, 8),
        (InputFilter::Difference, 8),
        (InputFilter::HighPass, 12),
    ] {
        let settings = Settings {
            input_filter,
            filter_horizon,
            ..settings()
        };
        let line = settings.model(&motion()).unwrap_err().to_string();
        assert!(line.starts_with("filter-horizon: is "), "{line}");
    }
}

#[test]
fn takes_the_share_asked_for() {
    let (mut settings, data) = (settings(), data());
    settings.train_share = 0.5;
    let config = settings.model(&data).unwrap();
    let trainer = Trainer::new(&settings, config, &data).unwrap();
    // 17 of each of three classes are left to learn from; half of them.
    assert_eq!(trainer.sequences(), (24, 9));
}

#[test]
fn an_exploding_loss_stops_with_update_and_remedy() {
    let (mut settings, data) = (settings(), data());
    settings.lr = 1e9;
    let config = settings.model(&data).unwrap();
    let mut trainer = Trainer::new(&settings, config, &data).unwrap();
    let error = trainer.epoch(&mut on).unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::Diverged { epoch: 1, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("lower `lr` (now 1000000000)"),
        "{error}"
    );
}

#[test]
fn a_class_without_sequences_is_an_error() {
    let (settings, mut data) = (settings(), data());
    data.labels = ["a", "b", "c", "d"].map(String::from).to_vec();
    let config = settings.model(&data).unwrap();
    let error = Trainer::new(&settings, config, &data).err().unwrap();
    assert!(
        matches!(error.kind, ErrorKind::ClassMissing { class: 3 }),
        "{error}"
    );
}

#[test]
fn patience_ends_a_run() {
    let (mut settings, data) = (settings(), data());
    settings.patience = 1;
    settings.epochs = 1000;
    let config = settings.model(&data).unwrap();
    let mut trainer = Trainer::new(&settings, config, &data).unwrap();
    while !trainer.finished() {
        trainer.epoch(&mut on).unwrap();
    }
    assert_eq!(trainer.epochs(), trainer.best().unwrap().epoch + 1);
}

/// A varied run gives the same states when it is repeated and from any number of threads, other ones than without,
/// and validates and is tested on sequences as they are.
#[test]
fn variations_are_of_the_training_sequences_alone() {
    let (settings, data) = (varied(), data());
    let run = |settings: &Settings, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let config = settings.model(&data).unwrap();
            let mut trainer = Trainer::new(settings, config, &data).unwrap();
            let mut last = None;
            for _ in 0..2 {
                last = trainer.epoch(&mut on).unwrap();
            }
            (
                trainer.state(),
                Checkpoint::of(&trainer.model),
                last.unwrap(),
            )
        })
    };
    let (state, checkpoint, epoch) = run(&settings, 1);
    assert_eq!(run(&settings, 4).0, state);
    let off = Settings {
        augment: Augment::default(),
        ..settings.clone()
    };
    assert_ne!(run(&off, 1).0, state);
    // By the way that `eval` takes.
    let frames = data.clone().for_model(&checkpoint.config).unwrap();
    let (_, validation) = crate::training::material::split_off(&settings, &frames).unwrap();
    let part = validation.unwrap();
    assert!(part.lengths.iter().all(|&length| length == 4));
    let model = checkpoint.model().unwrap();
    let targets = part.targets.as_ref().unwrap();
    let score = Score::of(&model, &evaluate::told(&model, &part), targets);
    assert_eq!(epoch.validation, Some(score));
}

#[test]
fn variations_that_mean_nothing_to_the_data_are_refused() {
    let data = data();
    let line = |augment: Augment| {
        let settings = Settings {
            augment,
            ..varied()
        };
        let config = settings.model(&data).unwrap();
        let error = Trainer::new(&settings, config, &data).err().unwrap();
        error.to_string()
    };
    let frame = |modes: Vec<usize>| Augment {
        frame: Modes(modes),
        ..varied().augment
    };
    for (augment, expected) in [
        (
            Augment {
                gain: 3.0,
                ..varied().augment
            },
            "augment.gain: is for sound, and the data are frames; leave it out",
        ),
        (
            frame(vec![]),
            "augment.shift: is for images, of which the sides must be known",
        ),
        (
            frame(vec![3, 2]),
            "augment.frame: 3x2 multiply to 6, but the width is 8",
        ),
        (frame(vec![8]), "augment.frame: is 8; give rows and columns"),
    ] {
        let line = line(augment);
        assert!(line.starts_with(expected), "{line}");
    }
}

/// A model file says how many frames are drawn, and what a device is pushed are those.
#[test]
fn a_device_is_pushed_the_frames_that_are_drawn() {
    let (settings, data) = (varied(), data());
    let config = settings.model(&data).unwrap();
    let mut trainer = Trainer::new(&settings, config, &data).unwrap();
    trainer.epoch(&mut on).unwrap().unwrap();
    let checkpoint = trainer.checkpoint();
    let frames = data.clone().for_model(&checkpoint.config).unwrap();
    let options = crate::quantize::export::Options {
        name: "test".into(),
        limits: Default::default(),
        sequences: 8,
    };
    let part = frames.part(PartName::Train).unwrap();
    let exported = crate::quantize::export::export(&checkpoint, part, &[], &options).unwrap();
    let model = crate::device::parse(&exported.bytes).unwrap();
    let told = crate::device::config(&model).unwrap();
    assert_eq!(told.input.frames, Some(4));
    let raw = data.clone().raw_for_model(&told).unwrap();
    let Values::U8(all) = &*data.train.as_ref().unwrap().values else {
        panic!("no bytes")
    };
    // Sequences of 1, 2, 3, 4 and 5 frames: the nearest to 0, ⅓, ⅔ and all of the way.
    let drawn = [
        [0; 4],
        [0, 0, 1, 1],
        [0, 1, 1, 2],
        [0, 1, 2, 3],
        [0, 1, 3, 4],
    ];
    for (sequence, places) in drawn.iter().enumerate() {
        let frame = |place: &usize| all[sequence * 40 + place * 8..][..8].to_vec();
        let expected: Vec<u8> = places.iter().flat_map(frame).collect();
        let part = raw.part(PartName::Train).unwrap();
        assert_eq!(crate::device::stream(&model, part, sequence), expected);
    }
    // The same by way of either kind of file.
    let of_model = data.raw_for_model(&checkpoint.config).unwrap();
    let part = |data: &DataSet| data.part(PartName::Train).unwrap().values.clone();
    assert_eq!(part(&raw), part(&of_model));
}

/// The sequence of `x_train`, whatever part of it is learned from, and the step of it, whatever frames are drawn.
#[test]
fn an_outlier_is_told_by_its_place_in_the_data() {
    let mut data = data();
    let part = data.train.as_mut().unwrap();
    let mut values = Vec::new();
    part.values
        .for_each(0..part.values.len(), |_, value| values.push(value));
    // Sequence 44 has 5 steps, of which 0, 2 and 4 are drawn.
    let step = 2;
    values[part.starts[44] + step * part.width + 5] = 1e6;
    part.values = Arc::new(Values::F32(values));
    let expected = format!("x_train: sequence 44, step {step}, feature 5 is 1000000, ");
    let mut told = 0;
    for seed in 0..6 {
        for (frames, train_share) in [(0, 1.0), (0, 0.7), (3, 1.0), (3, 0.7)] {
            let settings = Settings {
                seed,
                frames,
                train_share,
                ..settings()
            };
            let config = settings.model(&data).unwrap();
            let trainer = Trainer::new(&settings, config, &data).unwrap();
            // Where it validates, or is left out, nothing is learned from it.
            for line in trainer.warnings() {
                assert!(
                    line.starts_with(&expected),
                    "{seed} {frames} {train_share}: {line}"
                );
                told += 1;
            }
        }
    }
    assert!(told >= 12, "{told}");
}
