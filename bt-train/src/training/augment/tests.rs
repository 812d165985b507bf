use super::*;
use crate::float::config::Level;

/// Bytes near both ends, so that what is added must saturate: 2 sequences of 3 frames of 2×2.
fn part() -> Part {
    Part {
        values: Arc::new(Values::U8((0..24).map(|at| at * 11).collect())),
        width: 4,
        starts: vec![0, 12],
        lengths: vec![3, 3],
        targets: Some(vec![1, 0].into()),
        groups: None,
    }
}

fn config(frames: &str) -> ModelConfig {
    let text = format!(
        r#"{{"input": {{"map": "dense", "modes": [4]{frames}}}, "hidden": {{"modes": [2]}}, "head": {{"classes": 2}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn drawn(table: &Augment, frames: &str, seed: u64) -> Part {
    let augmenter = Augmenter::new(table, &config(frames), &part())
        .unwrap()
        .unwrap();
    augmenter
        .draw(&[1, 0], &mut ChaCha8Rng::seed_from_u64(seed))
        .unwrap()
}

fn bytes(part: &Part, sequence: usize) -> Vec<u8> {
    let Values::U8(values) = &*part.values else {
        panic!("not bytes")
    };
    values[part.range(sequence)].to_vec()
}

#[test]
fn brightness_and_scale_are_one_draw_a_sequence_and_saturate() {
    let brighter = Augment {
        brightness: 40.0,
        ..Augment::default()
    };
    let scaled = Augment {
        scale: 0.5,
        ..Augment::default()
    };
    let (mut cut, mut most) = (0, 0f32);
    for seed in 0..40 {
        let found = drawn(&brighter, "", seed);
        assert_eq!(found.targets, Some(vec![0, 1].into()));
        // Those given second: 0, 11, …, 121. The last but one is not cut off.
        let first = bytes(&found, 1);
        let change = i32::from(first[10]) - 110;
        assert!(change.abs() <= 40);
        let expected: Vec<u8> = (0..12)
            .map(|at| (at * 11 + change).clamp(0, 255) as u8)
            .collect();
        assert_eq!(first, expected);
        cut += usize::from(first[0] == 0 && change < 0) + usize::from(bytes(&found, 0)[11] == 255);
        let factor = f32::from(bytes(&drawn(&scaled, "", seed), 1)[11]) / 121.0;
        assert!((0.49..=1.51).contains(&factor));
        most = most.max(factor);
    }
    assert!(cut > 20 && most > 1.3, "{cut} {most}");
}

/// What is drawn of a sequence does not depend on the threads, and differs from draw to draw.
#[test]
fn draws_repeat_themselves() {
    let table = Augment {
        noise: 9.0,
        jitter: 1.0,
        time_warp: 0.5,
        frame: crate::training::modes::Modes(vec![2, 2]),
        shift: 1,
        ..Augment::default()
    };
    let frames = r#", "frames": 5"#;
    let once = drawn(&table, frames, 7);
    assert_eq!(once.lengths, [5, 5]);
    assert_eq!(once.values, drawn(&table, frames, 7).values);
    assert_ne!(once.values, drawn(&table, frames, 8).values);
}

#[test]
fn nothing_named_is_nothing_varied() {
    let frame_alone = Augment {
        frame: crate::training::modes::Modes(vec![2, 2]),
        ..Augment::default()
    };
    for table in [Augment::default(), frame_alone] {
        assert!(
            Augmenter::new(&table, &config(""), &part())
                .unwrap()
                .is_none()
        );
    }
}

/// Sound is varied before the front end: silence alone lengthens it, and the frames of a gain differ from those of
/// the plain sound where levels are absolute.
#[test]
fn sound_becomes_frames_behind_its_variation() {
    let front_end = FrontEndConfig {
        sample_rate_hz: 8000,
        window: 64,
        hop: 32,
        bands: 8,
        low_hz: 300.0,
        high_hz: 3800.0,
        level: Level::Absolute,
        vectors_per_step: 2,
        format: bt_core::internals::front_end::FORMAT,
    };
    let mut config = config("");
    config.front_end = Some(front_end.clone());
    let sound = Part {
        values: Arc::new(Values::I16(
            (0..2000i32).map(|i| (i * i % 4000 - 2000) as i16).collect(),
        )),
        width: 1,
        starts: vec![0, 1000],
        lengths: vec![1000, 1000],
        targets: Some(vec![0, 1].into()),
        groups: None,
    };
    let drawn = |table: &Augment| {
        let augmenter = Augmenter::new(table, &config, &sound).unwrap().unwrap();
        augmenter
            .draw(&[0], &mut ChaCha8Rng::seed_from_u64(3))
            .unwrap()
    };
    let plain = sound.features(&front_end).unwrap();
    assert_eq!(plain.lengths[0], 16);
    let louder = drawn(&Augment {
        gain: 12.0,
        ..Augment::default()
    });
    assert_eq!((louder.width, louder.lengths[0]), (16, 16));
    assert_ne!(louder.values, plain.subset(&[0]).values);
    let longer = drawn(&Augment {
        silence: 0.5,
        ..Augment::default()
    });
    assert!(
        (17..=142).contains(&longer.lengths[0]),
        "{}",
        longer.lengths[0]
    );
    let frames = Augment {
        flip: 0.5,
        ..Augment::default()
    };
    let error = Augmenter::new(&frames, &config, &sound).err().unwrap();
    assert!(
        error.to_string().starts_with("augment.flip: is for frames"),
        "{error}"
    );
}
