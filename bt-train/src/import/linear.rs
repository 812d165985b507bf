//! Small systems of linear equations, as least squares leave them.

use ndarray::{Array2, ArrayView2};

/// Solves S·X = `right` for a symmetric S [n, n] without negative eigenvalues, such as a Gram matrix. Where S is
/// singular, the smallest multiple of the identity that makes it solvable is added: of the many solutions one that
/// is not large.
///
/// # Panics
/// If the sizes do not fit.
pub fn solve(gram: ArrayView2<'_, f64>, right: ArrayView2<'_, f64>) -> Array2<f64> {
    let size = gram.nrows();
    assert_eq!((gram.ncols(), right.nrows()), (size, size), "sizes");
    let mean = gram.diag().sum() / size.max(1) as f64;
    for exponent in [-12, -10, -8, -6, -4, -2, 0] {
        // With a Gram of zeros everything is a solution; zeros are the smallest.
        let added = if mean > 0.0 {
            10f64.powi(exponent) * mean
        } else {
            1.0
        };
        if let Some(factor) = cholesky(gram, added) {
            return substitute(&factor, right);
        }
    }
    // No Gram matrix at all.
    Array2::zeros(right.raw_dim())
}

/// L with L·Lᵀ = S + `added`·1; `None` where a pivot is lost in rounding.
fn cholesky(gram: ArrayView2<'_, f64>, added: f64) -> Option<Array2<f64>> {
    let size = gram.nrows();
    let mut lower = Array2::zeros((size, size));
    for row in 0..size {
        for column in 0..=row {
            let done: f64 = (0..column)
                .map(|k| lower[[row, k]] * lower[[column, k]])
                .sum();
            let rest: f64 = gram[[row, column]] - done;
            lower[[row, column]] = if row == column {
                let pivot = rest + added;
                if pivot.is_nan() || pivot <= 0.25 * added {
                    return None;
                }
                pivot.sqrt()
            } else {
                rest / lower[[column, column]]
            };
        }
    }
    Some(lower)
}

/// X with L·Lᵀ·X = `right`.
fn substitute(lower: &Array2<f64>, right: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut x = right.to_owned();
    for mut column in x.columns_mut() {
        for row in 0..lower.nrows() {
            let done: f64 = (0..row).map(|k| lower[[row, k]] * column[k]).sum();
            column[row] = (column[row] - done) / lower[[row, row]];
        }
        for row in (0..lower.nrows()).rev() {
            let done: f64 = (row + 1..lower.nrows())
                .map(|k| lower[[k, row]] * column[k])
                .sum();
            column[row] = (column[row] - done) / lower[[row, row]];
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn solves_what_can_be_solved() {
        // x = (1, −2, 3) and (0, 1, 0), put in by hand.
        let gram = array![[4.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 2.0]];
        let right = array![[2.0, 1.0], [-8.0, 3.0], [8.0, -1.0]];
        let found = solve(gram.view(), right.view());
        let expected = array![[1.0, 0.0], [-2.0, 1.0], [3.0, 0.0]];
        assert!((found - expected).iter().all(|e: &f64| e.abs() < 1e-9));
    }

    /// Two unknowns that only appear as their sum: each takes half.
    #[test]
    fn a_singular_system_has_a_small_solution() {
        let gram = array![[1.0, 1.0], [1.0, 1.0]];
        let found = solve(gram.view(), array![[2.0], [2.0]].view());
        assert!(
            (found - array![[1.0], [1.0]])
                .iter()
                .all(|e: &f64| e.abs() < 1e-3)
        );
        let none = solve(array![[0.0]].view(), array![[0.0]].view());
        assert_eq!(none, array![[0.0]]);
    }
}
