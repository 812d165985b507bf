//! Files that a device must refuse though their CRC is right (feature `alloc`): each is a sound model
//! with fields changed, made anew here, so that it is refused for its fault and not for its version.
//!
//! Most of them pass where sizes wrap at 32 bits, and then touch what lies beside the arena. Host and
//! boards run the same list.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytemuck::Zeroable;

use super::error::{Field, ParseError};
use super::layout::{CELL_FRACTION, DenseRecord, DrawRecord, FilterRecord, Section, WordsRecord};
use super::write::{
    Contents, Elements, LayerContents, MapContents, ModelBytes, Outputs, WordsContents,
};
use super::{FloatInput, FloatOutput, InputType, NextFrame, OutputKind, Pool};
use crate::cell::{Cell, Gate};
use crate::kernel::{ByteRows, RowsForm};
use crate::program::{DISCARD, NONE, ProgramRecord, StageRecord, Store};

/// A file that is refused.
#[derive(Debug)]
pub struct Crafted {
    /// What is wrong with it.
    pub name: &'static str,
    /// The file.
    pub bytes: ModelBytes,
    /// What `parse` says.
    pub refused: ParseError,
}

const HIDDEN: usize = 2;
/// First word of the scratch: after z, h and c.
const SCRATCH: u32 = 7;
/// Accumulators of the first and second stage, behind the slab.
const ACC: [u32; 2] = [SCRATCH + 4, SCRATCH + 12];

/// A dense map of zeros.
fn dense(values: u32) -> DenseRecord {
    DenseRecord {
        rows: 4 * HIDDEN as u32,
        values,
        slice_values: values,
        slice_word: SCRATCH,
        acc_word: 0,
        weights_word: 0,
        scales_word: 0,
        slice_shift: 0,
        form: 0,
    }
}

/// Values of these offsets and LSBs.
fn values(units: &[(f32, f32)]) -> Outputs {
    let units = units.iter();
    Outputs {
        kind: OutputKind::Values,
        values: units
            .map(|&(offset, lsb)| FloatOutput { offset, lsb })
            .collect(),
        ..Outputs::default()
    }
}

/// Bits that are the next frame.
fn drawn(every_step: bool) -> Outputs {
    Outputs {
        kind: OutputKind::Bits,
        every_step,
        next_frame: NextFrame::Drawn,
        ..Outputs::default()
    }
}

/// [`program`] as a model that paints pictures of so many steps and rows, as `draw` says.
fn painted(draw: Option<DrawRecord>) -> Contents {
    let mut parts = program();
    // The sums of h stand before the scratch, a word.
    if let MapContents::Program { record, stages } = &mut parts.layers[0].input {
        record.slab_word += 1;
        for stage in stages {
            stage.input_word += 1;
            stage.acc_word += 1;
        }
    }
    Contents {
        pool: Pool::Sum,
        outputs: Outputs {
            kind: OutputKind::Bits,
            every_step: true,
            next_frame: NextFrame::Latent,
            draw,
            ..Outputs::default()
        },
        ..parts
    }
}

/// One pixel in two steps.
const DRAW: DrawRecord = DrawRecord {
    steps: 2,
    rows: 1,
    sum_shift: 1,
};

/// A model that paints.
pub fn painting() -> Contents {
    painted(Some(DRAW))
}

/// Four bytes a frame, in slabs of two; two stages accumulate over the slabs, each into a value of z.
pub fn program() -> Contents {
    let stage = |weights_word, acc_word| StageRecord {
        weights_word,
        input_word: SCRATCH,
        acc_word,
        m_tiles: 1,
        n_tiles: 1,
        k_pairs: 1,
        slices: 2,
        depth: 1,
        out_digit: u8::MAX,
        store: Store::AddScatter as u8,
        shift: 16,
        bits: 16,
        ..StageRecord::zeroed()
    };
    let mut tables = vec![DISCARD; 8];
    tables[0] = 0;
    // Offsets of a tile that is stored whole.
    tables.push(0);
    Contents {
        name: "crafted".into(),
        labels: vec![],
        about: String::new(),
        hidden: HIDDEN,
        map_values: 4,
        input_type: InputType::I16,
        gate: Gate::Sigmoid,
        pool: Pool::Last,
        elements: Elements::default(),
        score_shift: 0,
        outputs: Outputs::default(),
        float_inputs: vec![FloatInput::INTEGER],
        cell: Cell::Lstm,
        layers: vec![LayerContents {
            input: MapContents::Program {
                record: ProgramRecord {
                    values: 4,
                    slab_values: 2,
                    slab_word: SCRATCH,
                    gather_table: NONE,
                    row_values: 2,
                    stages: 2,
                    extents: [2, 0, 0, 0, 0, 0, 0],
                    digits: 1,
                },
                stages: vec![stage(16, ACC[0]), stage(20, ACC[1])],
            },
            recurrent: Some(MapContents::Dense(dense(HIDDEN as u32))),
            bias: vec![0; 4 * HIDDEN],
            recurrent_bias: vec![],
            cell_fraction: CELL_FRACTION,
        }],
        filter: None,
        words: None,
        front_end: None,
        // Zeros for dense maps of up to four values and their scales, then 127 for every weight of the stages.
        weights: [0; 16].into_iter().chain([0x007F_007F; 8]).collect(),
        tables,
        head_weights: vec![0; HIDDEN],
        head_bias: vec![0],
        scratch_words: 20,
        golden_seed: 1,
        golden_steps: 1,
    }
}

/// Three values a frame into a dense map.
pub fn odd_dense() -> Contents {
    let mut parts = program();
    parts.map_values = 3;
    parts.layers[0].input = MapContents::Dense(dense(3));
    parts
}

/// Eighteen values a frame into a dense map of rows of bytes, two values in their first blocks.
pub fn byte_rows() -> Contents {
    const VALUES: usize = 18;
    let mut parts = program();
    let first = parts.weights.len();
    let rows = 4 * HIDDEN;
    let words =
        rows / ByteRows::ROWS * ByteRows::blocks(VALUES.div_ceil(2)) * ByteRows::BLOCK_WORDS;
    // Weights, scales and sums of zero.
    parts.weights.extend((0..words + 2 * rows).map(|_| 0));
    parts.map_values = VALUES;
    parts.layers[0].input = MapContents::Dense(DenseRecord {
        weights_word: first as u32,
        scales_word: (first + words) as u32,
        form: RowsForm::Bytes.number(),
        ..dense(VALUES as u32)
    });
    parts
}

/// [`byte_rows`] with its record and its weights changed.
fn with_byte_rows(
    name: &'static str,
    field: Field,
    found: u32,
    change: impl FnOnce(&mut DenseRecord, &mut [u32]),
) -> Option<Crafted> {
    let mut parts = byte_rows();
    if let MapContents::Dense(record) = &mut parts.layers[0].input {
        let first = record.weights_word as usize;
        change(record, parts.weights.get_mut(first..)?);
    }
    changed(name, &parts, in_field(Section::Input, field, found))
}

/// [`odd_dense`] that tells captions of two words and the end.
pub fn captions() -> Contents {
    const WORDS: usize = 4;
    let mut parts = odd_dense();
    parts.layers[0].input = MapContents::Dense(DenseRecord {
        // Behind the picture's share.
        slice_word: SCRATCH + 4,
        ..dense(3)
    });
    parts.words = Some(WordsContents {
        record: WordsRecord {
            shift: 8,
            longest: 3,
        },
        scales: vec![u16::MAX; WORDS],
        table: vec![-7; WORDS * 4 * HIDDEN],
    });
    parts.outputs.every_step = true;
    parts.head_weights = vec![0; WORDS * HIDDEN];
    parts.head_bias = vec![0; WORDS];
    parts
}

/// [`captions`] that are changed.
fn with_words(
    name: &'static str,
    refused: ParseError,
    change: impl FnOnce(&mut Contents, &mut WordsContents),
) -> Option<Crafted> {
    let mut parts = captions();
    let mut words = parts.words.take()?;
    change(&mut parts, &mut words);
    parts.words = Some(words);
    changed(name, &parts, refused)
}

/// Writes parts that are changed, whatever `parse` thinks of them.
fn changed(name: &'static str, parts: &Contents, refused: ParseError) -> Option<Crafted> {
    Some(Crafted {
        name,
        bytes: parts.assemble(0).ok()?,
        refused,
    })
}

/// [`program`] with its record and stages changed.
fn with_program(
    name: &'static str,
    refused: ParseError,
    change: impl FnOnce(&mut ProgramRecord, &mut [StageRecord; 2]),
) -> Option<Crafted> {
    let mut parts = program();
    if let MapContents::Program { record, stages } = &mut parts.layers[0].input {
        change(record, stages.first_chunk_mut()?);
    }
    changed(name, &parts, refused)
}

/// As [`with_program`], its first stage alone, which is refused for this field.
fn with_stage(
    name: &'static str,
    field: Field,
    change: impl FnOnce(&mut StageRecord),
) -> Option<Crafted> {
    let refused = ParseError::Stage {
        section: Section::Input,
        stage: 0,
        field,
    };
    with_program(name, refused, |_, [first, _]| change(first))
}

/// [`odd_dense`] with its record changed.
fn with_dense(
    name: &'static str,
    field: Field,
    found: u32,
    change: impl FnOnce(&mut DenseRecord),
) -> Option<Crafted> {
    let mut parts = odd_dense();
    if let MapContents::Dense(record) = &mut parts.layers[0].input {
        change(record);
    }
    changed(name, &parts, in_field(Section::Input, field, found))
}

/// [`program`] with its layers changed.
fn with_layers(
    name: &'static str,
    refused: ParseError,
    change: impl FnOnce(&mut Contents),
) -> Option<Crafted> {
    let mut parts = program();
    change(&mut parts);
    changed(name, &parts, refused)
}

/// A filter of this horizon and fraction, and so many zeros for z to start from.
fn filter((horizon_shift, fraction): (u32, u32), values: usize) -> (FilterRecord, Vec<i16>) {
    let record = FilterRecord {
        horizon_shift,
        fraction,
    };
    (record, vec![0; values])
}

fn in_field(section: Section, field: Field, found: u32) -> ParseError {
    ParseError::Field {
        section,
        field,
        found,
    }
}

/// Stores the first stage's tile whole, as rows of z.
fn rows(stage: &mut StageRecord) {
    (stage.store, stage.rows_table, stage.cols_table) = (Store::AddRows as u8, 8, 8);
    (stage.row_stride, stage.col_stride) = (2, 1);
}

/// All of them; each is there.
pub fn crafted() -> Vec<Crafted> {
    let not_own = ParseError::Stage {
        section: Section::Input,
        stage: 0,
        field: Field::AccWord,
    };
    let slabs = |found| in_field(Section::Input, Field::SlabValues, found);
    let all = [
        // Regions that lie over each other.
        with_program("accumulators of two stages", not_own, |_, stages| {
            stages[1].acc_word = stages[0].acc_word;
        }),
        with_program(
            "accumulators that overlap by a word",
            not_own,
            |_, stages| {
                stages[1].acc_word = ACC[0] + 7;
            },
        ),
        with_program("a store over accumulators", not_own, |_, [_, second]| {
            (second.acc_word, second.slices) = (NONE, 1);
            (second.store, second.rows_table, second.col_stride) = (Store::Pairs as u8, 8, 1);
            second.out_word = ACC[0];
        }),
        with_program("a slab gathered over accumulators", not_own, |record, _| {
            record.slab_word = ACC[0];
        }),
        with_program("accumulators read as a panel", not_own, |_, stages| {
            stages[1].input_word = ACC[0] + 4;
        }),
        with_stage(
            "accumulators over the stage's own panel",
            Field::AccWord,
            |stage| {
                stage.acc_word = SCRATCH;
            },
        ),
        with_stage(
            "accumulators that are never read",
            Field::AccWord,
            |stage| stage.slices = 1,
        ),
        // Sizes that wrap at 32 bits.
        with_stage(
            "sums of slices shifted by one",
            Field::SliceShift,
            |stage| {
                stage.slice_shift = 1;
            },
        ),
        with_stage("sums of slices shifted by 17", Field::SliceShift, |stage| {
            stage.slice_shift = 17;
        }),
        with_stage(
            "shifted sums that nothing is kept of",
            Field::SliceShift,
            |stage| (stage.slices, stage.acc_word, stage.slice_shift) = (1, NONE, 4),
        ),
        with_stage("a row stride that wraps", Field::RowStride, |stage| {
            rows(stage);
            stage.row_stride = u32::MAX - 1;
        }),
        with_stage("a row stride beyond z", Field::RowStride, |stage| {
            rows(stage);
            stage.row_stride = 4;
        }),
        with_stage(
            "a stride of the destination that wraps",
            Field::OutStride,
            |stage| {
                rows(stage);
                (stage.out_digit, stage.out_stride) = (0, u32::MAX - 3);
            },
        ),
        with_stage("a scatter table of 2^32 entries", Field::Table, |stage| {
            (stage.m_tiles, stage.n_tiles) = (1 << 15, 1 << 14);
        }),
        with_stage("columns that reach 2^32", Field::OutWord, |stage| {
            rows(stage);
            (stage.n_tiles, stage.col_stride) = (u16::MAX, u16::MAX);
        }),
        with_stage("panels of 2^32 words", Field::InputWord, |stage| {
            rows(stage);
            stage.k_pairs = u16::MAX;
        }),
        with_stage("a destination at the last word", Field::OutWord, |stage| {
            stage.out_word = u32::MAX
        }),
        with_stage("panels at the last word", Field::InputWord, |stage| {
            stage.input_word = u32::MAX - 3
        }),
        with_stage("accumulators at the last word", Field::AccWord, |stage| {
            stage.acc_word = u32::MAX - 7;
        }),
        with_stage("weights at the last word", Field::WeightsWord, |stage| {
            stage.weights_word = u32::MAX - 3;
        }),
        with_program("2^32 slabs", slabs(4), |record, _| {
            record.slab_values = 4;
            (record.extents, record.digits) = ([1 << 15, 1 << 15, 4, 1, 1, 1, 1], 7);
        }),
        with_program("2^112 slabs", slabs(2), |record, _| {
            (record.extents, record.digits) = ([u16::MAX; 7], 7);
        }),
        with_program(
            "a slab at the last word",
            in_field(Section::Input, Field::SlabWord, u32::MAX - 3),
            |record, _| record.slab_word = u32::MAX - 3,
        ),
        with_dense(
            "a part at the last word",
            Field::SliceWord,
            u32::MAX - 1,
            |record| {
                record.slice_word = u32::MAX - 1;
            },
        ),
        with_dense(
            "dense weights at the last word",
            Field::WeightsWord,
            u32::MAX - 7,
            |record| {
                record.weights_word = u32::MAX - 7;
            },
        ),
        with_dense(
            "scales at the last word",
            Field::ScalesWord,
            u32::MAX - 7,
            |record| {
                record.scales_word = u32::MAX - 7;
            },
        ),
        with_dense("rows of a form unheard of", Field::Form, 2, |record| {
            record.form = 2;
        }),
        with_dense("rows of three bytes", Field::Form, 1, |record| {
            record.form = 1;
        }),
        with_byte_rows(
            "two slices of rows of bytes",
            Field::Form,
            1,
            |record, _| {
                // Their sums lie behind the slice.
                (record.slice_values, record.acc_word) = (2, SCRATCH + 1);
            },
        ),
        with_byte_rows(
            "a weight behind those of a first block",
            Field::Padding,
            0x80,
            |_, weights| weights[0] = 0x0080_0000,
        ),
        with_byte_rows(
            "rows of bytes whose sums are others'",
            Field::RowSums,
            0,
            |_, weights| weights[0] = 0x0000_0100,
        ),
        with_byte_rows(
            "rows of bytes whose sums are not there",
            Field::ScalesWord,
            24 + 64 + 1,
            |record, _| record.scales_word += 1,
        ),
        // A weight for what no value is put in: the high half of the last word of 127s.
        with_dense(
            "a weight beside the last value",
            Field::Padding,
            0x007F_007F,
            |record| {
                record.weights_word = 1 + 8;
            },
        ),
        changed(
            "an arena of 2^32 words",
            &Contents {
                scratch_words: (1 << 30) - 7,
                ..program()
            },
            in_field(Section::Meta, Field::ArenaBytes, u32::MAX),
        ),
        // Filters that are none.
        with_layers(
            "a mean of 2^16 steps",
            in_field(Section::Filter, Field::FilterShift, 16),
            |parts| parts.filter = Some(filter((16, 11), 8)),
        ),
        with_layers(
            "finer than words",
            in_field(Section::Filter, Field::FilterFraction, 25),
            |parts| parts.filter = Some(filter((0, 25), 8)),
        ),
        with_layers(
            "half of what z starts from",
            ParseError::SectionBounds(Section::Filter),
            |parts| parts.filter = Some(filter((0, 11), 4)),
        ),
        with_layers(
            "a slab where a filter keeps its means",
            in_field(Section::Input, Field::SlabWord, SCRATCH),
            |parts| parts.filter = Some(filter((1, 11), 8)),
        ),
        // Words that are none.
        with_words(
            "words shifted by 25",
            in_field(Section::Words, Field::Shift, 25),
            |_, words| words.record.shift = 25,
        ),
        with_words(
            "captions of no word",
            in_field(Section::Words, Field::Longest, 0),
            |_, words| words.record.longest = 0,
        ),
        with_words(
            "captions without end",
            in_field(Section::Words, Field::Longest, u32::MAX),
            |_, words| words.record.longest = u32::MAX,
        ),
        with_words(
            "a word too few",
            ParseError::SectionBounds(Section::Words),
            |_, words| words.table.truncate(3 * 4 * HIDDEN),
        ),
        with_words(
            "scales of half the words",
            ParseError::SectionBounds(Section::Words),
            |_, words| words.scales.truncate(2),
        ),
        with_words(
            "words of a sequence",
            in_field(Section::Outputs, Field::EveryStep, 0),
            |parts, _| parts.outputs.every_step = false,
        ),
        with_words(
            "words that are bits",
            in_field(Section::Outputs, Field::OutputKind, 2),
            |parts, _| parts.outputs.kind = OutputKind::Bits,
        ),
        with_words(
            "words of recent states",
            in_field(Section::Meta, Field::Pool, 2),
            |parts, _| (parts.pool, parts.outputs.horizon_shift) = (Pool::Recent, 2),
        ),
        with_words(
            "an end and no word",
            in_field(Section::Meta, Field::Classes, 2),
            |parts, words| {
                parts.head_weights.truncate(2 * HIDDEN);
                parts.head_bias.truncate(2);
                words.scales.truncate(2);
                words.table.truncate(2 * 4 * HIDDEN);
            },
        ),
        with_words(
            "pictures that are filtered",
            ParseError::StraySection(Section::Filter),
            |parts, _| parts.filter = Some(filter((0, 11), 8)),
        ),
        with_words(
            "a slab over the picture's share",
            in_field(Section::Input, Field::SliceWord, SCRATCH + 3),
            |parts, _| {
                parts.layers[0].input = MapContents::Dense(DenseRecord {
                    slice_word: SCRATCH + 3,
                    ..dense(3)
                });
            },
        ),
        // Scores that are none.
        changed(
            "a mean of recent steps, but of how many",
            &Contents {
                pool: Pool::Recent,
                ..program()
            },
            in_field(Section::Outputs, Field::HorizonShift, 0),
        ),
        changed(
            "sums beyond 32 bits",
            &Contents {
                pool: Pool::Recent,
                outputs: Outputs {
                    horizon_shift: 16,
                    ..Outputs::default()
                },
                ..program()
            },
            in_field(Section::Outputs, Field::HorizonShift, 16),
        ),
        changed(
            "recent steps without a mean",
            &Contents {
                outputs: Outputs {
                    horizon_shift: 3,
                    ..Outputs::default()
                },
                ..program()
            },
            in_field(Section::Outputs, Field::HorizonShift, 3),
        ),
        changed(
            "the mean of everything after every step",
            &Contents {
                pool: Pool::Mean,
                outputs: Outputs {
                    every_step: true,
                    ..Outputs::default()
                },
                ..program()
            },
            in_field(Section::Meta, Field::Pool, 1),
        ),
        changed(
            "a value without units",
            &Contents {
                outputs: values(&[(0.0, 1.0); 2]),
                ..program()
            },
            ParseError::SectionBounds(Section::Outputs),
        ),
        changed(
            "bits with units",
            &Contents {
                outputs: Outputs {
                    kind: OutputKind::Bits,
                    ..values(&[(0.0, 1.0)])
                },
                ..program()
            },
            ParseError::SectionBounds(Section::Outputs),
        ),
        changed(
            "frames of 16 bits drawn bit by bit",
            &Contents {
                outputs: drawn(true),
                ..program()
            },
            in_field(Section::Outputs, Field::NextFrame, 1),
        ),
        changed(
            "the bits of a sequence as the next frame",
            &Contents {
                outputs: drawn(false),
                input_type: InputType::U8,
                ..program()
            },
            in_field(Section::Outputs, Field::NextFrame, 1),
        ),
        changed(
            "a picture without a word of how",
            &painted(None),
            ParseError::MissingSection(Section::Draw),
        ),
        changed(
            "classes, and how a picture is painted",
            &Contents {
                outputs: Outputs {
                    draw: Some(DRAW),
                    ..Outputs::default()
                },
                ..program()
            },
            ParseError::StraySection(Section::Draw),
        ),
        changed(
            "a picture of the last h",
            &Contents {
                pool: Pool::Last,
                ..painting()
            },
            in_field(Section::Meta, Field::Pool, 0),
        ),
        changed(
            "latent values of bytes",
            &Contents {
                input_type: InputType::U8,
                ..painting()
            },
            in_field(Section::Outputs, Field::NextFrame, 2),
        ),
        changed(
            "a picture of no steps",
            &painted(Some(DrawRecord { steps: 0, ..DRAW })),
            in_field(Section::Draw, Field::DrawSteps, 0),
        ),
        changed(
            "a picture of more steps than a shift holds",
            &painted(Some(DrawRecord {
                steps: 1025,
                sum_shift: 11,
                ..DRAW
            })),
            in_field(Section::Draw, Field::DrawSteps, 1025),
        ),
        changed(
            "sums of more steps than an i16 holds",
            &painted(Some(DrawRecord { steps: 3, ..DRAW })),
            in_field(Section::Draw, Field::SumShift, 1),
        ),
        changed(
            "a shift that leaves nothing of h",
            &painted(Some(DrawRecord {
                sum_shift: 32,
                ..DRAW
            })),
            in_field(Section::Draw, Field::SumShift, 32),
        ),
        changed(
            "a pixel in two rows",
            &painted(Some(DrawRecord { rows: 2, ..DRAW })),
            in_field(Section::Draw, Field::PictureRows, 2),
        ),
        changed(
            "a picture in no rows",
            &painted(Some(DrawRecord { rows: 0, ..DRAW })),
            in_field(Section::Draw, Field::PictureRows, 0),
        ),
        changed(
            "a golden picture with a step too many",
            &Contents {
                golden_steps: 3,
                ..painting()
            },
            in_field(Section::Meta, Field::GoldenSteps, 3),
        ),
        changed(
            "a bias that two steps add up to 2^31",
            &Contents {
                head_bias: vec![1 << 30],
                ..painting()
            },
            ParseError::Overflow {
                section: Section::Head,
                index: 0,
            },
        ),
        changed(
            "a value at nowhere",
            &Contents {
                outputs: values(&[(f32::INFINITY, 1.0)]),
                ..program()
            },
            in_field(
                Section::Outputs,
                Field::ValueOffset,
                f32::INFINITY.to_bits(),
            ),
        ),
        changed(
            "a value of no size",
            &Contents {
                outputs: values(&[(0.0, -0.0)]),
                ..program()
            },
            in_field(Section::Outputs, Field::ValueLsb, (-0.0f32).to_bits()),
        ),
        // Work without end.
        {
            let mut parts = program();
            parts.map_values = 1 << 24;
            if let MapContents::Program { record, stages } = &mut parts.layers[0].input {
                (record.values, record.slab_values, record.row_values) = (1 << 24, 1, 1);
                (record.extents, record.digits) = ([256, 256, 256, 0, 0, 0, 0], 3);
                for stage in stages {
                    (stage.depth, stage.slices, stage.acc_word) = (3, 1, NONE);
                }
            }
            // For each value two stages of 16 products and a visit; 16 products of the recurrent map.
            changed(
                "a frame of hours",
                &parts,
                in_field(Section::Meta, Field::Work, (34 << 24) + 16),
            )
        },
        {
            let mut parts = program();
            parts.golden_steps = 64;
            parts.map_values = 1 << 22;
            if let MapContents::Program { record, stages } = &mut parts.layers[0].input {
                (record.values, record.slab_values, record.row_values) = (1 << 22, 1, 1);
                (record.extents, record.digits) = ([256, 256, 64, 0, 0, 0, 0], 3);
                for stage in stages {
                    (stage.depth, stage.slices, stage.acc_word) = (0, 1, NONE);
                }
            }
            changed(
                "a self test of hours",
                &parts,
                in_field(Section::Meta, Field::GoldenSteps, 64),
            )
        },
        // Layers and cells that contradict the maps.
        with_layers(
            "a recurrent map of a minGRU",
            ParseError::StraySection(Section::Recurrent),
            |parts| parts.cell = Cell::MinGru,
        ),
        with_layers(
            "a GRU without a recurrent map",
            ParseError::MissingSection(Section::Recurrent),
            |parts| (parts.cell, parts.layers[0].recurrent) = (Cell::Gru, None),
        ),
        with_layers(
            "a second layer without a recurrent map",
            ParseError::MissingSection(Section::Recurrent1),
            |parts| {
                parts.layers.push(parts.layers[0].clone());
                parts.layers[1].recurrent = None;
            },
        ),
        with_layers(
            "five layers",
            in_field(Section::Cell, Field::Layers, 5),
            |parts| parts.layers = vec![parts.layers[0].clone(); 5],
        ),
        with_layers(
            "a GRU's state in fewer bits",
            in_field(Section::Format, Field::CellFraction, 20),
            |parts| (parts.cell, parts.layers[0].cell_fraction) = (Cell::Gru, 20),
        ),
        with_layers(
            "a second layer's cell in more bits",
            in_field(Section::Cell, Field::CellFraction, 25),
            |parts| {
                parts.layers.push(parts.layers[0].clone());
                parts.layers[1].cell_fraction = 25;
            },
        ),
        with_layers(
            "a second layer whose map reads the frame",
            in_field(Section::Input1, Field::Values, 4),
            |parts| {
                parts.layers[0].input = MapContents::Dense(DenseRecord {
                    slice_word: 16,
                    ..dense(4)
                });
                parts.layers.push(parts.layers[0].clone());
            },
        ),
        with_layers(
            "a GRU's recurrent map of four gates",
            in_field(Section::Recurrent, Field::Rows, 8),
            |parts| {
                parts.cell = Cell::Gru;
                parts.layers[0].input = MapContents::Dense(DenseRecord {
                    rows: 6,
                    ..dense(4)
                });
                parts.scratch_words = 32;
            },
        ),
        with_layers(
            "a bias too few",
            ParseError::SectionBounds(Section::Bias),
            |parts| {
                parts.layers[0].bias.truncate(6);
            },
        ),
        {
            let mut parts = program();
            if let MapContents::Program { stages, .. } = &mut parts.layers[0].input {
                let many = stages.iter().copied().cycle().take(257);
                *stages = many.collect();
            }
            changed(
                "257 stages",
                &parts,
                in_field(Section::Input, Field::Stages, 257),
            )
        },
    ];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::super::Model;
    use super::*;

    #[test]
    fn what_they_are_made_of_is_sound() {
        let work = |parts: Contents| {
            let bytes = parts.write().unwrap();
            Model::parse(bytes.bytes()).unwrap().frame_work()
        };
        // Two slabs of two stages: 16 products and a visit each; then 8 rows of the recurrent map's two values.
        assert_eq!(work(program()), 2 * 2 * (16 + 1) + 16);
        // The padding of three values counts.
        assert_eq!(work(odd_dense()), 8 * 4 + 16);
        assert_eq!(work(captions()), 8 * 4 + 16);
        assert_eq!(work(painting()), work(program()));
        let mut parts = program();
        if let MapContents::Program { stages, .. } = &mut parts.layers[0].input {
            rows(&mut stages[0]);
        }
        assert!(parts.write().is_ok());
    }

    /// On 32 bits as on 64: `cargo xtask test 32-bit` runs it there.
    #[test]
    fn each_is_refused_by_name() {
        let crafted = crafted();
        assert_eq!(crafted.len(), 83);
        for file in crafted {
            let parsed = Model::parse(file.bytes.bytes()).map(|_| ());
            assert_eq!(parsed, Err(file.refused), "{}", file.name);
        }
    }
}
