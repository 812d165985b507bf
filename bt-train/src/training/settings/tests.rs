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
    let written: toml::Table = Settings::default().to_toml().unwrap().parse().unwrap();
    assert_eq!(written.len(), keys().len());
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
    assert_eq!(nearest("dropout", &keys()), "input-dropout");
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
