//! From scores to a class.

/// The place of the largest value, the first of equals; `None` where there are no values.
///
/// A value that compares with nothing (NaN) is never larger than another.
///
/// ```
/// use bt_core::argmax;
///
/// assert_eq!(argmax([-3, 7, 7]), Some(1));
/// assert_eq!(argmax(&[0.5, -0.5]), Some(0));
/// assert_eq!(argmax::<i32>([]), None);
/// ```
pub fn argmax<T: PartialOrd>(values: impl IntoIterator<Item = T>) -> Option<usize> {
    first_largest(values.into_iter().enumerate())
}

/// What comes with the largest value, as of [`argmax`].
pub(crate) fn first_largest<T: PartialOrd>(
    mut values: impl Iterator<Item = (usize, T)>,
) -> Option<usize> {
    let (mut best, mut largest) = values.next()?;
    for (at, value) in values {
        if value > largest {
            (best, largest) = (at, value);
        }
    }
    Some(best)
}
