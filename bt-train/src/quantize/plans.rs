//! interim
use crate::error::{Error, Result};
use crate::float::config::{MapKind, ModelConfig};
use crate::plan::shape::{Form, TensorShape};
use crate::plan::{Join, Lowered, Plan, lower};

/// What plans have to keep to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// RAM
    pub ram_bytes: Option<usize>,
    /// flash
    pub flash_bytes: Option<usize>,
}
/// Plans
pub struct Plans {
    /// input
    pub input: Option<Plan>,
    /// recurrent
    pub recurrent: Option<Plan>,
}

fn cost(l: &Lowered) -> u64 {
    l.steps
        .iter()
        .map(|st| {
            let r = &st.record;
            let runs: u64 = l.record.extents[..r.depth as usize]
                .iter()
                .map(|&e| u64::from(e))
                .product();
            let per = if r.store >= 3 { 45 } else { 12 };
            runs * (r.tiles() as u64 * (11 * u64::from(r.k_pairs) + per) + 120)
        })
        .sum()
}
fn shape(kind: MapKind, inputs: &[usize], hidden: &[usize]) -> Option<TensorShape> {
    let mut outputs = hidden.to_vec();
    outputs[0] *= 4;
    let (form, rank) = match kind {
        MapKind::BlockTerm { blocks, rank } => (Form::BlockTerm { blocks }, rank),
        MapKind::TensorTrain { rank } => (Form::TensorTrain, rank),
        MapKind::Dense => return None,
    };
    Some(TensorShape {
        form,
        inputs: inputs.to_vec(),
        outputs,
        rank,
    })
}
fn best(shape: &TensorShape) -> Result<Plan> {
    let d = shape.order();
    let mut best: Option<(u64, Plan)> = None;
    for slab in 1..=d {
        for rev in [false, true] {
            let mut order: Vec<usize> = (d - slab..d).collect();
            if rev {
                order.reverse();
            }
            order.extend((0..d - slab).rev());
            for join in (0..d).map(Join::Merged).chain((1..d).map(Join::Alone)) {
                for joint in [false, true] {
                    if joint && shape.blocks() == 1 {
                        continue;
                    }
                    let plan = Plan {
                        order: order.clone(),
                        slab,
                        join,
                        buffer: 1,
                        joint,
                        wide: false,
                    };
                    if let Ok(l) = lower(shape, &plan) {
                        if l.scratch_words > 6000 {
                            continue;
                        }
                        let c = cost(&l);
                        if best.as_ref().is_none_or(|b| c < b.0) {
                            best = Some((c, plan));
                        }
                    }
                }
            }
        }
    }
    best.map(|b| b.1).ok_or_else(|| Error::setting("no plan"))
}
/// Plans
pub fn for_model(config: &ModelConfig, _limits: &Limits) -> Result<Plans> {
    let h = &config.hidden.modes;
    Ok(Plans {
        input: shape(config.input.map, &config.input.modes, h)
            .map(|s| best(&s))
            .transpose()?,
        recurrent: shape(config.recurrent.map, h, h)
            .map(|s| best(&s))
            .transpose()?,
    })
}
