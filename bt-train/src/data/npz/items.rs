//! The values of an array, of whatever type, in the order of rows; and what is wrong with some.

use crate::data::npy::Header;
use crate::error::{Error, ErrorKind, Result};
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use std::io::Read;

/// No data set has more classes; a larger label is a mistake.
pub(super) const LABEL_MAX: i64 = 65_535;

pub(super) fn is_integer(header: &Header) -> bool {
    matches!(header.kind, 'i' | 'u') && matches!(header.item_bytes, Some(1 | 2 | 4 | 8))
}

/// All integers, the last axis fastest; what no i64 holds is the largest.
pub(super) fn row_major_integers(header: &Header, reader: &mut dyn Read) -> Result<Vec<i64>> {
    macro_rules! widen {
        ($type:ty) => {
            row_major(header, reader, |item| {
                i64::try_from(<$type>::from_le_bytes(item)).unwrap_or(i64::MAX)
            })
        };
    }
    match (header.kind, header.item_bytes) {
        ('i', Some(1)) => widen!(i8),
        ('i', Some(2)) => widen!(i16),
        ('i', Some(4)) => widen!(i32),
        ('i', _) => widen!(i64),
        (_, Some(1)) => widen!(u8),
        (_, Some(2)) => widen!(u16),
        (_, Some(4)) => widen!(u32),
        _ => widen!(u64),
    }
}

/// Checks that a value is neither a NaN nor an infinity.
pub(super) fn check_finite(value: f32, at: usize, shape: &[usize]) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotFinite {
        value,
        index: unravel(at, shape),
    })
    .remedy("replace such values or drop the sequence"))
}

pub(super) fn check_range(values: &[i64], low: i64, high: i64) -> Result<()> {
    match values
        .iter()
        .position(|value| !(low..=high).contains(value))
    {
        Some(index) => Err(Error::new(ErrorKind::Range {
            found: values[index],
            index,
            low,
            high,
        })),
        None => Ok(()),
    }
}

pub(super) fn wrong_type(header: &Header) -> Error {
    let found = match (header.kind, header.item_bytes) {
        ('f', Some(bytes)) => format!("float{}", 8 * bytes),
        ('i', Some(bytes)) => format!("int{}", 8 * bytes),
        ('u', Some(bytes)) => format!("uint{}", 8 * bytes),
        ('b', _) => "bool".into(),
        ('O', _) => "object".into(),
        ('V', None) => "an array of records".into(),
        _ => header.descr.clone(),
    };
    Error::new(ErrorKind::ElementType { found })
}

/// All values, the last axis fastest.
pub(super) fn row_major<T: Copy, const N: usize>(
    header: &Header,
    reader: &mut dyn Read,
    from: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>> {
    let values = header.values(reader, from)?;
    if !header.columns_first {
        return Ok(values);
    }
    let array = ArrayD::from_shape_vec(IxDyn(&header.shape).f(), values);
    Ok(array.map_err(Error::malformed)?.iter().copied().collect())
}

fn unravel(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (digit, &size) in index.iter_mut().zip(shape).rev() {
        *digit = at % size;
        at /= size;
    }
    index
}
