//! What a frame is: its values, their type, offset and scale, and the filter that it passes.

use bytemuck::{try_cast_slice, try_from_bytes};

use super::super::error::{Fault, Feature, Field, ParseError, check};
use super::super::layout::{
    self, FILTER_FRACTION_MAX, FilterRecord, FormatRecord, HORIZON_SHIFT_MAX, HostRecord,
    MetaRecord, Section,
};
use super::super::sections::Sections;
use super::super::{InputType, is_unscaled, takes_scales};
use crate::front_end::FrontEnd;
use crate::program::NONE;
use crate::size::Size;

/// That the header, the map's width and the front end agree on the values to push for one step.
#[inline(never)]
pub(super) fn frame_values(
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

/// The filter of the input, and what z starts from where there is one.
#[inline(never)]
pub(super) fn filter<'m>(
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

/// Largest magnitude of what the input map reads, and that the numbers its values meet are there.
#[inline(never)]
pub(super) fn input_max(
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
    if takes_scales(meta, format) {
        Feature::Scales.check()?;
    }
    Ok(if is_unscaled(meta, format) {
        values.map_max(zero)
    } else {
        InputType::I16.map_max(0)
    })
}

/// That the host can quantise floats: LSBs and offsets are numbers, one for all values or one each.
#[inline(never)]
pub(super) fn host(
    sections: &Sections<'_>,
    meta: &MetaRecord,
    has_front_end: bool,
) -> Result<(), ParseError> {
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
