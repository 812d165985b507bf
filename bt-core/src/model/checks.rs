//! What a map may touch, and that none of its sums can overflow.

use super::bound::{self, Region};
use super::error::{Fault, Field, ParseError, check};
use super::layout::{DenseRecord, Section};
use super::{Map, Program};
use crate::program::{DISCARD, NONE, ProgramRecord, StepRecord, Store, TILE};

/// A map, what it reads, and where errors in it are reported.
pub(super) struct MapIn<'m> {
    pub section: Section,
    pub map: Map<'m>,
    /// Values of one frame, or of h.
    pub values: usize,
    /// Largest magnitude of a value.
    pub input_max: u32,
}

/// What the maps may touch.
pub(super) struct MapChecks<'m> {
    pub weights: &'m [u32],
    pub tables: &'m [u16],
    pub z: Region,
    pub scratch: Region,
}

impl<'m> MapChecks<'m> {
    /// Everything that must hold of a map.
    #[inline(never)]
    pub(super) fn map(&self, map: &MapIn<'m>) -> Result<(), ParseError> {
        match map.map {
            Map::Program(program) => self.program(map, &program),
            Map::Dense(record) => self.dense(map, record),
        }
    }

    fn table(&self, start: u32, len: usize) -> Option<&'m [u16]> {
        self.tables.get(start as usize..)?.get(..len)
    }

    /// Words of the weights section.
    fn words(&self, start: u32, len: usize) -> Option<&'m [u32]> {
        self.weights.get(start as usize..)?.get(..len)
    }

    #[inline(never)]
    fn program(&self, map: &MapIn<'m>, program: &Program<'m>) -> Result<(), ParseError> {
        self.frame(map, program)
            .map_err(|fault| fault.of(map.section))?;
        for (index, step) in program.steps.iter().enumerate() {
            self.step(step, program.extents())
                .map_err(|field| ParseError::Step {
                    section: map.section,
                    step: index,
                    field,
                })?;
        }
        // Sums last: they rely on the regions being sound.
        for (index, step) in program.steps.iter().enumerate() {
            let input_max = self.input_max(map.input_max, program, step.input());
            if !bound::fits(step, self.weights, input_max) {
                return Err(ParseError::Overflow {
                    section: map.section,
                    index,
                });
            }
        }
        Ok(())
    }

    /// That a frame is cut into slabs, and that there is room for one.
    #[inline(never)]
    fn frame(&self, map: &MapIn<'m>, program: &Program<'m>) -> Result<(), Fault> {
        let record = program.record;
        let slabs = program
            .extents()
            .iter()
            .try_fold(1usize, |n, &e| n.checked_mul(e as usize))
            .unwrap_or(0);
        let values = slabs.checked_mul(record.slab_values as usize);
        let whole = slabs != 0 && values == Some(map.values);
        check(whole, Field::SlabValues, record.slab_values)?;
        let agree = record.values as usize == map.values;
        check(agree, Field::Values, record.values)?;
        let room = self.slab(record).is_some();
        check(room, Field::SlabWord, record.slab_word)
    }

    /// The region slabs are gathered in, if it lies in the scratch.
    #[inline(never)]
    fn slab(&self, record: &ProgramRecord) -> Option<Region> {
        let values = record.slab_values as usize;
        let words = if record.gather_table == NONE {
            let row = record.row_values as usize;
            if row == 0 || !values.is_multiple_of(row) {
                return None;
            }
            (values / row).div_ceil(4) * row.div_ceil(2) * 4
        } else {
            let last = self
                .table(record.gather_table, values)?
                .iter()
                .copied()
                .max()?;
            last as usize / 2 + 1
        };
        let region = Region::new(record.slab_word as usize, words);
        self.scratch.contains(region).then_some(region)
    }

    #[inline(never)]
    fn step(&self, step: &StepRecord, extents: &[u16]) -> Result<(), Field> {
        if step.m_tiles == 0 || step.n_tiles == 0 || step.k_pairs == 0 {
            return Err(Field::Size);
        }
        let depth = step.depth as usize;
        if depth > extents.len() {
            return Err(Field::Depth);
        }
        let slice_extent = depth
            .checked_sub(1)
            .and_then(|digit| extents.get(digit))
            .copied()
            .unwrap_or(1);
        if step.slices == 0 || step.slices != 1 && step.slices != slice_extent {
            return Err(Field::Slices);
        }
        if !(1..=16).contains(&step.shift) {
            return Err(Field::Shift);
        }
        if !(2..=16).contains(&step.bits) {
            return Err(Field::Bits);
        }
        if step.reserved != 0 {
            return Err(Field::Reserved);
        }
        // Stores by table come last among them.
        if step.col_stride > 0 && step.store >= Store::Scatter as u8 {
            return Err(Field::ColStride);
        }
        let out = self.out(step, extents)?;
        let input = step.input();
        if !self.scratch.contains(input) || input.overlaps(out) {
            return Err(Field::InputWord);
        }
        if let Some(acc) = step.acc()
            && (!self.scratch.contains(acc) || acc.overlaps(input) || acc.overlaps(out))
        {
            return Err(Field::AccWord);
        }
        step.weights(self.weights)
            .map(|_| ())
            .ok_or(Field::WeightsWord)
    }

    /// Every word the step can write, over all digits, if it may.
    #[inline(never)]
    fn out(&self, step: &StepRecord, extents: &[u16]) -> Result<Region, Field> {
        let store = Store::from_byte(step.store).ok_or(Field::Store)?;
        let strides = match step.out_digit {
            u8::MAX => 0,
            digit if digit < step.depth => {
                let extent = extents.get(digit as usize).ok_or(Field::OutDigit)?;
                (step.out_stride as usize)
                    .checked_mul(*extent as usize - 1)
                    .ok_or(Field::OutStride)?
            }
            _ => return Err(Field::OutDigit),
        };
        let span = if store.is_table() {
            let table = self
                .table(step.rows_table, step.tiles() * TILE)
                .ok_or(Field::Table)?;
            table
                .iter()
                .filter(|&&at| at != DISCARD)
                .map(|&at| at as usize / 2 + 1)
                .max()
                .unwrap_or(0)
        } else {
            let rows = self
                .table(step.rows_table, step.m_tiles as usize)
                .ok_or(Field::Table)?;
            let cols = self
                .table(step.cols_table, step.cols_len())
                .ok_or(Field::Table)?;
            rows.iter().max().map_or(0, |&words| words as usize)
                + step.columns(cols)
                + match store {
                    Store::Pairs => 4,
                    Store::Columns => 6,
                    _ => (step.row_stride as usize)
                        .checked_add(2)
                        .ok_or(Field::RowStride)?,
                }
        };
        let out = Region::new(
            step.out_word as usize,
            span.checked_add(strides).ok_or(Field::OutStride)?,
        );
        let allowed = if store.adds() { self.z } else { self.scratch };
        if allowed.contains(out) {
            Ok(out)
        } else {
            Err(Field::OutWord)
        }
    }

    /// Largest magnitude that the map can leave in a region; the scratch is zero when it starts.
    #[inline(never)]
    fn input_max(&self, frame_max: u32, program: &Program<'m>, region: Region) -> u32 {
        let mut max = 0;
        let mut meet = |other: Region, bound: u32| {
            if region.overlaps(other) {
                max = max.max(bound);
            }
        };
        if let Some(slab) = self.slab(program.record) {
            meet(slab, frame_max);
        }
        for step in program.steps {
            if let Ok(out) = self.out(step, program.extents()) {
                meet(out, 1 << (step.bits - 1));
            }
            if let Some(acc) = step.acc() {
                meet(acc, 1 << 15);
            }
        }
        max
    }

    #[inline(never)]
    fn dense(&self, map: &MapIn<'m>, record: &DenseRecord) -> Result<(), ParseError> {
        let weights = self
            .dense_weights(map, record)
            .map_err(|fault| fault.of(map.section))?;
        let worst = bound::dense(
            weights,
            record.part_values.div_ceil(2) as usize,
            record.rows as usize / 2,
            record.part_shift,
            map.input_max,
        );
        if worst > i32::MAX as u64 {
            return Err(ParseError::Overflow {
                section: map.section,
                index: 0,
            });
        }
        Ok(())
    }

    /// The weights, if all of the record is sound.
    fn dense_weights(&self, map: &MapIn<'m>, record: &DenseRecord) -> Result<&'m [u32], Fault> {
        let rows = record.rows as usize;
        let part = record.part_values as usize;
        check(rows == self.z.end * 2, Field::Rows, record.rows)?;
        let agree = record.values as usize == map.values;
        check(agree, Field::Values, record.values)?;
        let even = part == map.values || part.is_multiple_of(2);
        let divides = part != 0 && map.values.is_multiple_of(part);
        // The recurrent map reads h where it lies; only a streamed frame is gathered in parts.
        let streamed = map.section == Section::Input;
        check(
            divides && even && (streamed || part == map.values),
            Field::PartValues,
            record.part_values,
        )?;
        let parts = map.values.checked_div(part).unwrap_or(0);
        check(
            record.part_shift <= 16 && (parts > 1 || record.part_shift == 0),
            Field::PartShift,
            record.part_shift,
        )?;
        let buffer = Region::new(record.part_word as usize, part.div_ceil(2));
        check(
            !streamed || self.scratch.contains(buffer),
            Field::PartWord,
            record.part_word,
        )?;
        let acc = Region::new(record.acc_word as usize, rows);
        check(
            parts == 1 || self.scratch.contains(acc) && !acc.overlaps(buffer),
            Field::AccWord,
            record.acc_word,
        )?;
        let words = parts
            .checked_mul(rows / 2)
            .and_then(|n| n.checked_mul(part.div_ceil(2)));
        let weights = words.and_then(|words| self.words(record.weights_word, words));
        let scales = self.words(record.scales_word, rows);
        let scales = scales.ok_or(Fault {
            field: Field::ScalesWord,
            found: record.scales_word,
        })?;
        let negative = scales.iter().find(|&&scale| scale > i32::MAX as u32);
        check(
            negative.is_none(),
            Field::Scales,
            negative.copied().unwrap_or(0),
        )?;
        weights.ok_or(Fault {
            field: Field::WeightsWord,
            found: record.weights_word,
        })
    }
}

impl StepRecord {
    /// The X panels.
    pub(crate) fn input(&self) -> Region {
        Region::new(self.input_word as usize, self.input_words())
    }

    /// The accumulators, if the step keeps any.
    pub(crate) fn acc(&self) -> Option<Region> {
        (self.acc_word != NONE).then(|| Region::new(self.acc_word as usize, self.tiles() * TILE))
    }
}
