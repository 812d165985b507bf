//! Scores that are none: what they are of, words of captions, pictures.

use alloc::vec;
use alloc::vec::Vec;

use super::models::{
    DRAW, HIDDEN, SCRATCH, WINDOW, attended, captions, dense, painted, painting, program,
};
use super::{Crafted, changed, filter, in_field};
use crate::model::error::{Field, ParseError};
use crate::model::layout::{DenseRecord, DrawRecord, Section, WindowRecord};
use crate::model::write::{Contents, MapContents, Outputs, WordsContents};
use crate::model::{FloatOutput, InputType, NextFrame, OutputKind, Pool};

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

/// [`captions`] that are changed.
fn with_words(
    name: &'static str,
    refused: ParseError,
    change: impl FnOnce(&mut Contents, &mut WordsContents),
) -> Option<Crafted> {
    let mut contents = captions();
    let mut words = contents.words.take()?;
    change(&mut contents, &mut words);
    contents.words = Some(words);
    changed(name, &contents, refused)
}

/// Scores of nothing that there is.
pub(super) fn scores() -> Vec<Option<Crafted>> {
    vec![
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
    ]
}

/// Pictures that cannot be painted.
pub(super) fn pictures() -> Vec<Option<Crafted>> {
    vec![
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
    ]
}

/// [`attended`] that is changed.
fn with_window(
    name: &'static str,
    refused: ParseError,
    change: impl FnOnce(&mut Contents, &mut WindowRecord, &mut usize),
) -> Option<Crafted> {
    let mut contents = attended();
    let (mut window, mut pixels) = contents.outputs.window?;
    change(&mut contents, &mut window, &mut pixels);
    if contents.outputs.window.is_some() {
        contents.outputs.window = Some((window, pixels));
    }
    changed(name, &contents, refused)
}

/// Windows through which nothing can be painted.
pub(super) fn windows() -> Vec<Option<Crafted>> {
    vec![
        with_window(
            "a canvas, but no window to it",
            ParseError::SectionBounds(Section::Draw),
            |contents, _, _| contents.outputs.window = None,
        ),
        changed(
            "a window on the sum of h",
            &Contents {
                outputs: Outputs {
                    window: Some((WINDOW, 1)),
                    ..painting().outputs
                },
                ..painting()
            },
            ParseError::SectionBounds(Section::Draw),
        ),
        changed(
            "a canvas of classes",
            &Contents {
                pool: Pool::Canvas,
                ..program()
            },
            in_field(Section::Meta, Field::Pool, 4),
        ),
        with_window(
            "a window of one point",
            in_field(Section::Draw, Field::WindowPoints, 1),
            |_, window, _| window.points = 1,
        ),
        with_window(
            "a window of more points than there are",
            in_field(Section::Draw, Field::WindowPoints, 1 << 16),
            |_, window, _| window.points = 1 << 16,
        ),
        with_window(
            "a canvas of h in parts",
            in_field(Section::Draw, Field::SumShift, 1),
            |contents, _, _| contents.outputs.draw = Some(DRAW),
        ),
        with_window(
            "rows longer than a window finds its way on",
            in_field(Section::Draw, Field::PictureRows, 1),
            |_, _, pixels| *pixels = 257,
        ),
        with_window(
            "more rows than a window finds its way on",
            in_field(Section::Draw, Field::PictureRows, 257),
            |contents, _, pixels| {
                contents.outputs.draw = Some(DrawRecord {
                    rows: 257,
                    sum_shift: 0,
                    ..DRAW
                });
                *pixels = 257;
            },
        ),
        with_window(
            "a window larger than the scratch",
            in_field(Section::Meta, Field::ArenaBytes, 4 * (SCRATCH + 16 + 20)),
            |_, _, pixels| *pixels = 16,
        ),
        with_window(
            "a patch that nothing places",
            ParseError::SectionBounds(Section::Head),
            |contents, _, _| {
                contents.head_weights.truncate(4 * HIDDEN);
                contents.head_bias.truncate(4);
            },
        ),
        with_window(
            "a place beyond 32 bits",
            ParseError::Overflow {
                section: Section::Head,
                index: 8,
            },
            |contents, _, _| {
                contents.head_weights[8 * HIDDEN] = i16::MIN;
                contents.head_bias[8] = i32::MAX - (1 << 30) + 1;
            },
        ),
    ]
}

/// Words that are none.
pub(super) fn words() -> Vec<Option<Crafted>> {
    vec![
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
            |contents, _| contents.outputs.every_step = false,
        ),
        with_words(
            "words that are bits",
            in_field(Section::Outputs, Field::OutputKind, 2),
            |contents, _| contents.outputs.kind = OutputKind::Bits,
        ),
        with_words(
            "words of recent states",
            in_field(Section::Meta, Field::Pool, 2),
            |contents, _| (contents.pool, contents.outputs.horizon_shift) = (Pool::Recent, 2),
        ),
        with_words(
            "an end and no word",
            in_field(Section::Meta, Field::Classes, 2),
            |contents, words| {
                contents.head_weights.truncate(2 * HIDDEN);
                contents.head_bias.truncate(2);
                words.scales.truncate(2);
                words.table.truncate(2 * 4 * HIDDEN);
            },
        ),
        with_words(
            "pictures that are filtered",
            ParseError::StraySection(Section::Filter),
            |contents, _| contents.filter = Some(filter((0, 11), 8)),
        ),
        with_words(
            "a slab over the picture's share",
            in_field(Section::Input, Field::SliceWord, SCRATCH + 3),
            |contents, _| {
                contents.layers[0].input = MapContents::Dense(DenseRecord {
                    slice_word: SCRATCH + 3,
                    ..dense(3)
                });
            },
        ),
    ]
}
