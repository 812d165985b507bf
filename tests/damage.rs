//! Damage of the simplest kinds, all of it: of real models every byte set to every other value, which
//! holds every flip of a single bit, and every cut. None parses.

use bt_core::Model;
use bt_core::internals::front_end::FORMAT;
use bt_core::internals::model::write::ModelBytes;
use bt_tests::exported;
use bt_train::device;
use std::path::Path;

/// Words, to be read in place.
fn aligned(bytes: &[u8]) -> Vec<u32> {
    let mut words = vec![0u32; bytes.len().div_ceil(4)];
    bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
    words
}

/// How many damaged files were refused.
fn refused(name: &str, model: &ModelBytes) -> usize {
    let whole = model.bytes();
    let mut words = aligned(whole);
    let mut refused = 0;
    let mut refuse = |bytes: &[u8], what: &dyn Fn() -> String| {
        assert!(Model::parse(bytes).is_err(), "{name}: {}", what());
        refused += 1;
    };
    for at in 0..whole.len() {
        for value in 1..=255 {
            let file = &mut bytemuck::cast_slice_mut(&mut words)[..whole.len()];
            file[at] ^= value;
            refuse(file, &|| format!("byte {at} ^ {value:#04x}"));
            file[at] ^= value;
        }
    }
    let file: &[u8] = bytemuck::cast_slice(&words);
    for length in 0..whole.len() {
        refuse(&file[..length], &|| format!("the first {length} bytes"));
    }
    assert!(Model::parse(&file[..whole.len()]).is_ok());
    refused
}

#[test]
fn every_byte_and_every_cut_is_refused() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let older = |name| device::read_model(&data.join(name)).unwrap();
    let models = [
        ("of frames", exported::streamed(1)),
        ("of sound", exported::sound(1, FORMAT)),
        ("of version 3", older("version3/registers.btm")),
        ("of version 4", older("version4/registers.btm")),
        ("of version 5", older("version5/layers.btm")),
        ("of version 6", older("version6/motion.btm")),
        ("of version 7", older("version7/captions.btm")),
        ("of version 8", older("version8/painting.btm")),
        ("of motion", exported::random(3)),
    ];
    std::thread::scope(|scope| {
        for (name, model) in &models {
            scope.spawn(move || {
                let bytes = model.bytes().len();
                let refused = refused(name, model);
                println!("{name}: {bytes} bytes, {refused} damaged files refused");
                assert_eq!(refused, 256 * bytes);
            });
        }
    });
}
