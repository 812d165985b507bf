//! The head of an imported model.

use crate::float::checkpoint::{Checkpoint, HEAD_OFFSET, HEAD_SCALE};
use ndarray::Axis;

/// The same values from logits that are themselves less `offset`, by `scale`, each `[K]`: of targets of that mean and
/// deviation the loss is then one that a learning rate fits, and integers hold them whatever their unit.
///
/// # Panics
/// If the head does not give K values.
pub fn rescale(checkpoint: &mut Checkpoint, offset: &[f32], scale: &[f32]) {
    let own = |checkpoint: &Checkpoint, name: &str| -> Vec<f64> {
        checkpoint.tensors[name].iter().map(|&v| v.into()).collect()
    };
    let (old_offset, old_scale) = (own(checkpoint, HEAD_OFFSET), own(checkpoint, HEAD_SCALE));
    let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let (new_offset, new_scale) = (wide(offset), wide(scale));
    let mut change = |name: &str, change: &dyn Fn(usize, f64) -> f64| {
        let tensor = checkpoint.tensors.get_mut(name).expect("a head's");
        for (k, mut row) in tensor.axis_iter_mut(Axis(0)).enumerate() {
            row.mapv_inplace(|value| change(k, value.into()) as f32);
        }
    };
    change("head.weight", &|k, weight| {
        weight * old_scale[k] / new_scale[k]
    });
    change("head.bias", &|k, bias| {
        (bias * old_scale[k] + old_offset[k] - new_offset[k]) / new_scale[k]
    });
    change(HEAD_OFFSET, &|k, _| new_offset[k]);
    change(HEAD_SCALE, &|k, _| new_scale[k]);
}
