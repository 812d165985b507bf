//! Flags, sizes, help; and shapes that `plan` looks for.

use bt_tests::program::{Toy, fails, quantize_words, run, text, train_words};

/// Old and new spellings of flags and sizes say the same; every core has its kernels.
#[test]
fn plan_and_quantize_speak_one_dialect() {
    let plan = |words: &[&str]| {
        let left = run(&[&["plan", "--json"], words].concat());
        assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
        serde_json::from_str::<serde_json::Value>(&left.out).unwrap()
    };
    let new = ["--input-modes", "4x4x4", "--hidden-modes", "2x2x4"];
    let old = ["--input", "4x4x4", "--hidden", "2x2x4"];
    let first = plan(&[&new[..], &["--ram", "2048"]].concat());
    for size in ["2K", "2k", "2KB", "2KiB"] {
        assert_eq!(
            plan(&[&old[..], &["--ram", size]].concat()),
            first,
            "{size}"
        );
    }
    let fast = plan(&[&new[..], &["--clock", "128MHz"]].concat());
    assert_eq!(fast["clock_hz"], 128_000_000);
    let of_core = |core: &str| {
        let object = plan(&[&new[..], &["--core", core]].concat());
        assert_eq!(object["core"], core);
        object["plans"].clone()
    };
    // The same kernels at another pace.
    let (m7, m4f) = (of_core("m7"), of_core("m4f"));
    assert_eq!(m7[0]["instructions"], m4f[0]["instructions"]);
    assert!(m7[0]["cycles"].as_u64() < m4f[0]["cycles"].as_u64());
    assert_eq!(of_core("m33"), of_core("m4f"));
    assert!(of_core("m0") != of_core("m3") && of_core("m3") != of_core("m4f"));
    assert!(of_core("m4") != of_core("m3") && of_core("m4") != of_core("m4f"));
    assert!(of_core("m55") != of_core("m4f"));

    // A board stands for its core, clock and limits: 256 KiB of flash and 16 KiB of RAM, less the program's.
    let board = plan(&[&new[..], &["--board", "microbit"]].concat());
    assert_eq!(board["core"], "m0");
    assert_eq!(board["clock_hz"], 16_000_000);
    let flags = [
        "--core", "m0", "--clock", "16M", "--ram", "10K", "--flash", "144K",
    ];
    assert_eq!(board, plan(&[&new[..], &flags].concat()));
    let faster = ["--board", "microbit", "--clock", "32M", "--ram", "2K"];
    let faster = plan(&[&new[..], &faster].concat());
    assert_eq!(faster["clock_hz"], 32_000_000);
    assert_eq!(
        faster["plans"][0]["ram_bytes"],
        first["plans"][0]["ram_bytes"]
    );
    let large = [
        "plan", "--input", "4x4x4", "--hidden", "16x16x8", "--board", "microbit",
    ];
    let words = [
        "board: no plan fits",
        "bytes of RAM",
        "microbit has 10240 bytes of RAM and 139264 of flash beside its program",
    ];
    fails(1, &large, &words);
    fails(
        2,
        &[&large[..5], &["--board", "macrobit"]].concat(),
        &["no board 'macrobit'"],
    );

    let place = tempfile::tempdir().unwrap();
    let data = Toy::new(60).write(place.path());
    let out = place.path().join("run");
    assert_eq!(
        run(&train_words(&data, text(&out), &["--epochs", "1"])).status,
        Some(0)
    );
    let model = place.path().join("m.btm");
    let words = quantize_words(text(&out), &data, text(&model), &[]);
    let instructions = |core: &str| {
        let left = run(&[&words[..], &["--json", "--core", core]].concat());
        let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
        object["instructions"].as_u64().unwrap()
    };
    assert!(instructions("m0") > instructions("m4f"));
    let small = [&words[..], &["--ram", "16B"]].concat();
    fails(1, &small, &["ram: no plan fits", "allow it --ram "]);
}

/// Every help fits 100 columns and names the old spellings.
#[test]
fn help_fits_a_hundred_columns() {
    for command in [
        "train", "eval", "quantize", "run", "compare", "plan", "inspect", "search",
    ] {
        for help in ["--help", "-h"] {
            let left = run(&[command, help]);
            assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
            for line in left.out.lines() {
                assert!(line.chars().count() <= 100, "{command}: {line}");
            }
        }
    }
    let help = run(&["plan", "--help"]).out;
    assert!(help.contains("[alias: --input]") && help.contains("[alias: --hidden]"));
}

/// Shapes of the paper's frame within a budget, and a budget that nothing keeps to.
#[test]
fn shapes_are_searched_for_by_weights_and_instructions() {
    let words = ["plan", "--search-shapes", "--input-modes", "57600"];
    let words = [&words[..], &["--hidden-modes", "256", "--ram", "11K"]].concat();
    let left = run(&[&words[..], &["--parameters", "4200", "--json"]].concat());
    assert_eq!((left.status, left.err.as_str()), (Some(0), ""), "{left:?}");
    let object: serde_json::Value = serde_json::from_str(&left.out).unwrap();
    let shapes = object["shapes"].as_array().unwrap();
    assert!(!shapes.is_empty());
    for shape in shapes {
        let modes = |name: &str| -> Vec<u64> {
            let modes = shape[name].as_array().unwrap().iter();
            modes.map(|mode| mode.as_u64().unwrap()).collect()
        };
        let (inputs, hidden) = (modes("input_modes"), modes("hidden_modes"));
        assert_eq!(inputs.iter().product::<u64>(), 57_600);
        assert_eq!(hidden.iter().product::<u64>(), 256);
        // N·(Σ I·J'·R + R^d), J'_1 = 4·J_1.
        let number = |name: &str| shape[name].as_u64().unwrap();
        let (blocks, rank) = (number("blocks"), number("rank"));
        let factors: u64 = inputs.iter().zip(&hidden).map(|(i, j)| i * j * rank).sum();
        let gates = 3 * inputs[0] * hidden[0] * rank;
        let core = rank.pow(inputs.len() as u32);
        assert_eq!(number("parameters"), blocks * (factors + gates + core));
        assert!(number("parameters") <= 4_200 && number("ram_bytes") <= 11 << 10);
    }
    let few = [&words[..], &["--parameters", "100"]].concat();
    fails(
        1,
        &few,
        &[
            "search-shapes: no shape of 57600 values and 256 units",
            "--parameters",
        ],
    );
}
