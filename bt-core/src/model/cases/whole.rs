//! Filters that are none, layers and cells that contradict the maps, an arena and work without end.

use alloc::vec;
use alloc::vec::Vec;

use super::models::{SCRATCH, dense, program};
use super::{Crafted, changed, filter, in_field};
use crate::cell::Cell;
use crate::model::error::{Field, ParseError};
use crate::model::layout::{DenseRecord, Section};
use crate::model::write::{Contents, MapContents};
use crate::program::NONE;

/// [`program`] with its layers changed.
fn with_layers(
    name: &'static str,
    refused: ParseError,
    change: impl FnOnce(&mut Contents),
) -> Option<Crafted> {
    let mut contents = program();
    change(&mut contents);
    changed(name, &contents, refused)
}

/// Filters that are none.
pub(super) fn filters() -> Vec<Option<Crafted>> {
    vec![
        with_layers(
            "a mean of 2^16 steps",
            in_field(Section::Filter, Field::FilterShift, 16),
            |contents| contents.filter = Some(filter((16, 11), 8)),
        ),
        with_layers(
            "finer than words",
            in_field(Section::Filter, Field::FilterFraction, 25),
            |contents| contents.filter = Some(filter((0, 25), 8)),
        ),
        with_layers(
            "half of what z starts from",
            ParseError::SectionBounds(Section::Filter),
            |contents| contents.filter = Some(filter((0, 11), 4)),
        ),
        with_layers(
            "a slab where a filter keeps its means",
            in_field(Section::Input, Field::SlabWord, SCRATCH),
            |contents| contents.filter = Some(filter((1, 11), 8)),
        ),
    ]
}

/// Layers and cells that contradict the maps.
pub(super) fn layers() -> Vec<Option<Crafted>> {
    vec![
        with_layers(
            "a recurrent map of a minGRU",
            ParseError::StraySection(Section::Recurrent),
            |contents| contents.cell = Cell::MinGru,
        ),
        with_layers(
            "a GRU without a recurrent map",
            ParseError::MissingSection(Section::Recurrent),
            |contents| (contents.cell, contents.layers[0].recurrent) = (Cell::Gru, None),
        ),
        with_layers(
            "a second layer without a recurrent map",
            ParseError::MissingSection(Section::Recurrent1),
            |contents| {
                contents.layers.push(contents.layers[0].clone());
                contents.layers[1].recurrent = None;
            },
        ),
        with_layers(
            "five layers",
            in_field(Section::Cell, Field::Layers, 5),
            |contents| contents.layers = vec![contents.layers[0].clone(); 5],
        ),
        with_layers(
            "a GRU's state in fewer bits",
            in_field(Section::Format, Field::CellFraction, 20),
            |contents| (contents.cell, contents.layers[0].cell_fraction) = (Cell::Gru, 20),
        ),
        with_layers(
            "a second layer's cell in more bits",
            in_field(Section::Cell, Field::CellFraction, 25),
            |contents| {
                contents.layers.push(contents.layers[0].clone());
                contents.layers[1].cell_fraction = 25;
            },
        ),
        with_layers(
            "a second layer whose map reads the frame",
            in_field(Section::Input1, Field::Values, 4),
            |contents| {
                contents.layers[0].input = MapContents::Dense(DenseRecord {
                    slice_word: 16,
                    ..dense(4)
                });
                contents.layers.push(contents.layers[0].clone());
            },
        ),
        with_layers(
            "a GRU's recurrent map of four gates",
            in_field(Section::Recurrent, Field::Rows, 8),
            |contents| {
                contents.cell = Cell::Gru;
                contents.layers[0].input = MapContents::Dense(DenseRecord {
                    rows: 6,
                    ..dense(4)
                });
                contents.scratch_words = 32;
            },
        ),
        with_layers(
            "a bias too few",
            ParseError::SectionBounds(Section::Bias),
            |contents| {
                contents.layers[0].bias.truncate(6);
            },
        ),
    ]
}

/// More memory and more work than there can be.
pub(super) fn work() -> Vec<Option<Crafted>> {
    vec![
        changed(
            "an arena of 2^32 words",
            &Contents {
                scratch_words: (1 << 30) - 7,
                ..program()
            },
            in_field(Section::Meta, Field::ArenaBytes, u32::MAX),
        ),
        {
            let mut contents = program();
            contents.map_values = 1 << 24;
            if let MapContents::Program { record, stages } = &mut contents.layers[0].input {
                (record.values, record.slab_values, record.row_values) = (1 << 24, 1, 1);
                (record.extents, record.digits) = ([256, 256, 256, 0, 0, 0, 0], 3);
                for stage in stages {
                    (stage.depth, stage.slices, stage.acc_word) = (3, 1, NONE);
                }
            }
            // For each value two stages of 16 products and a visit; 16 products of the recurrent map.
            changed(
                "a frame of hours",
                &contents,
                in_field(Section::Meta, Field::Work, (34 << 24) + 16),
            )
        },
        {
            let mut contents = program();
            contents.golden_steps = 64;
            contents.map_values = 1 << 22;
            if let MapContents::Program { record, stages } = &mut contents.layers[0].input {
                (record.values, record.slab_values, record.row_values) = (1 << 22, 1, 1);
                (record.extents, record.digits) = ([256, 256, 64, 0, 0, 0, 0], 3);
                for stage in stages {
                    (stage.depth, stage.slices, stage.acc_word) = (0, 1, NONE);
                }
            }
            changed(
                "a self test of hours",
                &contents,
                in_field(Section::Meta, Field::GoldenSteps, 64),
            )
        },
    ]
}
