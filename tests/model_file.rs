//! Model files: every corruption is an error with the right name, and none makes the device panic.

use bt_core::about::{FloatOutput, Pool};
use bt_core::error::{Field, ParseError};
use bt_core::internals::model::cases;
use bt_core::internals::model::layout::{
    self, DenseRecord, DrawRecord, FormatRecord, HostRecord, MetaRecord, OutputsRecord, Section,
    ValueRecord, WindowRecord, WordsRecord,
};
use bt_core::internals::model::write::{MapContents, Outputs};
use bt_core::internals::program::{ProgramRecord, StageRecord, Store};
use bt_core::{Model, ModelBytes, OutputKind, SelfTest, Session};
use bt_tests::exported;
use bt_tests::model::{Dense, Noise};

fn parse(bytes: &[u8]) -> Result<(), ParseError> {
    let aligned = ModelBytes::from_unaligned(bytes);
    Model::parse(aligned.bytes()).map(|_| ())
}

/// Puts the CRC right, as an attacker or a broken exporter would.
fn reseal(bytes: &mut [u8]) {
    if let Some(crc) = layout::crc(bytes) {
        bytes[layout::CRC_AT].copy_from_slice(&crc.to_le_bytes());
    }
}

#[test]
fn any_changed_byte_is_noticed() {
    let model = exported::random(3);
    let whole = model.bytes().to_vec();
    assert_eq!(parse(&whole), Ok(()));
    for at in 0..whole.len() {
        for bit in [0x01, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= bit;
            let error = parse(&damaged).expect_err("a changed byte");
            let expected = if layout::MAGIC_AT.contains(&at) {
                matches!(error, ParseError::Magic)
            } else if layout::VERSION_AT.contains(&at) {
                // One bit from this version to another that is read.
                matches!(error, ParseError::Version { .. } | ParseError::Crc { .. })
            } else if layout::LENGTH_AT.contains(&at) {
                matches!(error, ParseError::Truncated { .. } | ParseError::Crc { .. })
            } else {
                matches!(error, ParseError::Crc { .. })
            };
            assert!(expected, "byte {at}: {error}");
        }
    }
}

#[test]
fn any_cut_is_noticed() {
    let model = exported::random(4);
    let whole = model.bytes();
    for len in (0..whole.len()).step_by(4) {
        let error = parse(&whole[..len]).expect_err("a cut");
        assert!(
            matches!(error, ParseError::Truncated { .. }),
            "{len} bytes: {error}"
        );
    }
    // A tail, an update in a larger slot for instance, is not part of the model.
    let mut longer = whole.to_vec();
    longer.extend([0xff; 64]);
    assert_eq!(parse(&longer), Ok(()));
}

#[test]
fn misaligned_bytes_are_an_error() {
    let model = exported::random(5);
    let mut words = vec![0u32; model.bytes().len() / 4 + 1];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    bytes[1..][..model.bytes().len()].copy_from_slice(model.bytes());
    assert_eq!(
        Model::parse(&bytes[1..]).map(|_| ()),
        Err(ParseError::Misaligned)
    );
}

/// Wrong bytes under a right CRC: refused with a name, or a model that runs to its end.
#[test]
fn a_resealed_corruption_never_panics() {
    let mut refused = 0;
    for seed in 0..24 {
        let model = exported::random(seed);
        let whole = model.bytes().to_vec();
        let mut noise = Noise::new(seed as u32);
        for _ in 0..400 {
            let mut damaged = whole.clone();
            for _ in 0..1 + noise.bits() % 3 {
                // The first kilobyte holds all that is structure; the rest is weights.
                let span = if noise.bits().is_multiple_of(4) {
                    whole.len()
                } else {
                    whole.len().min(1024)
                };
                let at = (usize::from(noise.bits()) * 65_536 + usize::from(noise.bits())) % span;
                damaged[at] = noise.bits() as u8;
            }
            reseal(&mut damaged);
            let aligned = ModelBytes::from_unaligned(&damaged);
            match Model::parse(aligned.bytes()) {
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    refused += 1;
                }
                Ok(model) if model.arena_bytes() <= 1 << 20 && model.frame_values() <= 1 << 16 => {
                    let mut arena = vec![0; model.arena_bytes() / 4];
                    let mut session = Session::new(&model, &mut arena).unwrap();
                    let _ = session.self_test();
                }
                Ok(_) => {}
            }
        }
    }
    assert!(refused > 3000, "{refused}");
}

#[test]
fn what_is_written_is_what_is_read() {
    for seed in 0..40 {
        let bytes = exported::random(seed);
        let model = Model::parse(bytes.bytes()).unwrap();
        assert_eq!(model.name(), format!("random {seed}"));
        assert_eq!(model.flash_bytes(), bytes.bytes().len());
        assert_eq!(
            model.arena_bytes(),
            bt_core::about::arena_bytes(bytes.bytes())
        );
        let mut arena = vec![0xdead_beef; model.arena_bytes() / 4];
        let mut session = Session::new(&model, &mut arena).unwrap();
        assert_eq!(session.self_test(), SelfTest::Passed);
        let mut short = vec![0; model.arena_bytes() / 4 - 1];
        let error = Session::new(&model, &mut short).unwrap_err().to_string();
        assert!(error.contains(&model.arena_bytes().to_string()), "{error}");
    }
}

/// Of every stage, kept sums or not.
#[test]
fn sums_of_slices_are_not_shifted_by_one() {
    let model = exported::random(3);
    let whole = model.bytes();
    let refused = |at: usize| {
        let mut changed = whole.to_vec();
        changed[at] ^= 1;
        reseal(&mut changed);
        match parse(&changed) {
            Err(ParseError::Stage {
                section,
                stage,
                field: Field::SliceShift,
            }) => Some((section, stage)),
            _ => None,
        }
    };
    let found: Vec<(Section, usize)> = (0..whole.len()).filter_map(refused).collect();
    let of_input = found.iter().filter(|at| at.0 == Section::Input);
    let steps: Vec<usize> = of_input.map(|at| at.1).collect();
    assert!(!steps.is_empty());
    assert_eq!(steps, (0..steps.len()).collect::<Vec<_>>());
}

/// The same file, but for the version that it states.
fn of_version(version: u8, file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    file[layout::VERSION_AT.start] = version;
    reseal(&mut file);
    file
}

/// Byte 45 of a stage had no meaning before version 6 and had to be 0.
#[test]
fn a_slice_shift_in_an_older_file_is_refused() {
    let mut parts = cases::program();
    let MapContents::Program { stages, .. } = &mut parts.layers[0].input else {
        panic!("its input map is a program");
    };
    stages.iter_mut().for_each(|stage| stage.slice_shift = 4);
    let bytes = parts.write().unwrap();
    let older = of_version(5, bytes.bytes());
    let refused = ParseError::Stage {
        section: Section::Input,
        stage: 0,
        field: Field::SliceShift,
    };
    assert_eq!(parse(&older), Err(refused));
}

/// The upper half of slice_shift had no meaning before version 8 and had to be 0.
#[test]
fn rows_of_bytes_in_an_older_file_are_refused() {
    let bytes = cases::byte_rows().write().unwrap();
    assert!(parse(bytes.bytes()).is_ok());
    let older = of_version(7, bytes.bytes());
    let refused = ParseError::Field {
        section: Section::Input,
        field: Field::Form,
        found: 1,
    };
    assert_eq!(parse(&older), Err(refused));
}

/// No model before version 9 painted through a window.
#[test]
fn a_window_in_an_older_file_is_refused() {
    let bytes = cases::attended().write().unwrap();
    assert!(parse(bytes.bytes()).is_ok());
    let older = of_version(8, bytes.bytes());
    let refused = ParseError::Field {
        section: Section::Meta,
        field: Field::Pool,
        found: 4,
    };
    assert_eq!(parse(&older), Err(refused));
}

/// What the scores are: every number of the record has its name, and values come in their units.
#[test]
fn what_scores_are_is_read_or_refused_by_name() {
    let with = |outputs: Outputs, pool: Pool| {
        Dense {
            pool,
            ..Dense::default()
        }
        .with(outputs)
    };
    let values = Outputs {
        kind: OutputKind::Values,
        every_step: true,
        horizon_shift: 5,
        values: vec![
            FloatOutput {
                offset: 20.5,
                lsb: 0.25,
            },
            FloatOutput {
                offset: -1.0,
                lsb: -1e-6,
            },
            FloatOutput {
                offset: 0.0,
                lsb: 3.0,
            },
        ],
        ..Outputs::default()
    };
    let file = with(values, Pool::Recent);
    let model = Model::parse(file.bytes()).unwrap();
    assert_eq!((model.outputs(), model.classes()), (3, 0));
    assert_eq!(model.output_kind(), OutputKind::Values);
    assert!(model.scores_every_step());
    assert_eq!(model.horizon(), 32);
    assert_eq!(model.value(0, -2), Some(20.0));
    assert_eq!(model.value(1, 1_000_000), Some(-2.0));
    assert_eq!(model.value(2, i32::MIN), Some(-3.0 * 2f32.powi(31)));
    assert_eq!(model.value(3, 0), None);
    let whole = file.bytes();
    let at = whole.windows(4).position(|tag| tag == b"OUTP").unwrap();
    let at = u32::from_le_bytes(whole[at + 4..at + 8].try_into().unwrap()) as usize;
    for (byte, value, field) in [
        (0, 3, Field::OutputKind),
        (1, 2, Field::EveryStep),
        (2, 16, Field::HorizonShift),
        // Values are neither a frame that follows nor a picture, and a fourth way to it there is not.
        (3, 1, Field::NextFrame),
        (3, 2, Field::NextFrame),
        (3, 3, Field::NextFrame),
    ] {
        let mut changed = whole.to_vec();
        changed[at + byte] = value;
        reseal(&mut changed);
        let found = value.into();
        let section = Section::Outputs;
        assert_eq!(
            parse(&changed),
            Err(ParseError::Field {
                section,
                field,
                found
            })
        );
    }

    // A file that says nothing: classes of a sequence.
    let file = with(Outputs::default(), Pool::Last);
    let model = Model::parse(file.bytes()).unwrap();
    assert!(!file.bytes().windows(4).any(|tag| tag == b"OUTP"));
    assert_eq!((model.outputs(), model.classes()), (3, 3));
    assert_eq!(model.output_kind(), OutputKind::Classes);
    assert_eq!((model.scores_every_step(), model.horizon()), (false, 1));
    assert_eq!(model.value(0, 1), None);
}

/// `docs/format.md`: the rows of the first table below a heading, cells without their decoration.
fn table_below(heading: &str) -> Vec<Vec<String>> {
    let page = include_str!("../docs/format.md");
    let heading = format!("# {heading}\n");
    let (_, below) = page.split_once(&heading).expect(&heading);
    let table = below.lines().skip_while(|line| !line.starts_with('|'));
    let rows = table.take_while(|line| line.starts_with('|')).skip(2);
    let cells = |line: &str| {
        let line = line.trim_matches('|');
        let cells = line.split('|').map(|cell| cell.trim().replace('`', ""));
        cells.collect::<Vec<_>>()
    };
    rows.map(cells).collect()
}

/// That the page has these fields at these offsets, and that their types fill `end` bytes without a gap.
fn page_agrees(rows: &[Vec<String>], fields: &[(usize, &str)], end: usize) {
    let mut next = 0;
    for (row, &(offset, name)) in rows.iter().zip(fields) {
        let page = (row[0].parse::<usize>(), row[1].as_str());
        assert_eq!(page, (Ok(offset), name));
        assert_eq!(offset, next, "{name}");
        next += match row[2].as_str() {
            "u8" => 1,
            "u16" => 2,
            "u32" | "i32" | "4 bytes" => 4,
            "7 × u16" => 14,
            other => panic!("{name} is {other}"),
        };
    }
    assert_eq!((rows.len(), next), (fields.len(), end));
}

/// The offsets of a record's fields, by their names.
macro_rules! fields {
    ($record:ty: $($field:ident)+) => {
        [$((std::mem::offset_of!($record, $field), stringify!($field))),+]
    };
}

#[test]
fn the_page_of_the_format_names_every_section() {
    let page = include_str!("../docs/format.md");
    let title = format!("# The model file, version {}\n", layout::VERSION);
    assert!(page.starts_with(&title));
    let versions = format!("| {} to {} |", layout::VERSION_OLDEST, layout::VERSION);
    assert!(page.contains(&versions), "{versions}");
    let of_page: Vec<(String, bool)> = table_below("Section table")
        .iter()
        .map(|row| (row[0].clone(), row[1] == "yes"))
        .collect();
    let of_code: Vec<(String, bool)> = Section::ALL
        .iter()
        .map(|&section| {
            let tag = String::from_utf8(section.tag().to_vec()).unwrap();
            (tag, section.required())
        })
        .collect();
    assert_eq!(of_page, of_code);
}

#[test]
fn the_page_of_the_format_has_every_field_where_it_is() {
    let header = [
        (layout::MAGIC_AT.start, "magic"),
        (layout::VERSION_AT.start, "version"),
        (layout::SECTIONS_AT.start, "sections"),
        (layout::LENGTH_AT.start, "length"),
        (layout::ARENA_AT.start, "arena_bytes"),
        (layout::FRAME_AT.start, "frame_values"),
        (layout::CRC_AT.start, "crc"),
    ];
    page_agrees(&table_below("Header"), &header, layout::HEADER_LEN);
    let meta = fields!(MetaRecord:
        hidden classes map_values input_type gate pool element_shift element_scale_table input_zero
        score_shift input_lsb input_offset vectors_per_step golden_seed golden_steps golden_crc);
    page_agrees(&table_below("META"), &meta, size_of::<MetaRecord>());
    let format = fields!(FormatRecord:
        element_offset_table element_shift_table element_scale cell_fraction);
    page_agrees(&table_below("FRMT"), &format, size_of::<FormatRecord>());
    let host = fields!(HostRecord: offset lsb);
    page_agrees(&table_below("HOST"), &host, size_of::<HostRecord>());
    let outputs = fields!(OutputsRecord: kind every_step horizon_shift next_frame);
    page_agrees(&table_below("OUTP"), &outputs, size_of::<OutputsRecord>());
    let words = fields!(WordsRecord: shift longest);
    page_agrees(&table_below("WORD"), &words, size_of::<WordsRecord>());
    let draw = fields!(DrawRecord: steps rows sum_shift);
    page_agrees(&table_below("DRAW"), &draw, size_of::<DrawRecord>());
    let window = fields!(WindowRecord: points patch_shift place_shift);
    page_agrees(&table_below("Window"), &window, size_of::<WindowRecord>());
    let units = fields!(ValueRecord: offset lsb);
    page_agrees(
        &table_below("Units of a value"),
        &units,
        size_of::<ValueRecord>(),
    );
    let dense = fields!(DenseRecord:
        rows values slice_values slice_word acc_word weights_word scales_word slice_shift form);
    let rows = table_below("Dense: one record");
    page_agrees(&rows, &dense, size_of::<DenseRecord>());
    let program = fields!(ProgramRecord:
        values slab_values slab_word gather_table row_values stages extents digits);
    let rows = table_below("Program: one record, then its stages");
    page_agrees(&rows, &program, size_of::<ProgramRecord>());
    let stage = fields!(StageRecord:
        weights_word input_word acc_word out_word out_stride row_stride rows_table cols_table m_tiles
        n_tiles k_pairs slices depth out_digit store shift bits slice_shift col_stride);
    let rows = table_below("Stages");
    page_agrees(&rows, &stage, size_of::<StageRecord>());
    let stores: Vec<String> = table_below("Stores")
        .iter()
        .map(|row| row[0].clone())
        .collect();
    let of_code = Store::ALL.iter().map(|store| store.number().to_string());
    assert_eq!(stores, of_code.collect::<Vec<_>>());
}
