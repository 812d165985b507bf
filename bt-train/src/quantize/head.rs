//! The head in integers.

use ndarray::{ArrayView2, Axis};

/// Head weights in i16 at the largest scale whose sums cannot leave 32 bits; logits = raw · 2^−shift. What
/// it reads has so many fraction bits; the bias is added so many times.
pub(super) fn head(
    weight: ArrayView2<'_, f64>,
    bias: &[f64],
    fraction: i32,
    times: u32,
) -> (Vec<i16>, Vec<i32>, i32) {
    // As many bits as the largest weight leaves: all are finite, so that some shift fits.
    let largest = weight
        .iter()
        .chain(bias)
        .fold(0.0f64, |max, w| max.max(w.abs()));
    let mut shift = match largest {
        0.0 => 30,
        largest => 31 - largest.log2().floor() as i32,
    };
    loop {
        let factor = 2f64.powi(shift - fraction);
        let levels = weight.mapv(|w| (w * factor).round());
        let fits = levels.iter().all(|w| w.abs() <= 32_767.0)
            && levels.axis_iter(Axis(0)).zip(bias).all(|(row, b)| {
                let sum: f64 = row.iter().map(|w| w.abs() * 32_768.0).sum();
                let bias = (b * 2f64.powi(shift)).abs() + 1.0;
                sum + f64::from(times) * bias <= f64::from(i32::MAX)
            });
        if fits {
            let bias = bias
                .iter()
                .map(|b| (b * 2f64.powi(shift)).round() as i32)
                .collect();
            return (levels.iter().map(|&w| w as i16).collect(), bias, shift);
        }
        shift -= 1;
    }
}
