//! What a model tells: classes, values, bits, words or a picture, and the head that makes scores of h.

use bytemuck::{try_cast_slice, try_from_bytes};

use super::super::error::{Fault, Feature, Field, ParseError, check};
use super::super::layout::{
    CAPTION_WORDS_MAX, DRAW_STEPS_MAX, DrawRecord, HORIZON_SHIFT_MAX, MetaRecord, OutputsRecord,
    Section, VERSION_WINDOW, ValueRecord, WINDOW_POINTS_MAX, WINDOW_SIDE_MAX, WORDS_MIN,
    WORDS_SHIFT_MAX, WindowRecord, WordsRecord,
};
use super::super::sections::Sections;
use super::super::{InputType, NextFrame, OutputKind, Pool, bound};
use crate::window::Window;
use crate::words::Words;

/// What the scores are; the units of every value.
#[inline(never)]
pub(super) fn outputs<'m>(
    sections: &Sections<'m>,
    meta: &MetaRecord,
    pool: Pool,
) -> Result<(&'m OutputsRecord, &'m [ValueRecord]), ParseError> {
    let fault = |fault: Fault| fault.of(Section::Outputs);
    let mut found = (&OutputsRecord::PLAIN, &[][..]);
    if let Some(bytes) = sections.find(Section::Outputs) {
        let bounds = ParseError::SectionBounds(Section::Outputs);
        let (record, values) = bytes
            .split_at_checked(size_of::<OutputsRecord>())
            .ok_or(bounds)?;
        found = (
            try_from_bytes(record).map_err(|_| bounds)?,
            try_cast_slice(values).map_err(|_| bounds)?,
        );
    }
    let (record, values): (&OutputsRecord, &[ValueRecord]) = found;
    let count = match OutputKind::from_number(record.kind) {
        Some(OutputKind::Classes | OutputKind::Bits) => 0,
        Some(OutputKind::Values) => meta.classes as usize,
        None => {
            return Err(fault(Fault {
                field: Field::OutputKind,
                found: record.kind.into(),
            }));
        }
    };
    if values.len() != count {
        return Err(ParseError::SectionBounds(Section::Outputs));
    }
    let (every, shift) = (record.every_step, record.horizon_shift);
    let horizon = match pool {
        Pool::Recent => 1..=HORIZON_SHIFT_MAX,
        Pool::Last | Pool::Mean | Pool::Sum | Pool::Canvas => 0..=0,
    };
    check(
        next_frame_is_possible(record, meta),
        Field::NextFrame,
        record.next_frame.into(),
    )
    .and(check(every <= 1, Field::EveryStep, every.into()))
    .and(check(
        horizon.contains(&shift),
        Field::HorizonShift,
        shift.into(),
    ))
    .map_err(fault)?;
    // The mean of everything so far is no score of the step just taken.
    check(
        every == 0 || pool != Pool::Mean,
        Field::Pool,
        meta.pool.into(),
    )
    .map_err(|fault| fault.of(Section::Meta))?;
    for record in values {
        let (offset, lsb) = (f32::from_bits(record.offset), f32::from_bits(record.lsb));
        check(offset.is_finite(), Field::ValueOffset, record.offset)
            .and(check(
                lsb.is_finite() && lsb != 0.0,
                Field::ValueLsb,
                record.lsb,
            ))
            .map_err(fault)?;
    }
    Ok((record, values))
}

/// Whether frames can come so: from bits of every step, pushed as bytes 0 and 1, no more than a frame has; or latent
/// values, halves, to paint bits with.
fn next_frame_is_possible(record: &OutputsRecord, meta: &MetaRecord) -> bool {
    let is_of_bits = record.kind == OutputKind::Bits.number()
        && record.every_step == 1
        && meta.vectors_per_step == 0;
    match NextFrame::from_number(record.next_frame) {
        None => false,
        Some(NextFrame::Pushed) => true,
        Some(NextFrame::Drawn) => {
            is_of_bits
                && meta.input_type == InputType::U8.number()
                && meta.classes <= meta.map_values
        }
        Some(NextFrame::Latent) => is_of_bits && meta.input_type == InputType::I16.number(),
    }
}

/// The table of words, one of them a score of every step; and that neither filter nor front end stands before the
/// picture.
#[inline(never)]
pub(super) fn words<'m>(
    sections: &Sections<'m>,
    meta: &MetaRecord,
    outputs: &OutputsRecord,
    values: usize,
) -> Result<Option<Words<'m>>, ParseError> {
    let Some(bytes) = sections.find(Section::Words) else {
        return Ok(None);
    };
    Feature::Words.check()?;
    for stray in [Section::Filter, Section::FrontEnd] {
        if sections.find(stray).is_some() {
            return Err(ParseError::StraySection(stray));
        }
    }
    let bounds = ParseError::SectionBounds(Section::Words);
    let count = meta.classes as usize;
    let (record, rest) = bytes
        .split_at_checked(size_of::<WordsRecord>())
        .ok_or(bounds)?;
    let record: &WordsRecord = try_from_bytes(record).map_err(|_| bounds)?;
    // At most 2¹² words of 2¹⁶ values: neither product wraps.
    let (scales, table) = rest
        .split_at_checked((2 * count).next_multiple_of(4))
        .ok_or(bounds)?;
    if table.len() != (count * values).next_multiple_of(4) {
        return Err(bounds);
    }
    let scales: &[u16] = try_cast_slice(scales).map_err(|_| bounds)?;
    let table: &[i8] = try_cast_slice(table).map_err(|_| bounds)?;
    let (shift, longest) = (record.shift, record.longest);
    check(shift <= WORDS_SHIFT_MAX, Field::Shift, shift)
        .and(check(
            (1..=CAPTION_WORDS_MAX).contains(&longest),
            Field::Longest,
            longest,
        ))
        .map_err(|fault| fault.of(Section::Words))?;
    let (kind, every) = (outputs.kind, outputs.every_step);
    check(
        kind == OutputKind::Classes.number(),
        Field::OutputKind,
        kind.into(),
    )
    .and(check(every == 1, Field::EveryStep, every.into()))
    .map_err(|fault| fault.of(Section::Outputs))?;
    let pool = meta.pool;
    check(pool == Pool::Last.number(), Field::Pool, pool.into())
        .and(check(
            meta.classes >= WORDS_MIN,
            Field::Classes,
            meta.classes,
        ))
        .map_err(|fault| fault.of(Section::Meta))?;
    Ok(Some(Words {
        record,
        scales: scales.get(..count).ok_or(bounds)?,
        table: table.get(..count * values).ok_or(bounds)?,
        values,
    }))
}

/// How pictures are painted, where they are, and through which window if through one; the head then reads their sum, or
/// paints a canvas, and only then.
#[inline(never)]
pub(super) fn draw<'m>(
    sections: &Sections<'m>,
    meta: &MetaRecord,
    pool: Pool,
    outputs: &OutputsRecord,
) -> Result<(Option<&'m DrawRecord>, Option<Window<'m>>), ParseError> {
    let paints = outputs.next_frame == NextFrame::Latent.number();
    let has_window = pool == Pool::Canvas;
    check(
        paints == (pool == Pool::Sum || has_window)
            && (!has_window || sections.version() >= VERSION_WINDOW),
        Field::Pool,
        meta.pool.into(),
    )
    .map_err(|fault| fault.of(Section::Meta))?;
    let bytes = match (sections.find(Section::Draw), paints) {
        (None, false) => return Ok((None, None)),
        (Some(_), false) => return Err(ParseError::StraySection(Section::Draw)),
        (None, true) => return Err(ParseError::MissingSection(Section::Draw)),
        (Some(bytes), true) => bytes,
    };
    Feature::Painting.check()?;
    if has_window {
        Feature::Attention.check()?;
    }
    let bounds = ParseError::SectionBounds(Section::Draw);
    let (record, rest) = bytes
        .split_at_checked(size_of::<DrawRecord>())
        .ok_or(bounds)?;
    let record: &DrawRecord = try_from_bytes(record).map_err(|_| bounds)?;
    let window: &[WindowRecord] = try_cast_slice(rest).map_err(|_| bounds)?;
    if window.len() != usize::from(has_window) {
        return Err(bounds);
    }
    let (steps, rows, shift) = (record.steps, record.rows, record.sum_shift);
    let sums = match has_window {
        true => 1,
        false => steps,
    };
    check(
        (1..=DRAW_STEPS_MAX).contains(&steps),
        Field::DrawSteps,
        steps,
    )
    .and(check(
        rows != 0 && meta.classes.is_multiple_of(rows),
        Field::PictureRows,
        rows,
    ))
    .and(check(
        shift <= DrawRecord::shift_of(DRAW_STEPS_MAX)
            && sums <= 1 << shift
            && !(has_window && shift > 0),
        Field::SumShift,
        shift,
    ))
    .map_err(|fault| fault.of(Section::Draw))?;
    check(
        meta.golden_steps <= steps,
        Field::GoldenSteps,
        meta.golden_steps,
    )
    .map_err(|fault| fault.of(Section::Meta))?;
    let pixels = meta.classes as usize;
    let window = window.first();
    let window = window.map(|record| Window::new(record, rows as usize, pixels));
    if let Some(window) = &window {
        let is_near = |side: usize| side <= WINDOW_SIDE_MAX as usize;
        let points = window.record().points;
        check(
            window.sides().into_iter().all(is_near),
            Field::PictureRows,
            rows,
        )
        .and(check(
            (2..=WINDOW_POINTS_MAX).contains(&points),
            Field::WindowPoints,
            points,
        ))
        .map_err(|fault| fault.of(Section::Draw))?;
    }
    Ok((Some(record), window))
}

/// Weights and biases of the head: a row a score, or those that give and place what a window paints.
#[inline(never)]
pub(super) fn head<'m>(
    sections: &Sections<'m>,
    meta: &MetaRecord,
    draw: Option<&DrawRecord>,
    window: Option<Window<'m>>,
) -> Result<(&'m [i16], &'m [i32]), ParseError> {
    let bounds = ParseError::SectionBounds(Section::Head);
    // The head of a picture without a window adds so many of each bias up.
    let (rows, steps) = match (window, draw) {
        (Some(window), _) => (window.record().head_rows(), 1),
        (None, draw) => (meta.classes as usize, draw.map_or(1, |record| record.steps)),
    };
    let hidden = meta.hidden as usize;
    let words: &[u32] = sections.slice(Section::Head)?;
    let (weights, bias) = words
        .split_at_checked((hidden * rows).div_ceil(2))
        .filter(|(_, bias)| bias.len() == rows)
        .ok_or(bounds)?;
    let weights: &[i16] = try_cast_slice(weights).map_err(|_| bounds)?;
    let bias: &[i32] = try_cast_slice(bias).map_err(|_| bounds)?;
    for (index, (row, &bias)) in weights.chunks_exact(hidden.max(1)).zip(bias).enumerate() {
        if bound::head(row, bias, steps) > i32::MAX as u64 {
            return Err(ParseError::Overflow {
                section: Section::Head,
                index,
            });
        }
    }
    Ok((weights, bias))
}
