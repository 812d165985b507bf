//! Bytes → [`Model`]: everything is checked here, once, and nothing is copied.
//!
//! What is checked apart has a frame of its own: the stack holds one of them at a time. Here stand the order of the
//! checks and what concerns all of a model; `input` and `outputs` hold the rest.

mod input;
mod outputs;

use super::checks::{MapChecks, MapIn};
use super::error::{Fault, Feature, Field, ParseError, check};
use super::layout::{self, FormatRecord, MetaRecord, Section};
use super::sections::Sections;
use super::work::{FRAME_WORK_MAX, OF_VALUE, SELF_TEST_WORK_MAX, of_painting, of_windows};
use super::{ArenaLayout, InputType, Kept, Model, Pool};
use crate::cell::{Cell, Gate};
use crate::front_end::FrontEnd;
use crate::program::Region;
use crate::size::Size;
use input::{filter, frame_values, host, input_max};
use outputs::{draw, head, outputs, words};

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
        let (draw, window) = draw(&sections, meta, pool, outputs)?;
        // What follows of windows is left out of the program then.
        let window = window.filter(|_| Feature::Attention.is_built());
        let kept = match (filter, words) {
            (Some((record, _)), _) => Some(Kept::Filter(record.horizon_shift)),
            (None, words) => words.map(|_| Kept::Picture),
        };
        let pool_and = (pool, window);
        let arena = ArenaLayout::new(
            (cell, layers),
            hidden,
            pool_and,
            kept,
            front_end_words,
            bands,
        );
        let least = arena.scratch_word + arena.scratch_words_min();
        let arena_bytes = sections.word(layout::ARENA_AT);
        let arena_words = arena_bytes as usize / 4;
        check(
            arena_bytes.is_multiple_of(4) && (least..=1 << 24).contains(&arena_words),
            Field::ArenaBytes,
            arena_bytes,
        )
        .map_err(in_meta)?;
        let values = match front_end {
            Some(_) => InputType::I16,
            None => input_type,
        };
        let samples = front_end.as_ref().map_or(0, FrontEnd::window);
        let format = format(&sections, cell)?;
        host(&sections, meta, front_end.is_some())?;

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
        let mut frame_work = of_windows(meta, samples) + of_painting(meta, window) + input.work();
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
        let (head_weights, head_bias) = head(&sections, meta, draw, window)?;
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
            window,
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

#[cfg(all(test, feature = "alloc"))]
mod tests;
