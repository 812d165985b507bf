use super::file::nearest;
use super::*;

fn flags() -> Flags {
    Flags {
        input_modes: Some(Modes(vec![4, 8])),
        hidden_modes: Some(Modes(vec![2, 4])),
        ..Flags::default()
    }
}

fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("model.toml");
    std::fs::write(&path, text).unwrap();
    (place, path)
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let (_place, path) =
        file("lr = 0.5\nepochs = 3\nhidden-modes = [9, 9]\ninput-map = \"dense\"\n");
    let given = Flags {
        epochs: Some(5),
        ..flags()
    };
    let settings = Settings::resolve(Some(&path), &given).unwrap();
    assert_eq!((settings.lr, settings.epochs), (0.5, 5));
    assert_eq!(settings.hidden_modes.0, [2, 4]);
    assert_eq!(settings.input_map, MapName::Dense);
    assert_eq!(settings.batch, Settings::default().batch);
}

#[test]
fn comes_back_from_its_file() {
    let settings = Settings::resolve(None, &flags()).unwrap();
    let (_place, path) = file(&settings.to_toml().unwrap());
    assert_eq!(
        Settings::resolve(Some(&path), &Flags::default()).unwrap(),
        settings
    );
}

#[test]
fn every_key_can_be_written_and_is_a_flag() {
    // A number of units that nobody told is not written.
    let settings = Settings {
        units: 8,
        ..Settings::default()
    };
    let written: toml::Table = settings.to_toml().unwrap().parse().unwrap();
    assert!(!Settings::default().to_toml().unwrap().contains("units"));
    // And the table `augment`, which has no flags.
    assert_eq!(written.len(), keys().len() + 1);
    let command = <Flags as clap::Args>::augment_args(clap::Command::new("flags"));
    for key in keys() {
        assert!(written.contains_key(&key), "{key}");
        assert!(
            command
                .get_arguments()
                .any(|arg| arg.get_long() == Some(&key)),
            "{key}"
        );
    }
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest() {
    let (_place, path) = file("weight_decai = 1\n");
    let line = Settings::resolve(Some(&path), &flags())
        .unwrap_err()
        .to_string();
    assert!(
        line.ends_with("weight_decai: unknown key; did you mean `weight-decay`?"),
        "{line}"
    );
    assert_eq!(nearest("dropout", &keys()), "output-dropout");
    assert_eq!(nearest("smoothing", &keys()), "label-smoothing");
    assert_eq!(nearest("epoch", &keys()), "epochs");
}

/// A value that cannot be is told with its key, and with the file where it came from there.
#[test]
fn a_wrong_value_is_told_with_file_and_key() {
    let line = |text: &str, flags: &Flags| {
        let (_place, path) = file(text);
        let error = Settings::resolve(Some(&path), flags).unwrap_err();
        let line = error.to_string();
        let name = path.to_str().unwrap().to_owned() + ": ";
        match line.strip_prefix(&name) {
            Some(rest) => format!("FILE {rest}"),
            None => line,
        }
    };
    for (text, expected) in [
        ("lr = \"x\"", "FILE lr: invalid type: string"),
        ("epochs = 1.5", "FILE epochs: invalid type: floating point"),
        ("input-map = \"dens\"", "FILE input-map: unknown variant"),
        ("lr = -1.0", "FILE lr: is -1; give a number above 0"),
        ("rank = 65", "FILE rank: is 65; 1 to 64 are possible"),
        ("final-lr = 1.5", "FILE final-lr: is 1.5; give a share"),
        ("weight-decay = -1.0", "FILE weight-decay: is -1; give 0"),
    ] {
        let line = line(text, &flags());
        assert!(line.starts_with(expected), "{line}");
    }
    let modes = line("input-modes = 12", &Flags::default());
    assert!(modes.starts_with("FILE input-modes: modes as"), "{modes}");
    let lower = Flags {
        lr: Some(-2.0),
        recurrent_map: Some(MapName::TensorTrain),
        recurrent_rank: Some(0),
        ..flags()
    };
    assert_eq!(line("lr = 1.0", &lower), "lr: is -2; give a number above 0");
    let rank = Flags { lr: None, ..lower };
    assert!(line("lr = 1.0", &rank).starts_with("recurrent-rank: is 0"));
    // A constant rate, and more decay than 1, are settings like others.
    let (_place, path) = file("final-lr = 1.0\nweight-decay = 1.5");
    Settings::resolve(Some(&path), &flags()).unwrap();
}

#[test]
fn a_wild_number_is_refused() {
    let wild = Flags {
        lr: Some(f32::NAN),
        ..flags()
    };
    assert!(Settings::resolve(None, &wild).is_err());
}

/// The table comes back from its file, and every key of it is taken and checked by its name.
#[test]
fn augmentations_are_a_table() {
    let (_place, path) =
        file("frames = 12\n[augment]\nframe = \"4x8\"\nnoise = 2\njitter = 1.0\nflip = 0.5\n");
    let settings = Settings::resolve(Some(&path), &flags()).unwrap();
    assert_eq!(settings.augment.frame.0, [4, 8]);
    assert_eq!(
        (settings.augment.noise, settings.augment.jitter),
        (2.0, 1.0)
    );
    assert!(!settings.augment.is_off());
    let text = settings.to_toml().unwrap();
    let (_other, again) = file(&text);
    assert_eq!(
        Settings::resolve(Some(&again), &Flags::default()).unwrap(),
        settings
    );
    // What is not named is not written.
    assert!(
        !text.contains("time-warp") && text.contains("[augment]"),
        "{text}"
    );
    let more = Settings {
        augment: Augment {
            flip: 0.25,
            ..settings.augment.clone()
        },
        ..settings.clone()
    };
    let (key, told, started) = more.first_difference(&settings).unwrap().unwrap();
    assert_eq!(key, "augment");
    assert!(told.contains("flip = 0.25") && started.contains("flip = 0.5"));
    let line = |text: &str| {
        let (_place, path) = file(text);
        let error = Settings::resolve(Some(&path), &flags())
            .unwrap_err()
            .to_string();
        let name = path.to_str().unwrap().to_owned() + ": ";
        error.strip_prefix(&name).unwrap_or(&error).to_owned()
    };
    for (text, expected) in [
        (
            "[augment]\ntime-wrap = 0.1",
            "augment.time-wrap: unknown key; did you mean `time-warp`?",
        ),
        (
            "[augment]\nflip = \"x\"",
            "augment.flip: invalid type: string",
        ),
        (
            "[augment]\nshift = 1.5",
            "augment.shift: invalid type: floating point",
        ),
        ("augment = 3", "augment: invalid type: integer"),
        (
            "[augment]\nflip = 1.5",
            "augment.flip: is 1.5; give a share from 0 to 1",
        ),
        (
            "[augment]\ncrop = nan",
            "augment.crop: is NaN; give a share",
        ),
        (
            "[augment]\nstretch = 1.0",
            "augment.stretch: is 1; give a share",
        ),
        (
            "[augment]\nnoise = -1.0",
            "augment.noise: is -1; give 0 or more",
        ),
        (
            "[augment]\njitter = 1.0",
            "augment.jitter: moves frames that are drawn, and none are; set `frames`",
        ),
        ("frames = 1", "frames: is 1; give 2 or more"),
        (
            "factor-decay = 1.5",
            "factor-decay: is 1.5; give a share from 0 to 1",
        ),
        ("output-dropout = 1.0", "output-dropout: is 1; give a share"),
        ("hide-words = -0.5", "hide-words: is -0.5; give a share"),
        (
            "[augmant]\nflip = 0.5",
            "augmant: unknown key; did you mean `augment`?",
        ),
    ] {
        let line = line(text);
        assert!(line.starts_with(expected), "{line}");
    }
}
