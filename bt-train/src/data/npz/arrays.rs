//! Arrays as the contract wants them: x, integers, names; and what is wrong with others.

use super::items::{
    LABEL_MAX, check_finite, is_integer, row_major, row_major_integers, wrong_type,
};
use super::{Archive, natural};
use crate::data::npy::Header;
use crate::data::{ElementType, Values, memory};
use crate::error::{Error, ErrorKind, Result};
use std::io::Read;

impl Archive {
    pub(super) fn values(&mut self, field: &str) -> Result<(Values, Vec<usize>)> {
        let room = self.room;
        self.array(field, |header, reader, place| {
            let shape = header.shape.clone();
            let natural = natural::bytes(header);
            let element = match (element_type(header), natural) {
                (Some(element), _) => element,
                (None, Some(_)) => ElementType::F32,
                (None, None) => {
                    return Err(wrong_type(header).remedy("save it as f32, u8, i8 or i16"));
                }
            };
            if shape.len() < 3 || shape.contains(&0) {
                return Err(Error::new(ErrorKind::Shape {
                    expected: "[sequences, steps, features…], none of them 0".into(),
                    found: shape,
                })
                .remedy("reshape it; a single feature a step still needs an axis"));
            }
            let item_bytes = natural.unwrap_or(element.bytes() as u64);
            let bytes = (header.items as u64).saturating_mul(item_bytes);
            let as_it_lies = !header.columns_first && !header.big_endian && natural.is_none();
            if let Some(place) = place.filter(|_| bytes >= room.map_from && as_it_lies) {
                // They are read once all the same: an archive's checksum is over all of them.
                match element {
                    ElementType::F32 => {
                        let mut at = 0;
                        header.for_each(reader, |item| {
                            at += 1;
                            check_finite(f32::from_le_bytes(item), at - 1, &shape)
                        })?;
                    }
                    _ => {
                        std::io::copy(&mut reader.take(bytes), &mut std::io::sink())?;
                    }
                }
                let mapped = place.mapped(bytes as usize, element)?;
                return Ok((Values::Mapped(mapped), shape));
            }
            let copies = if header.columns_first { 2 } else { 1 };
            memory::check(bytes.saturating_mul(copies), room.available).map_err(|error| {
                error.remedy(
                    "save it with numpy.savez, not compressed, rows first: it then stays in its file",
                )
            })?;
            if natural.is_some() {
                let width = shape[2..].iter().product();
                return Ok((Values::F32(natural::read(header, reader, width)?), shape));
            }
            let values = match element {
                ElementType::U8 => Values::U8(row_major(header, reader, u8::from_le_bytes)?),
                ElementType::I8 => Values::I8(row_major(header, reader, i8::from_le_bytes)?),
                ElementType::I16 => Values::I16(row_major(header, reader, i16::from_le_bytes)?),
                ElementType::F32 => Values::F32(row_major(header, reader, f32::from_le_bytes)?),
            };
            if let Values::F32(values) = &values {
                for (at, &value) in values.iter().enumerate() {
                    check_finite(value, at, &shape)?;
                }
            }
            Ok((values, shape))
        })
    }

    /// One integer for each sequence, of any integer type.
    pub(super) fn integers(&mut self, field: &str, sequences: usize) -> Result<Vec<i64>> {
        self.array(field, |header, reader, _| {
            if !is_integer(header) {
                return Err(wrong_type(header).remedy("save one integer for each sequence"));
            }
            if header.shape != [sequences] {
                return Err(Error::new(ErrorKind::Shape {
                    expected: format!("[{sequences}], one value for each sequence of x"),
                    found: header.shape.clone(),
                })
                .remedy("save one integer for each sequence"));
            }
            row_major_integers(header, reader)
        })
    }

    pub(super) fn strings(&mut self, field: &str) -> Result<Vec<String>> {
        self.array(field, |header, reader, _| {
            if header.kind != 'U' {
                return Err(wrong_type(header).remedy("save it as an array of str (dtype <U)"));
            }
            if header.shape.len() != 1 {
                return Err(Error::new(ErrorKind::Shape {
                    expected: "[classes]".into(),
                    found: header.shape.clone(),
                })
                .remedy("give one name for each class"));
            }
            if header.items as i64 > LABEL_MAX + 1 || header.bytes() > Some(NAMES_MAX) {
                return Err(Error::new(ErrorKind::Names {
                    count: header.items,
                    characters: header.item_bytes.unwrap_or(0) / 4,
                })
                .remedy("give one short name for each class"));
            }
            header.texts(reader)
        })
    }
}

/// The type that x keeps in memory, if it can.
fn element_type(header: &Header) -> Option<ElementType> {
    match (header.kind, header.item_bytes) {
        ('u', Some(1)) => Some(ElementType::U8),
        ('i', Some(1)) => Some(ElementType::I8),
        ('i', Some(2)) => Some(ElementType::I16),
        ('f', Some(4)) => Some(ElementType::F32),
        _ => None,
    }
}

/// Bytes that the names of all classes may take, four a character.
const NAMES_MAX: u64 = 1 << 24;
