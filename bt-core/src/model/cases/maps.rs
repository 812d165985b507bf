//! Maps that would leave their place or their 32 bits.

use alloc::vec;
use alloc::vec::Vec;

use super::models::{ACC, SCRATCH, byte_rows, odd_dense, program};
use super::{Crafted, changed, in_field};
use crate::model::error::{Field, ParseError};
use crate::model::layout::{DenseRecord, Section};
use crate::model::write::MapContents;
use crate::program::{NONE, ProgramRecord, StageRecord, Store};

/// [`program`] with its record and stages changed.
fn with_program(
    name: &'static str,
    refused: ParseError,
    change: impl FnOnce(&mut ProgramRecord, &mut [StageRecord; 2]),
) -> Option<Crafted> {
    let mut contents = program();
    if let MapContents::Program { record, stages } = &mut contents.layers[0].input {
        change(record, stages.first_chunk_mut()?);
    }
    changed(name, &contents, refused)
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
    let mut contents = odd_dense();
    if let MapContents::Dense(record) = &mut contents.layers[0].input {
        change(record);
    }
    changed(name, &contents, in_field(Section::Input, field, found))
}

/// [`byte_rows`] with its record and its weights changed.
fn with_byte_rows(
    name: &'static str,
    field: Field,
    found: u32,
    change: impl FnOnce(&mut DenseRecord, &mut [u32]),
) -> Option<Crafted> {
    let mut contents = byte_rows();
    if let MapContents::Dense(record) = &mut contents.layers[0].input {
        let first = record.weights_word as usize;
        change(record, contents.weights.get_mut(first..)?);
    }
    changed(name, &contents, in_field(Section::Input, field, found))
}

/// Stores the first stage's tile whole, as rows of z.
pub(super) fn rows(stage: &mut StageRecord) {
    (stage.store, stage.rows_table, stage.cols_table) = (Store::AddRows as u8, 8, 8);
    (stage.row_stride, stage.col_stride) = (2, 1);
}

/// Regions that lie over each other.
pub(super) fn regions() -> Vec<Option<Crafted>> {
    let not_own = ParseError::Stage {
        section: Section::Input,
        stage: 0,
        field: Field::AccWord,
    };
    vec![
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
    ]
}

/// Sizes that wrap at 32 bits.
pub(super) fn sizes() -> Vec<Option<Crafted>> {
    let slabs = |found| in_field(Section::Input, Field::SlabValues, found);
    vec![
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
            "a slice at the last word",
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
    ]
}

/// Sums shifted by what cannot be, rows of bytes that are none, a weight that meets no value, more stages than there
/// may be.
pub(super) fn others() -> Vec<Option<Crafted>> {
    vec![
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
        {
            let mut contents = program();
            if let MapContents::Program { stages, .. } = &mut contents.layers[0].input {
                let many = stages.iter().copied().cycle().take(257);
                *stages = many.collect();
            }
            changed(
                "257 stages",
                &contents,
                in_field(Section::Input, Field::Stages, 257),
            )
        },
    ]
}
