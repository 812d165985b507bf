//! What the exporter writes: its bytes, and whether they keep to the limits given.

mod common;

use bt_train::ErrorKind;
use bt_train::plan::search::Limits;
use bt_train::quantize::export::Exported;
use common::{Given, config, export};

/// What the exporter makes of fixed weights and data, by the CRC of both maps, weights, tables, bias and
/// head: who changes how it is built, or adds to the file, changes no bit of them.
#[test]
fn fixed_models_have_the_same_maps_as_ever() {
    let cases = [
        ("block-term", false, 1_291_820_461),
        ("tensor-train", false, 148_174_484),
        ("dense", true, 2_097_165_392),
    ];
    let found = cases.map(|(map, sound, _)| {
        let given = Given::new(config(map, map, &[4, 3, 4], sound));
        let file = export(&given, Limits::default()).unwrap().bytes;
        let sections = ["INPM", "RECM", "WGHT", "TABL", "BIAS", "HEAD"];
        let content = sections.map(|tag| section(file.bytes(), tag)).concat();
        (map, sound, crc32c(&content))
    });
    assert_eq!(found, cases);
}

/// The bytes of a section, by docs/format.md.
fn section<'a>(file: &'a [u8], tag: &str) -> &'a [u8] {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let count = word(4) >> 16;
    let entry = (0..count)
        .map(|i| 24 + 12 * i)
        .find(|&at| &file[at..at + 4] == tag.as_bytes())
        .unwrap();
    &file[word(entry + 4)..][..word(entry + 8)]
}

/// CRC-32C, a bit at a time.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc: u32, _| {
            (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg())
        })
    })
}

/// Bytes of the arena and of the file, as the file has them.
fn takes(exported: &Exported) -> (usize, usize) {
    let model = bt_core::Model::parse(exported.bytes.bytes()).unwrap();
    (model.arena_bytes(), exported.bytes.bytes().len())
}

/// The bytes that the error of an export asks for in place of this limit, if it is broken.
fn named(given: &Given, limits: Limits, flag: &str) -> Option<usize> {
    let error = export(given, limits).unwrap_err();
    let ErrorKind::OverLimits(over) = error.kind else {
        panic!("{error}");
    };
    let (need, limit) = match flag {
        "--ram" => (over.ram_bytes, limits.ram_bytes),
        _ => (over.flash_bytes, limits.flash_bytes),
    };
    limit.filter(|&limit| need > limit).map(|_| need)
}

const fn limits(ram_bytes: Option<usize>, flash_bytes: Option<usize>) -> Limits {
    Limits {
        ram_bytes,
        flash_bytes,
        kernels: bt_train::plan::kernels::Kernels::M4f,
    }
}

/// The limit that an error names is enough, of the file and not by a formula; 4 bytes less is refused.
fn keeps_to_exact_limits(given: &Given) {
    let ram = named(given, limits(Some(4), None), "--ram").unwrap();
    let found = export(given, limits(Some(ram), None)).unwrap();
    assert_eq!(takes(&found).0, ram);
    assert_eq!(
        named(given, limits(Some(ram - 4), None), "--ram"),
        Some(ram)
    );

    let flash = named(given, limits(None, Some(4)), "--flash").unwrap();
    let found = export(given, limits(None, Some(flash))).unwrap();
    assert_eq!(takes(&found).1, flash);
    assert_eq!(
        named(given, limits(None, Some(flash - 4)), "--flash"),
        Some(flash)
    );

    // Padding of sections makes no limit a trap.
    for more in (2..40).step_by(2) {
        let found = export(given, limits(None, Some(flash + more))).unwrap();
        assert!(takes(&found).1 <= flash + more);
    }

    let both = limits(Some(4), Some(4));
    let [ram, flash] = ["--ram", "--flash"].map(|flag| named(given, both, flag).unwrap());
    let found = export(given, limits(Some(ram), Some(flash))).unwrap();
    assert!(takes(&found).0 <= ram && takes(&found).1 <= flash);
}

const FORMS: [(&str, &str); 3] = [
    ("block-term", "tensor-train"),
    ("tensor-train", "dense"),
    ("dense", "block-term"),
];

#[test]
fn files_of_frames_keep_to_their_limits() {
    for (input, recurrent) in FORMS {
        let mut given = Given::new(config(input, recurrent, &[4, 3, 4], false));
        given.sequences = 3;
        keeps_to_exact_limits(&given);
        // Every value with a factor of its own: tables in the file that no plan counts.
        keeps_to_exact_limits(&given.with_scales());
    }
}

#[test]
fn files_behind_a_front_end_keep_to_their_limits() {
    for (input, recurrent) in FORMS {
        let mut given = Given::new(config(input, recurrent, &[4, 3, 4], true));
        given.sequences = 3;
        keeps_to_exact_limits(&given);
    }
}

/// Long rows come in slices as long as the limit leaves room for: the plan's, which is the file's.
#[test]
fn long_dense_rows_come_in_the_slices_of_their_plan() {
    let mut given = Given::new(config("dense", "dense", &[16, 64], false));
    given.sequences = 3;
    for ram in [4_800, 1_000, 600] {
        let found = export(&given, limits(Some(ram), None)).unwrap();
        assert!(takes(&found).0 <= ram, "{ram}: {}", takes(&found).0);
    }
    keeps_to_exact_limits(&given);
}
