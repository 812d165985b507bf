//! Bytes → [`Model`]: everything is checked here, once, and nothing is copied.
//!
//! What is checked apart has a frame of its own: the stack holds one of them at a time.

use bytemuck::{try_cast_slice, try_from_bytes};

use super::checks::{MapChecks, MapIn};
use super::error::{Fault, Feature, Field, ParseError, check};
use super::layout::{
    self, CAPTION_WORDS_MAX, DRAW_STEPS_MAX, DrawRecord, FILTER_FRACTION_MAX, FilterRecord,
    FormatRecord, HORIZON_SHIFT_MAX, HostRecord, MetaRecord, OutputsRecord, Section, ValueRecord,
    WORDS_MIN, WORDS_SHIFT_MAX, WordsRecord,
};
use super::sections::Sections;
use super::work::{FRAME_WORK_MAX, OF_VALUE, SELF_TEST_WORK_MAX, of_windows};
use super::{ArenaLayout, InputType, Kept, Model, NextFrame, OutputKind, Pool, bound};
use crate::cell::{Cell, Gate};
use crate::front_end::FrontEnd;
use crate::program::{NONE, Region};
use crate::size::Size;
use crate::words::Words;

impl<'m> Model<'m> {
    /// Checks a model file and borrows it.
    ///
    /// Validates alignment, length, version, CRC-32C, every offset and size, and proves that no
    /// accumulator can overflow. Reads every byte twice; done once at boot.
    ///
    /// # Errors
    ///
    /// [`ParseError`] names the first thing that is wrong.
    pub fn parse(bytes: &'m [u8]) -> Result<Self, ParseError> {
        Self::parse_in_pieces(bytes, &mut || ())
    }

    /// As [`parse`](Self::parse), for a core whose watchdog is fed meanwhile: `progress` is called after every
    /// kibibyte of the CRC and after every map that was checked.
    ///
    /// # Errors
    ///
    /// As of [`parse`](Self::parse).
    // Its frame is not to lie under everything that a caller does with the model.
    #[inline(never)]
    pub fn parse_in_pieces(
        bytes: &'m [u8],
        progress: &mut dyn FnMut(),
    ) -> Result<Self, ParseError> {
        let sections = Sections::read(bytes, progress)?;
        let meta: &MetaRecord = sections.record(Section::Meta)?;
        let in_meta = |fault: Fault| fault.of(Section::Meta);
        let (input_type, gate, pool) = forms(meta).map_err(in_meta)?;
        sizes(meta).map_err(in_meta)?;
        let hidden = meta.hidden as usize;
        let front_end = match sections.find(Section::FrontEnd) {
            Some(_) if !cfg!(feature = "front-end") => return Err(ParseError::NoFrontEnd),
            Some(bytes) => Some(FrontEnd::parse(bytes).map_err(ParseError::FrontEnd)?),
            None => None,
        };
        frame_values(&sections, meta, input_type, front_end.as_ref()).map_err(in_meta)?;
        let (front_end_words, bands) = front_end
            .as_ref()
            .map_or((0, 0), |f| (f.state_words(), f.bands()));
        let (cell, fractions) = cell(&sections)?;
        let layers = 1 + fractions.len();
        let filter = filter(&sections, cell.gates() * hidden)?;
        let (outputs, units) = outputs(&sections, meta, pool)?;
        let words = words(&sections, meta, outputs, cell.gates() * hidden)?;
        let kept = match (filter, words) {
            (Some((record, _)), _) => Some(Kept::Filter(record.horizon_shift)),
            (None, words) => words.map(|_| Kept::Picture),
        };
        let arena = ArenaLayout::new((cell, layers), hidden, pool, kept, front_end_words, bands);
        let arena_bytes = sections.word(layout::ARENA_AT);
        let arena_words = arena_bytes as usize / 4;
        check(
            arena_bytes.is_multiple_of(4)
                && (arena.recurrent_scratch_word..=1 << 24).contains(&arena_words),
            Field::ArenaBytes,
            arena_bytes,
        )
        .map_err(in_meta)?;
        let values = match front_end {
            Some(_) => InputType::I16,
            None => input_type,
        };
        let window = front_end.as_ref().map_or(0, FrontEnd::window);
        let format = format(&sections, cell)?;
        host(&sections, meta, front_end.is_some())?;
        let draw = draw(&sections, meta, pool, outputs)?;

        let checks = MapChecks {
            weights: sections.slice(Section::Weights)?,
            tables: sections.slice(Section::Tables)?,
            has_slice_shifts: sections.version() >= layout::VERSION_SLICE_SHIFT,
            has_byte_rows: sections.version() >= layout::VERSION_BYTE_ROWS,
        };
        let z = Region::new(0usize, arena.z_words());
        let scratch = |start: usize| Region {
            start: start.into(),
            end: arena_words.into(),
        };
        let of_h = |section, z, scratch| {
            Ok(MapIn {
                section,
                map: sections.map(section)?,
                values: hidden,
                input_max: 1 << 15,
                is_streamed: false,
                z,
                scratch,
            })
        };
        // One map after the other in the same place of the stack.
        let input = sections.map(Section::Input)?;
        let mut map = MapIn {
            section: Section::Input,
            map: input,
            values: meta.map_values as usize,
            input_max: input_max(meta, format, values, checks.tables)?,
            is_streamed: true,
            z,
            scratch: scratch(arena.scratch_word),
        };
        checks.all(&map)?;
        progress();
        let mut frame_work = of_windows(meta, window) + input.work();
        for section in Section::INPUTS.into_iter().take(layers).skip(1) {
            map = of_h(section, z, scratch(arena.scratch_word))?;
            checks.all(&map)?;
            progress();
            frame_work = frame_work + map.map.work();
        }
        let mut recurrent = None;
        if cell.is_recurrent() {
            let z = Region::new(arena.recurrent_z_word, arena.z_words());
            // The first layer's comes last.
            for section in Section::RECURRENTS.into_iter().take(layers).rev() {
                map = of_h(section, z, scratch(arena.recurrent_scratch_word))?;
                checks.all(&map)?;
                progress();
                frame_work = frame_work + map.map.work();
            }
            recurrent = Some(map.map);
        }
        work(&sections, meta, frame_work)?;

        let bias: &[u32] = sections.slice(Section::Bias)?;
        if bias.len() != layers * layout::bias_words(cell, hidden) {
            return Err(ParseError::SectionBounds(Section::Bias));
        }
        let steps = draw.map_or(1, |record| record.steps);
        let (head_weights, head_bias) = head(&sections, meta, steps)?;
        for section in [Section::Name, Section::Labels, Section::About] {
            sections.text(section)?;
        }
        Ok(Self {
            file: sections,
            meta,
            format,
            input_type,
            gate,
            pool,
            outputs,
            values: units,
            cell,
            fractions,
            filter,
            words,
            draw,
            input,
            recurrent,
            weights: checks.weights,
            tables: checks.tables,
            bias,
            head_weights,
            head_bias,
            front_end,
            arena,
        })
    }
}

/// What the file's numbers stand for.
fn forms(meta: &MetaRecord) -> Result<(InputType, Gate, Pool), Fault> {
    let fault = |field, found: u8| Fault {
        field,
        found: found.into(),
    };
    let Some(input_type) = InputType::from_number(meta.input_type) else {
        return Err(fault(Field::InputType, meta.input_type));
    };
    let Some(gate) = Gate::from_number(meta.gate) else {
        return Err(fault(Field::Gate, meta.gate));
    };
    let Some(pool) = Pool::from_number(meta.pool) else {
        return Err(fault(Field::Pool, meta.pool));
    };
    Ok((input_type, gate, pool))
}

/// Bounds far beyond any microcontroller's memory; the arena's layout can not wrap within them.
// On its own, like what follows: `parse` has the stack of the model it makes to bear already.
#[inline(never)]
fn sizes(meta: &MetaRecord) -> Result<(), Fault> {
    for (field, found, most) in [
        (Field::Hidden, meta.hidden, 1 << 14),
        (Field::Classes, meta.classes, 1 << 12),
        (Field::MapValues, meta.map_values, 1 << 24),
        (Field::GoldenSteps, meta.golden_steps, 64),
    ] {
        check((1..=most).contains(&found), field, found)?;
    }
    Ok(())
}

/// That the header, the map's width and the front end agree on the values to push for one step.
#[inline(never)]
fn frame_values(
    sections: &Sections<'_>,
    meta: &MetaRecord,
    input_type: InputType,
    front_end: Option<&FrontEnd<'_>>,
) -> Result<(), Fault> {
    let vectors = Size::from(meta.vectors_per_step);
    let (frame_values, agree) = match front_end {
        Some(front_end) => (
            vectors * front_end.hop(),
            input_type == InputType::I16
                && vectors * front_end.bands() == Size::from(meta.map_values),
        ),
        None => (Size::from(meta.map_values), vectors == Size::default()),
    };
    check(agree, Field::VectorsPerStep, meta.vectors_per_step)?;
    let stated = sections.word(layout::FRAME_AT);
    check(
        Size::from(stated) == frame_values,
        Field::FrameValues,
        stated,
    )
}

/// That the work of a frame and of the golden vector keep to their limits.
#[inline(never)]
fn work(sections: &Sections<'_>, meta: &MetaRecord, frame: Size) -> Result<(), ParseError> {
    let pushed = Size::from(sections.word(layout::FRAME_AT)) * OF_VALUE;
    let self_test = (frame + pushed) * meta.golden_steps;
    check(frame <= FRAME_WORK_MAX.into(), Field::Work, frame.to_u32())
        .and_then(|()| {
            let holds = self_test <= SELF_TEST_WORK_MAX.into();
            check(holds, Field::GoldenSteps, meta.golden_steps)
        })
        .map_err(|fault| fault.of(Section::Meta))
}

/// The cell and the fraction bits of c of the layers above the first, one of LSTM in a file that says
/// nothing; and that no map is there that they have no use for, and none missing.
#[inline(never)]
fn cell<'m>(sections: &Sections<'m>) -> Result<(Cell, &'m [u32]), ParseError> {
    let fault = |field, found| Fault { field, found }.of(Section::Cell);
    let (cell, fractions) = match sections.find(Section::Cell) {
        None => (Cell::Lstm, &[][..]),
        Some(_) => {
            let words: &[u32] = sections.slice(Section::Cell)?;
            let (&number, fractions) = words
                .split_first()
                .ok_or(ParseError::SectionBounds(Section::Cell))?;
            let cell = Cell::from_number(number).ok_or(fault(Field::Cell, number))?;
            if cell != Cell::Lstm {
                Feature::Cells.check()?;
            }
            (cell, fractions)
        }
    };
    if fractions.len() >= layout::LAYERS_MAX {
        return Err(fault(Field::Layers, 1 + fractions.len() as u32));
    }
    for &fraction in fractions {
        is_fraction(cell, fraction).map_err(|found| fault(Field::CellFraction, found.found))?;
    }
    let sections_of = Section::INPUTS.iter().zip(&Section::RECURRENTS);
    for (layer, (&input, &recurrent)) in sections_of.enumerate() {
        let is_there = layer <= fractions.len();
        for (section, wanted) in [
            (input, is_there),
            (recurrent, is_there && cell.is_recurrent()),
        ] {
            match (sections.find(section).is_some(), wanted) {
                (true, false) => return Err(ParseError::StraySection(section)),
                (false, true) => return Err(ParseError::MissingSection(section)),
                _ => {}
            }
        }
    }
    Ok((cell, fractions))
}

/// The filter of the input, and what z starts from where there is one.
#[inline(never)]
fn filter<'m>(
    sections: &Sections<'m>,
    values: usize,
) -> Result<Option<(&'m FilterRecord, &'m [u32])>, ParseError> {
    let Some(bytes) = sections.find(Section::Filter) else {
        return Ok(None);
    };
    Feature::Filter.check()?;
    let bounds = ParseError::SectionBounds(Section::Filter);
    let (record, start) = bytes
        .split_at_checked(size_of::<FilterRecord>())
        .ok_or(bounds)?;
    let record: &FilterRecord = try_from_bytes(record).map_err(|_| bounds)?;
    let start: &[u32] = try_cast_slice(start).map_err(|_| bounds)?;
    let (shift, fraction) = (record.horizon_shift, record.fraction);
    check(
        shift <= u32::from(HORIZON_SHIFT_MAX),
        Field::FilterShift,
        shift,
    )
    .and(check(
        fraction <= FILTER_FRACTION_MAX,
        Field::FilterFraction,
        fraction,
    ))
    .map_err(|fault| fault.of(Section::Filter))?;
    if start.len() != values.div_ceil(2) {
        return Err(bounds);
    }
    Ok(Some((record, start)))
}

/// The table of words, one of them a score of every step; and that neither filter nor front end stands before the
/// picture.
#[inline(never)]
fn words<'m>(
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

/// That c of a cell can have so many fraction bits: all but the LSTM have their own.
fn is_fraction(cell: Cell, fraction: u32) -> Result<(), Fault> {
    let least = match cell {
        Cell::Lstm => layout::CELL_FRACTION_MIN,
        Cell::Gru | Cell::MinGru => layout::CELL_FRACTION,
    };
    let known = (least..=layout::CELL_FRACTION).contains(&fraction);
    check(known, Field::CellFraction, fraction)
}

/// The formats that calibration chose, or those of a file that says nothing.
#[inline(never)]
fn format<'m>(sections: &Sections<'m>, cell: Cell) -> Result<&'m FormatRecord, ParseError> {
    let Some(_) = sections.find(Section::Format) else {
        return Ok(&FormatRecord::PLAIN);
    };
    let format: &FormatRecord = sections.record(Section::Format)?;
    is_fraction(cell, format.cell_fraction).map_err(|fault| fault.of(Section::Format))?;
    Ok(format)
}

/// Largest magnitude of what the input map reads, and that the numbers its values meet are there.
#[inline(never)]
fn input_max(
    meta: &MetaRecord,
    format: &FormatRecord,
    values: InputType,
    tables: &[u16],
) -> Result<u32, ParseError> {
    let table = |section: Section, field: Field, first: u32| {
        if first == NONE {
            return Ok(None);
        }
        let all = tables
            .get(first as usize..)
            .and_then(|entries| entries.get(..meta.map_values as usize));
        all.map(Some).ok_or(
            Fault {
                field,
                found: first,
            }
            .of(section),
        )
    };
    let (in_meta, in_format) = (Section::Meta, Section::Format);
    let zero = meta.input_zero;
    check(i16::try_from(zero).is_ok(), Field::InputZero, zero as u32)
        .map_err(|fault| fault.of(in_meta))?;
    let scale = format.element_scale;
    check(
        i16::try_from(scale).is_ok(),
        Field::ElementScale,
        scale as u32,
    )
    .map_err(|fault| fault.of(in_format))?;
    let offsets = format.element_offset_table;
    table(in_format, Field::ElementOffsetTable, offsets)?;
    table(in_meta, Field::ElementScaleTable, meta.element_scale_table)?;
    let shifts = format.element_shift_table;
    let shifts = table(in_format, Field::ElementShiftTable, shifts)?.unwrap_or(&[]);
    let largest = shifts.iter().copied().max().unwrap_or(0).into();
    check(largest <= 30, Field::ElementShiftTable, largest).map_err(|fault| fault.of(in_format))?;
    let shift = meta.element_shift;
    check(shift <= 30, Field::ElementShift, shift.into()).map_err(|fault| fault.of(in_meta))?;
    if super::takes_scales(meta, format) {
        Feature::Scales.check()?;
    }
    Ok(if super::is_unscaled(meta, format) {
        values.map_max(zero)
    } else {
        InputType::I16.map_max(0)
    })
}

/// That the host can quantise floats: LSBs and offsets are numbers, one for all values or one each.
#[inline(never)]
fn host(sections: &Sections<'_>, meta: &MetaRecord, has_front_end: bool) -> Result<(), ParseError> {
    let sound = |section: Section, record: &HostRecord| {
        let (offset, lsb) = (f32::from_bits(record.offset), f32::from_bits(record.lsb));
        check(offset.is_finite(), Field::InputOffset, record.offset)
            .and(check(
                lsb.is_finite() && lsb != 0.0,
                Field::InputLsb,
                record.lsb,
            ))
            .map_err(|fault| fault.of(section))
    };
    let of_all = HostRecord {
        offset: meta.input_offset,
        lsb: meta.input_lsb,
    };
    sound(Section::Meta, &of_all)?;
    if sections.find(Section::Host).is_none() {
        return Ok(());
    }
    let own: &[HostRecord] = sections.slice(Section::Host)?;
    // Sound comes in integers.
    if has_front_end || own.len() != meta.map_values as usize {
        return Err(ParseError::SectionBounds(Section::Host));
    }
    own.iter()
        .try_for_each(|record| sound(Section::Host, record))
}

/// What the scores are; the units of every value.
#[inline(never)]
fn outputs<'m>(
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
        Pool::Last | Pool::Mean | Pool::Sum => 0..=0,
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

/// How pictures are painted, where they are; the head then reads their sum, and only then.
#[inline(never)]
fn draw<'m>(
    sections: &Sections<'m>,
    meta: &MetaRecord,
    pool: Pool,
    outputs: &OutputsRecord,
) -> Result<Option<&'m DrawRecord>, ParseError> {
    let paints = outputs.next_frame == NextFrame::Latent.number();
    check(paints == (pool == Pool::Sum), Field::Pool, meta.pool.into())
        .map_err(|fault| fault.of(Section::Meta))?;
    match (sections.find(Section::Draw).is_some(), paints) {
        (false, false) => return Ok(None),
        (true, false) => return Err(ParseError::StraySection(Section::Draw)),
        (false, true) => return Err(ParseError::MissingSection(Section::Draw)),
        (true, true) => {}
    }
    Feature::Painting.check()?;
    let record: &DrawRecord = sections.record(Section::Draw)?;
    let (steps, rows, shift) = (record.steps, record.rows, record.sum_shift);
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
        shift <= DrawRecord::shift_of(DRAW_STEPS_MAX) && steps <= 1 << shift,
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
    Ok(Some(record))
}

/// Weights and biases of the head, which adds so many of each bias up.
#[inline(never)]
fn head<'m>(
    sections: &Sections<'m>,
    meta: &MetaRecord,
    steps: u32,
) -> Result<(&'m [i16], &'m [i32]), ParseError> {
    let bounds = ParseError::SectionBounds(Section::Head);
    let (hidden, classes) = (meta.hidden as usize, meta.classes as usize);
    let words: &[u32] = sections.slice(Section::Head)?;
    let (weights, bias) = words
        .split_at_checked((hidden * classes).div_ceil(2))
        .filter(|(_, bias)| bias.len() == classes)
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

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::super::FloatInput;
    use super::super::layout::DenseRecord;
    use super::super::write::{Contents, Elements, LayerContents, MapContents, Outputs};
    use super::*;
    use crate::front_end::{self, Config};

    const HIDDEN: usize = 2;
    const BANDS: usize = 32;

    /// A model of dense maps that takes bytes.
    fn contents() -> Contents {
        let dense = |values: usize, slice_word: usize, weights_word: u32| {
            MapContents::Dense(DenseRecord {
                rows: 4 * HIDDEN as u32,
                values: values as u32,
                slice_values: values as u32,
                slice_word: slice_word as u32,
                acc_word: 0,
                weights_word,
                scales_word: 0,
                slice_shift: 0,
                form: 0,
            })
        };
        let mut parts = Contents {
            name: "parts".into(),
            labels: vec![],
            about: "{}".into(),
            hidden: HIDDEN,
            map_values: BANDS,
            input_type: InputType::U8,
            gate: Gate::Sigmoid,
            pool: Pool::Last,
            elements: Elements::default(),
            score_shift: 0,
            outputs: Outputs::default(),
            float_inputs: vec![FloatInput::INTEGER],
            cell: Cell::Lstm,
            layers: vec![LayerContents {
                input: dense(BANDS, 0, 8),
                recurrent: Some(dense(HIDDEN, 0, 72)),
                bias: vec![0; 4 * HIDDEN],
                recurrent_bias: vec![],
                cell_fraction: layout::CELL_FRACTION,
            }],
            filter: None,
            words: None,
            front_end: None,
            weights: vec![0; 76],
            tables: vec![],
            head_weights: vec![0; HIDDEN],
            head_bias: vec![0],
            scratch_words: BANDS / 2,
            golden_seed: 1,
            golden_steps: 1,
        };
        place_input(&mut parts);
        parts
    }

    /// Puts the slice of the input map behind what the session keeps.
    fn place_input(parts: &mut Contents) {
        let scratch = parts.arena().unwrap().scratch_word as u32;
        if let MapContents::Dense(record) = &mut parts.layers[0].input {
            record.slice_word = scratch;
        }
    }

    fn parsed(mut parts: Contents) -> Result<(), ParseError> {
        place_input(&mut parts);
        parts.write().map(|_| ())
    }

    /// What parse says of a model that needs these features, that first which it meets first.
    fn expected(needed: &[Feature]) -> Result<(), ParseError> {
        match needed.iter().find(|feature| !feature.is_built()) {
            Some(&feature) => Err(ParseError::FeatureOff(feature)),
            None => Ok(()),
        }
    }

    /// `cargo xtask test` runs these with all features and without.
    #[test]
    fn a_front_end_is_refused_where_there_is_none() {
        let config = Config {
            bands: BANDS,
            ..Config::default()
        };
        let mut parts = contents();
        parts.input_type = InputType::I16;
        parts.front_end = Some((front_end::write(&config).unwrap(), 1));
        let expected = if cfg!(feature = "front-end") {
            expected(&[Feature::Dense])
        } else {
            Err(ParseError::NoFrontEnd)
        };
        assert_eq!(parsed(parts), expected);
    }

    #[test]
    fn what_a_build_has_not_is_refused_by_name() {
        assert_eq!(parsed(contents()), expected(&[Feature::Dense]));

        let mut gru = contents();
        gru.cell = Cell::Gru;
        gru.layers[0].recurrent_bias = vec![0; HIDDEN];
        gru.layers[0].bias.truncate(3 * HIDDEN);
        let layer = &mut gru.layers[0];
        for map in [Some(&mut layer.input), layer.recurrent.as_mut()] {
            if let Some(MapContents::Dense(record)) = map {
                record.rows = 3 * HIDDEN as u32;
            }
        }
        assert_eq!(parsed(gru), expected(&[Feature::Cells, Feature::Dense]));

        let mut filtered = contents();
        filtered.filter = Some((
            FilterRecord {
                horizon_shift: 0,
                fraction: 11,
            },
            vec![0; 4 * HIDDEN],
        ));
        assert_eq!(
            parsed(filtered),
            expected(&[Feature::Filter, Feature::Dense])
        );

        let mut captions = super::super::cases::captions();
        captions.name = "captions".into();
        assert_eq!(
            captions.write().map(|_| ()),
            expected(&[Feature::Words, Feature::Dense])
        );

        let painting = super::super::cases::painting();
        assert_eq!(
            painting.write().map(|_| ()),
            expected(&[Feature::Painting, Feature::Dense])
        );

        // 128 off bytes costs nothing; any other offset, or that off other values, is a feature's.
        for (zero, input_type, needs) in [
            (128, InputType::U8, &[Feature::Dense][..]),
            (127, InputType::U8, &[Feature::Scales, Feature::Dense]),
            (128, InputType::I16, &[Feature::Scales, Feature::Dense]),
        ] {
            let mut offset = contents();
            offset.input_type = input_type;
            offset.elements.offsets = vec![zero];
            let found = parsed(offset);
            let all_missing =
                needs.iter().filter(|feature| !feature.is_built()).count() == needs.len();
            if all_missing && needs.len() > 1 {
                assert!(matches!(found, Err(ParseError::FeatureOff(_))), "{found:?}");
            } else {
                assert_eq!(found, expected(needs), "{zero} {input_type:?}");
            }
        }
        let text = ParseError::FeatureOff(Feature::Scales).to_string();
        assert!(text.contains("feature `scales`"), "{text}");
    }
}
