//! What a map may touch, and that none of its sums can overflow.

use super::error::{Fault, Feature, Field, ParseError, check};
use super::layout::{DenseRecord, Section};
use super::work::TABLE_READS_MAX;
use super::{Map, bound};
use crate::kernel::{ByteRows, RowsForm};
use crate::program::{Misplaced, NONE, Program, ProgramRecord, Region, StageRecord, Store};
use crate::size::Size;

/// A map, what it reads, and where errors in it are reported.
pub(super) struct MapIn<'m> {
    pub section: Section,
    pub map: Map<'m>,
    /// Values of one frame, or of h.
    pub values: usize,
    /// Largest magnitude of a value.
    pub input_max: u32,
    /// Whether they are pushed in pieces, or are an h that lies in the arena.
    pub is_streamed: bool,
    /// What the map may add to.
    pub z: Region,
    /// What else it may touch.
    pub scratch: Region,
}

/// What all maps read.
pub(super) struct MapChecks<'m> {
    pub weights: &'m [u32],
    pub tables: &'m [u16],
    /// Whether the file's version knows [`StageRecord::slice_shift`].
    pub has_slice_shifts: bool,
    /// Whether it knows [`DenseRecord::form`].
    pub has_byte_rows: bool,
}

impl<'m> MapChecks<'m> {
    /// Everything that must hold of a map.
    #[inline(never)]
    pub(super) fn all(&self, map: &MapIn<'m>) -> Result<(), ParseError> {
        self.map(map)?;
        self.accumulators(map)?;
        self.sums(map)
    }

    /// Everything that must hold of a map but [`accumulators`](Self::accumulators) and
    /// [`sums`](Self::sums), which come after it; the stack holds the frame of one of them.
    #[inline(never)]
    fn map(&self, map: &MapIn<'m>) -> Result<(), ParseError> {
        match map.map {
            Map::Program(program) => self.program(map, &program),
            Map::Dense(record) => self.dense(map, record),
        }
    }

    /// Words of the weights section.
    fn words(&self, start: u32, len: Size) -> Option<&'m [u32]> {
        self.weights.get(start as usize..)?.get(..len.get())
    }

    #[inline(never)]
    fn program(&self, map: &MapIn<'m>, program: &Program<'m>) -> Result<(), ParseError> {
        self.frame(map, program.record)
            .map_err(|fault| fault.of(map.section))?;
        let mut entries = Size::default();
        for (index, stage) in program.stages.iter().enumerate() {
            self.stage(map, stage, program.extents())
                .map_err(|field| ParseError::Stage {
                    section: map.section,
                    stage: index,
                    field,
                })?;
            entries = entries + stage.table_entries();
        }
        let reads = (entries * program.stages.len()).to_u32();
        check(reads <= TABLE_READS_MAX, Field::Table, reads).map_err(|fault| fault.of(map.section))
    }

    /// That every stage has its accumulators alone: relies on the regions being sound.
    #[inline(never)]
    fn accumulators(&self, map: &MapIn<'m>) -> Result<(), ParseError> {
        let (section, Map::Program(program)) = (map.section, &map.map) else {
            return Ok(());
        };
        for stage in 0..program.stages.len() {
            if !bound::has_accumulators_alone(program, self.tables, stage) {
                let field = Field::AccWord;
                return Err(ParseError::Stage {
                    section,
                    stage,
                    field,
                });
            }
        }
        Ok(())
    }

    /// That sums keep to 32 bits: relies on the regions being sound.
    #[inline(never)]
    fn sums(&self, map: &MapIn<'m>) -> Result<(), ParseError> {
        let (section, Map::Program(program)) = (map.section, &map.map) else {
            return Ok(());
        };
        for (index, stage) in program.stages.iter().enumerate() {
            let input_max = bound::written_max(program, self.tables, map.input_max, stage.input());
            if !bound::fits(stage, self.weights, input_max) {
                return Err(ParseError::Overflow { section, index });
            }
        }
        Ok(())
    }

    /// That a frame is cut into slabs, and that there is room for one.
    #[inline(never)]
    fn frame(&self, map: &MapIn<'m>, record: &ProgramRecord) -> Result<(), Fault> {
        let extents = record.extents().iter();
        let values = extents.fold(record.slab_values.into(), |n: Size, &extent| n * extent);
        let whole = values == Size::from(map.values);
        check(whole, Field::SlabValues, record.slab_values)?;
        let agree = record.values as usize == map.values;
        check(agree, Field::Values, record.values)?;
        let slab = record.slab(self.tables);
        let room = slab.is_some_and(|slab| map.scratch.contains(slab));
        check(room, Field::SlabWord, record.slab_word)
    }

    #[inline(never)]
    fn stage(&self, map: &MapIn<'m>, stage: &StageRecord, extents: &[u16]) -> Result<(), Field> {
        if stage.m_tiles == 0 || stage.n_tiles == 0 || stage.k_pairs == 0 {
            return Err(Field::Size);
        }
        let depth = stage.depth as usize;
        if depth > extents.len() {
            return Err(Field::Depth);
        }
        let slice_extent = depth
            .checked_sub(1)
            .and_then(|digit| extents.get(digit))
            .copied()
            .unwrap_or(1);
        if stage.slices == 0 || stage.slices != 1 && stage.slices != slice_extent {
            return Err(Field::Slices);
        }
        if !(1..=16).contains(&stage.shift) {
            return Err(Field::Shift);
        }
        if !(2..=16).contains(&stage.bits) {
            return Err(Field::Bits);
        }
        let kept = stage.acc_word != NONE && self.has_slice_shifts;
        if stage.slice_shift != 0 && !(kept && (2..=16).contains(&stage.slice_shift)) {
            return Err(Field::SliceShift);
        }
        // Stores by table come last among them.
        if stage.col_stride > 0 && stage.store >= Store::Scatter as u8 {
            return Err(Field::ColStride);
        }
        let out = stage.out(self.tables, extents).map_err(field)?;
        let adds = Store::from_number(stage.store).is_some_and(Store::adds);
        let allowed = if adds { map.z } else { map.scratch };
        if !allowed.contains(out) {
            // One of what adds up to it may be to blame alone.
            return Err(if Size::from(stage.row_stride) >= allowed.end {
                Field::RowStride
            } else if Size::from(stage.out_stride) >= allowed.end {
                Field::OutStride
            } else {
                Field::OutWord
            });
        }
        let input = stage.input();
        if !map.scratch.contains(input) || input.overlaps(out) {
            return Err(Field::InputWord);
        }
        if let Some(acc) = stage.acc()
            && (stage.slices == 1 || !map.scratch.contains(acc))
        {
            return Err(Field::AccWord);
        }
        stage
            .weights(self.weights)
            .map(|_| ())
            .ok_or(Field::WeightsWord)
    }

    #[inline(never)]
    fn dense(&self, map: &MapIn<'m>, record: &DenseRecord) -> Result<(), ParseError> {
        Feature::Dense.check()?;
        let weights = self
            .dense_weights(map, record)
            .map_err(|fault| fault.of(map.section))?;
        let (pairs, rows) = (
            record.slice_values.div_ceil(2) as usize,
            record.rows as usize,
        );
        let worst = match record.rows_form() {
            Some(RowsForm::Bytes) => bound::bytes(weights, pairs, map.input_max),
            _ => bound::dense(
                weights,
                pairs,
                rows / 2,
                record.slice_shift.into(),
                map.input_max,
            ),
        };
        if worst > i32::MAX as u64 {
            return Err(ParseError::Overflow {
                section: map.section,
                index: 0,
            });
        }
        Ok(())
    }

    /// The weights, if all of the record is sound.
    #[inline(never)]
    fn dense_weights(&self, map: &MapIn<'m>, record: &DenseRecord) -> Result<&'m [u32], Fault> {
        let rows = record.rows as usize;
        let slice = record.slice_values as usize;
        let z = Region::new(map.z.start, rows / 2);
        check(
            rows.is_multiple_of(2) && z == map.z,
            Field::Rows,
            record.rows,
        )?;
        let agree = record.values as usize == map.values;
        check(agree, Field::Values, record.values)?;
        let even = slice == map.values || slice.is_multiple_of(2);
        let divides = slice != 0 && map.values.is_multiple_of(slice);
        // An h is read where it lies; only a streamed frame is gathered in slices.
        let streamed = map.is_streamed;
        check(
            divides && even && (streamed || slice == map.values),
            Field::SliceValues,
            record.slice_values,
        )?;
        let slices = map.values.checked_div(slice).unwrap_or(0);
        check(
            record.slice_shift <= 16 && (slices > 1 || record.slice_shift == 0),
            Field::SliceShift,
            record.slice_shift.into(),
        )?;
        let is_bytes = match record.rows_form() {
            Some(RowsForm::Pairs) => Some(false),
            Some(RowsForm::Bytes) if self.has_byte_rows => {
                let fits = rows.is_multiple_of(ByteRows::ROWS) && slice >= ByteRows::BLOCK;
                (fits && slices == 1).then_some(true)
            }
            _ => None,
        };
        let Some(is_bytes) = is_bytes else {
            return Err(Fault {
                field: Field::Form,
                found: record.form.into(),
            });
        };
        let pairs = slice.div_ceil(2);
        let buffer = Region::new(record.slice_word, pairs);
        check(
            !streamed || map.scratch.contains(buffer),
            Field::SliceWord,
            record.slice_word,
        )?;
        let acc = Region::new(record.acc_word, rows);
        check(
            slices == 1 || map.scratch.contains(acc) && !acc.overlaps(buffer),
            Field::AccWord,
            record.acc_word,
        )?;
        let words = Size::from(rows) * if is_bytes { 2usize } else { 1 };
        let scales = self.words(record.scales_word, words);
        let scales = scales.and_then(|words| words.split_at_checked(rows));
        let (scales, sums) = scales.ok_or(Fault {
            field: Field::ScalesWord,
            found: record.scales_word,
        })?;
        let negative = scales.iter().find(|&&scale| scale > i32::MAX as u32);
        check(
            negative.is_none(),
            Field::Scales,
            negative.copied().unwrap_or(0),
        )?;
        let words = match is_bytes {
            true => {
                Size::from(rows / ByteRows::ROWS) * ByteRows::blocks(pairs) * ByteRows::BLOCK_WORDS
            }
            false => Size::from(slices) * (rows / 2) * pairs,
        };
        let weights = self.words(record.weights_word, words).ok_or(Fault {
            field: Field::WeightsWord,
            found: record.weights_word,
        })?;
        if is_bytes {
            byte_rows(weights, sums, slice)?;
            return Ok(weights);
        }
        // Nothing is ever put where the second value of the last pair would lie.
        if !slice.is_multiple_of(2) {
            let mut last = weights.chunks_exact(pairs).filter_map(|row| row.last());
            let padding = last.find(|&&word| word >> 16 != 0).copied();
            check(padding.is_none(), Field::Padding, padding.unwrap_or(0))?;
        }
        Ok(weights)
    }
}

/// That rows of bytes of so many values have the sums that are told, and zeros where there are no values.
#[inline(never)]
fn byte_rows(weights: &[u32], sums: &[u32], values: usize) -> Result<(), Fault> {
    let pairs = values.div_ceil(2);
    for (row, &told) in sums.iter().enumerate() {
        let mut sum = 0u32;
        let mut left = values;
        for (block, bytes) in ByteRows::row(weights, pairs, row).enumerate() {
            let own = match block {
                0 => ByteRows::first(pairs),
                _ => ByteRows::BLOCK,
            };
            // One fewer at the end of an odd number of values.
            let own = own.min(left);
            left -= own;
            for (at, &weight) in bytes.iter().enumerate() {
                check(at < own || weight == 0, Field::Padding, weight as u8 as u32)?;
                sum = sum.wrapping_add_signed(weight.into());
            }
        }
        check(sum.wrapping_mul(128) == told, Field::RowSums, told)?;
    }
    Ok(())
}

/// The field of a stage to blame.
fn field(misplaced: Misplaced) -> Field {
    match misplaced {
        Misplaced::Store => Field::Store,
        Misplaced::OutDigit => Field::OutDigit,
        Misplaced::Table => Field::Table,
    }
}
