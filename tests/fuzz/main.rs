#![no_main]
//! One program for all targets of `bt_tests::fuzz`; `BT_TARGET` names the one. Coverage leads it from input to
//! input, the target's own mutations take it behind checksums.

use std::path::Path;
use std::sync::LazyLock;

use bt_tests::fuzz::{TARGETS, Target};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

/// The target that `BT_TARGET` names; without one their names are told, and that is all.
static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let Ok(name) = std::env::var("BT_TARGET") else {
        for target in TARGETS {
            println!("{}", target.name);
        }
        std::process::exit(0);
    };
    let named = TARGETS.into_iter().find(|target| target.name == name);
    named.expect("BT_TARGET names a target")
});

// Sound inputs go into the folder that libFuzzer is about to read.
fuzz_target!(
    init: {
        let seeds = TARGET.seeds();
        // What a target builds once, for whatever input comes first, is not that input's time.
        let _ = TARGET.execute(&[]);
        if let Some(corpus) = std::env::var_os("BT_CORPUS") {
            for (number, seed) in seeds.iter().enumerate() {
                let path = Path::new(&corpus).join(format!("seed-{number}"));
                std::fs::write(path, seed).expect("BT_CORPUS is a folder to write in");
            }
        }
    },
    |input: &[u8]| {
        if let Err(message) = TARGET.execute(input) {
            panic!("{message}");
        }
    }
);

// libFuzzer's own changes one time in four: they know constants that the code compares with.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed.is_multiple_of(4) || size == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let changed = TARGET.changed(&data[..size], seed);
    let length = changed.len().min(max_size);
    data[..length].copy_from_slice(&changed[..length]);
    length
});
