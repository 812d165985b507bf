//! The values of a data set in the type that their file stores.

use crate::data::mapped::Mapped;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Values as their file stores them, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Unsigned bytes.
    U8(Vec<u8>),
    /// Signed bytes.
    I8(Vec<i8>),
    /// 16-bit integers.
    I16(Vec<i16>),
    /// Single precision.
    F32(Vec<f32>),
    /// Still in their file.
    Mapped(Mapped),
}

/// Type of a data set's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// `uint8`.
    U8,
    /// `int8`.
    I8,
    /// `int16`.
    I16,
    /// `float32`.
    F32,
}

impl ElementType {
    /// Bytes of a value.
    pub fn bytes(self) -> usize {
        match self {
            ElementType::U8 | ElementType::I8 => 1,
            ElementType::I16 => 2,
            ElementType::F32 => 4,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ElementType::U8 => "u8",
            ElementType::I8 => "i8",
            ElementType::I16 => "i16",
            ElementType::F32 => "f32",
        })
    }
}

impl Values {
    /// None of this type.
    pub(crate) fn empty(element: ElementType) -> Values {
        match element {
            ElementType::U8 => Values::U8(Vec::new()),
            ElementType::I8 => Values::I8(Vec::new()),
            ElementType::I16 => Values::I16(Vec::new()),
            ElementType::F32 => Values::F32(Vec::new()),
        }
    }

    /// Adds the values of this type nearest to those given: halves to the even one, the last there is beyond it.
    pub(crate) fn push_nearest(&mut self, more: &[f32]) {
        // A cast saturates.
        let whole = |value: &f32| value.round_ties_even();
        match self {
            Values::U8(values) => values.extend(more.iter().map(|v| whole(v) as u8)),
            Values::I8(values) => values.extend(more.iter().map(|v| whole(v) as i8)),
            Values::I16(values) => values.extend(more.iter().map(|v| whole(v) as i16)),
            Values::F32(values) => values.extend(more),
            Values::Mapped(values) => {
                *self = values.read();
                self.push_nearest(more);
            }
        }
    }

    /// Their type.
    pub fn element_type(&self) -> ElementType {
        match self {
            Values::U8(_) => ElementType::U8,
            Values::I8(_) => ElementType::I8,
            Values::I16(_) => ElementType::I16,
            Values::F32(_) => ElementType::F32,
            Values::Mapped(values) => values.element_type(),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Values::U8(values) => values.len(),
            Values::I8(values) => values.len(),
            Values::I16(values) => values.len(),
            Values::F32(values) => values.len(),
            Values::Mapped(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as they are in memory, read from their file where they are not.
    pub fn in_memory(&self) -> Cow<'_, Values> {
        match self {
            Values::Mapped(values) => Cow::Owned(values.read()),
            values => Cow::Borrowed(values),
        }
    }

    pub(super) fn extend(&mut self, more: &Values) {
        if let Values::Mapped(values) = self {
            *self = values.read();
        }
        match (self, &*more.in_memory()) {
            (Values::U8(values), Values::U8(more)) => values.extend(more),
            (Values::I8(values), Values::I8(more)) => values.extend(more),
            (Values::I16(values), Values::I16(more)) => values.extend(more),
            (Values::F32(values), Values::F32(more)) => values.extend(more),
            (values, more) => panic!("{} and {}", values.element_type(), more.element_type()),
        }
    }

    /// Calls `f` with the place and the value of each in `range`, in order.
    pub fn for_each(&self, range: Range<usize>, mut f: impl FnMut(usize, f32)) {
        match self {
            Values::U8(values) => visit(&values[range], |i, v| f(i, f32::from(v))),
            Values::I8(values) => visit(&values[range], |i, v| f(i, f32::from(v))),
            Values::I16(values) => visit(&values[range], |i, v| f(i, f32::from(v))),
            Values::F32(values) => visit(&values[range], f),
            Values::Mapped(values) => values.for_each(range, f),
        }
    }
}

fn visit<T: Copy>(values: &[T], mut f: impl FnMut(usize, T)) {
    for (i, &value) in values.iter().enumerate() {
        f(i, value);
    }
}
