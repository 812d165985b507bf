//! The block-term map of Ye et al.: Σ over blocks of a Tucker product.
//!
//! `W[j, i] = Σ_n Σ_r G_n[r_1, …, r_d] · Π_k A_n^(k)[i_k, j_k, r_k]`
//!
//! The matrix never exists. Of all orders that read the frame once (which axis
//! first, where the core joins, merged into a factor or by itself) the
//! constructor takes the one that [`Stages::cost`] finds cheapest.

use super::chain::{Chain, Scratch};
use super::stages::{Shuffle, Stage, Stages};
use super::{Frames, Map, Prepared, WeightSums};
use crate::float::real::Real;
use crate::float::spare::Spare;
use crate::shape::name;
use ndarray::{Array2, Array3, ArrayD, ArrayView2, ArrayViewD, ArrayViewMutD, Axis, IxDyn};

/// Weights of a block-term map: N·(Σ_k I_k·J_k·R + R^d) of them.
#[derive(Debug, Clone)]
pub struct BlockTerm<T> {
    cores: Vec<ArrayD<T>>,
    /// `factors[n][k]`: [I_k, J_k, R].
    factors: Vec<Vec<Array3<T>>>,
    order: Order,
    plan: Stages,
    spare: Spare<Scratch<T>>,
}

/// How the weights take part in the stages of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Order {
    /// Axes in the order of the contraction's layout; the last goes first.
    axes: Vec<usize>,
    /// Position in `axes` at which the core joins.
    join: usize,
    /// The core is a stage of its own, before that axis' factor.
    separate: bool,
}

impl<T: Real> BlockTerm<T> {
    /// A map with all weights zero: `input` and `output` modes, slowest first.
    ///
    /// # Panics
    /// If the numbers of modes differ or are 0.
    pub fn zeros(input: &[usize], output: &[usize], blocks: usize, rank: usize) -> BlockTerm<T> {
        assert!(
            !input.is_empty() && input.len() == output.len(),
            "{} input modes and {} output modes",
            input.len(),
            output.len()
        );
        let (order, plan) = Order::all(input.len())
            .map(|order| {
                let plan = order.contraction(input, output, blocks, rank);
                (order, plan)
            })
            .min_by_key(|(_, plan)| plan.cost())
            .expect("at least one order");
        BlockTerm::with_order(input, output, blocks, rank, order, plan)
    }

    fn with_order(
        input: &[usize],
        output: &[usize],
        blocks: usize,
        rank: usize,
        order: Order,
        plan: Stages,
    ) -> BlockTerm<T> {
        let factors: Vec<Array3<T>> = input
            .iter()
            .zip(output)
            .map(|(&i, &j)| Array3::zeros((i, j, rank)))
            .collect();
        BlockTerm {
            cores: vec![ArrayD::zeros(IxDyn(&vec![rank; input.len()])); blocks],
            factors: vec![factors; blocks],
            order,
            plan,
            spare: Spare::default(),
        }
    }

    /// The order in which it is computed.
    pub fn plan(&self) -> &Stages {
        &self.plan
    }

    fn rank(&self) -> usize {
        self.cores[0].shape()[0]
    }

    /// The core as a matrix [r_join, (r after the join, r before it backwards)].
    fn core_matrix(&self, core: &ArrayD<T>) -> Array2<T> {
        let rank = self.rank();
        let permuted = core.view().permuted_axes(self.order.core_axes());
        let values = permuted.iter().copied().collect();
        let rest = rank.pow(self.order.axes.len() as u32 - 1);
        Array2::from_shape_vec((rank, rest), values).expect("as many values as core entries")
    }

    /// The way back, for the core's gradient.
    fn core_from_matrix(&self, matrix: Array2<T>) -> ArrayD<T> {
        let axes = self.order.core_axes();
        let mut inverse = vec![0; axes.len()];
        for (to, &from) in axes.iter().enumerate() {
            inverse[from] = to;
        }
        let shape = vec![self.rank(); axes.len()];
        let matrix = matrix.as_standard_layout();
        let array = matrix.to_shape(IxDyn(&shape));
        let array = array.expect("as many values as core entries");
        standard(array.view().permuted_axes(inverse))
    }

    /// Ranks that end at the join and ranks that wait for later stages.
    fn rank_split(&self) -> (usize, usize) {
        let rank = self.rank();
        let ended = self.order.axes.len() - 1 - self.order.join;
        (rank.pow(ended as u32), rank.pow(self.order.join as u32))
    }

    /// Weights of every stage [blocks, sum, new].
    fn stage_weights(&self) -> Vec<Array3<T>> {
        let roles = self.order.roles();
        let weights = self.plan.stages.iter().zip(roles).map(|(stage, role)| {
            let mut all = Array3::zeros((self.cores.len(), stage.sum, stage.new));
            for (n, mut weight) in all.axis_iter_mut(Axis(0)).enumerate() {
                let values = self.stage_weight(n, role);
                weight.assign(
                    &values
                        .into_shape_with_order((stage.sum, stage.new))
                        .expect("the plan's sizes"),
                );
            }
            all
        });
        weights.collect()
    }

    /// One block's weights of one stage, in row-major order whatever the shape.
    fn stage_weight(&self, n: usize, role: Role) -> ArrayD<T> {
        let factor = |position: usize| &self.factors[n][self.order.axes[position]];
        let (ended, waiting) = self.rank_split();
        match role {
            Role::Before(p) => standard(factor(p).view().permuted_axes([0, 2, 1]).into_dyn()),
            Role::After(p) => standard(factor(p).view().permuted_axes([0, 2, 1]).into_dyn()),
            Role::Merged(p) => {
                let factor = factor(p);
                let (i, j, rank) = factor.dim();
                let factor = factor.view().into_shape_with_order((i * j, rank));
                let factor = factor.expect("standard layout");
                // A product may come out column-major.
                let merged = factor.dot(&self.core_matrix(&self.cores[n]));
                let merged = merged.as_standard_layout().into_owned();
                let merged = merged.into_shape_with_order((i, j, ended, waiting));
                let merged = merged.expect("the core's ranks");
                standard(merged.view().permuted_axes([0, 2, 3, 1]).into_dyn())
            }
            Role::Core => {
                let core = self.core_matrix(&self.cores[n]);
                let core = core.into_shape_with_order((self.rank(), ended, waiting));
                let core = core.expect("the core's ranks");
                standard(core.view().permuted_axes([1, 0, 2]).into_dyn())
            }
        }
    }

    /// Gradients of cores and factors from those of the stages' weights, in the
    /// order of `parameters`.
    fn parameter_gradients(&self, stages: Vec<Array3<T>>) -> Vec<ArrayD<T>> {
        let (ended, waiting) = self.rank_split();
        let rank = self.rank();
        let roles = self.order.roles();
        let mut all = Vec::new();
        for n in 0..self.cores.len() {
            let mut core = None;
            let mut factors: Vec<Option<ArrayD<T>>> = vec![None; self.order.axes.len()];
            for (gradient, &role) in stages.iter().zip(&roles) {
                let gradient = gradient.index_axis(Axis(0), n);
                let gradient = gradient.as_standard_layout().into_owned();
                match role {
                    Role::Before(p) | Role::After(p) => {
                        let axis = self.order.axes[p];
                        let (i, j, _) = self.factors[n][axis].dim();
                        let gradient = gradient.into_shape_with_order((i, rank, j));
                        let gradient = gradient.expect("the plan's sizes");
                        let gradient = gradient.permuted_axes([0, 2, 1]).into_dyn();
                        factors[axis] = Some(standard(gradient.view()));
                    }
                    Role::Merged(p) => {
                        let axis = self.order.axes[p];
                        let factor = &self.factors[n][axis];
                        let (i, j, _) = factor.dim();
                        let gradient = gradient.into_shape_with_order((i, ended, waiting, j));
                        let gradient = gradient.expect("the plan's sizes");
                        let gradient = gradient.permuted_axes([0, 3, 1, 2]);
                        let gradient = gradient.as_standard_layout();
                        let gradient = gradient
                            .to_shape((i * j, ended * waiting))
                            .expect("standard layout");
                        let matrix = self.core_matrix(&self.cores[n]);
                        let by_factor = gradient.dot(&matrix.t());
                        let by_factor = by_factor.as_standard_layout().into_owned();
                        let by_factor = by_factor.into_shape_with_order((i, j, rank));
                        factors[axis] = Some(by_factor.expect("the factor's shape").into_dyn());
                        let factor = factor.view().into_shape_with_order((i * j, rank));
                        let by_core = factor.expect("standard layout").t().dot(&gradient);
                        core = Some(self.core_from_matrix(by_core));
                    }
                    Role::Core => {
                        let gradient = gradient.into_shape_with_order((ended, rank, waiting));
                        let gradient = gradient.expect("the plan's sizes");
                        let gradient = gradient.permuted_axes([1, 0, 2]);
                        let gradient = gradient.as_standard_layout();
                        let matrix = gradient.to_shape((rank, ended * waiting));
                        let matrix = matrix.expect("standard layout").into_owned();
                        core = Some(self.core_from_matrix(matrix));
                    }
                }
            }
            all.push(core.expect("the core joins at one stage"));
            all.extend(factors.into_iter().flatten());
        }
        all
    }
}

fn standard<T: Real>(view: ArrayViewD<'_, T>) -> ArrayD<T> {
    view.as_standard_layout().into_owned()
}

/// What a stage's weights are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A factor before the core has joined: [i, (r, j)].
    Before(usize),
    /// Core and factor in one: [(i, r after), (r before backwards, j)].
    Merged(usize),
    /// The core alone: [r after, (r, r before backwards)].
    Core,
    /// A factor after the core has joined: [(i, r), j].
    After(usize),
}

impl Order {
    /// Every order for d axes; of equally good ones the first touches the
    /// frame most nearly in the order of its memory.
    fn all(d: usize) -> impl Iterator<Item = Order> {
        (0..d).rev().flat_map(move |first| {
            let mut axes: Vec<usize> = (0..d).filter(|&k| k != first).collect();
            axes.push(first);
            (0..d).flat_map(move |join| {
                let axes = axes.clone();
                // By itself at the very first axis, the core would have
                // nothing to sum over yet.
                let kinds = if join + 1 < d { 2 } else { 1 };
                (0..kinds).map(move |kind| Order {
                    axes: axes.clone(),
                    join,
                    separate: kind == 1,
                })
            })
        })
    }

    /// Axes of the core as a matrix: joined, ended, waiting backwards.
    fn core_axes(&self) -> Vec<usize> {
        let (before, rest) = self.axes.split_at(self.join);
        rest.iter().chain(before.iter().rev()).copied().collect()
    }

    fn roles(&self) -> Vec<Role> {
        let mut roles = Vec::new();
        for p in (0..self.axes.len()).rev() {
            if p > self.join {
                roles.push(Role::Before(p));
            } else if p < self.join {
                roles.push(Role::After(p));
            } else if self.separate {
                roles.extend([Role::Core, Role::After(p)]);
            } else {
                roles.push(Role::Merged(p));
            }
        }
        roles
    }

    fn contraction(&self, input: &[usize], output: &[usize], blocks: usize, rank: usize) -> Stages {
        let d = self.axes.len();
        let power = |exponent: usize| rank.pow(exponent as u32);
        let size = |p: usize| (input[self.axes[p]], output[self.axes[p]]);
        let before = |p: usize| (0..p).map(|q| size(q).0).product::<usize>();
        let finished = |p: usize| (p + 1..d).map(|q| size(q).1).product::<usize>();
        let stages = self.roles().into_iter().map(|role| match role {
            Role::Before(p) => Stage {
                before: before(p),
                sum: size(p).0,
                side: 1,
                new: rank * size(p).1,
                post: power(d - 1 - p) * finished(p),
                shuffle: (p == self.join + 1)
                    .then(|| (p..d).map(|q| (rank, size(q).1)).collect::<Vec<_>>())
                    .and_then(|pairs| Shuffle::new(&pairs)),
            },
            Role::Merged(p) => Stage {
                before: before(p),
                sum: size(p).0 * power(d - 1 - p),
                side: 1,
                new: power(p) * size(p).1,
                post: finished(p),
                shuffle: None,
            },
            Role::Core => Stage {
                before: before(self.join + 1),
                sum: power(d - 1 - self.join),
                side: 1,
                new: power(self.join + 1),
                post: finished(self.join),
                shuffle: None,
            },
            Role::After(p) => Stage {
                before: before(p),
                sum: size(p).0 * rank,
                side: power(p),
                new: size(p).1,
                post: finished(p),
                shuffle: None,
            },
        });
        let stages = stages.collect();
        let first = self.axes[d - 1];
        let pure_second = d >= 3 && self.join + 2 < d;
        Stages::new(input, output, first, blocks, stages, pure_second)
    }
}

impl<T: Real> Map<T> for BlockTerm<T> {
    fn inputs(&self) -> usize {
        self.plan.inputs()
    }

    fn outputs(&self) -> usize {
        self.plan.outputs()
    }

    fn parameters(&self) -> Vec<(String, ArrayViewD<'_, T>)> {
        let mut all = Vec::new();
        for (n, (core, factors)) in self.cores.iter().zip(&self.factors).enumerate() {
            all.push((name::core(n), core.view()));
            for (k, factor) in factors.iter().enumerate() {
                all.push((name::factor(n, k), factor.view().into_dyn()));
            }
        }
        all
    }

    fn parameters_mut(&mut self) -> Vec<(String, ArrayViewMutD<'_, T>)> {
        let mut all = Vec::new();
        let blocks = self.cores.iter_mut().zip(&mut self.factors);
        for (n, (core, factors)) in blocks.enumerate() {
            all.push((name::core(n), core.view_mut()));
            for (k, factor) in factors.iter_mut().enumerate() {
                all.push((name::factor(n, k), factor.view_mut().into_dyn()));
            }
        }
        all
    }

    fn prepare(&self) -> Box<dyn Prepared<T> + '_> {
        Box::new(PreparedBlockTerm {
            map: self,
            chain: Chain::new(&self.plan, self.stage_weights(), &self.spare),
        })
    }

    fn boxed_clone(&self) -> Box<dyn Map<T>> {
        Box::new(self.clone())
    }
}

struct PreparedBlockTerm<'a, T> {
    map: &'a BlockTerm<T>,
    chain: Chain<'a, T>,
}

impl<T: Real> Prepared<T> for PreparedBlockTerm<'_, T> {
    fn forward(&self, x: &Frames<'_, T>, z: &mut [T]) -> Vec<T> {
        self.chain.forward(x, z)
    }

    fn input_gradient(&self, dz: ArrayView2<'_, T>, dx: &mut [T]) {
        self.chain.input_gradient(dz, dx);
    }

    fn add_weight_gradient(
        &self,
        x: &Frames<'_, T>,
        kept: &[T],
        dz: ArrayView2<'_, T>,
        sums: &mut WeightSums<T>,
    ) {
        sums.add(self.chain.weight_gradient(x, kept, dz));
    }

    fn add_both_gradients(
        &self,
        x: &Frames<'_, T>,
        kept: &[T],
        dz: ArrayView2<'_, T>,
        dx: &mut [T],
        sums: &mut WeightSums<T>,
    ) -> bool {
        sums.add(self.chain.both_gradients(x, kept, dz, dx));
        true
    }

    fn of_parameters(&self, sums: WeightSums<T>) -> Vec<ArrayD<T>> {
        self.map.parameter_gradients(self.chain.of_stages(sums))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    fn fill(map: &mut dyn Map<f64>) {
        for (seed, (_, mut values)) in map.parameters_mut().into_iter().enumerate() {
            let noise = check::noise(values.len(), seed as u64 + 11);
            values.iter_mut().zip(noise).for_each(|(v, n)| *v = n);
        }
    }

    /// W from its definition, entry by entry.
    fn naive(map: &BlockTerm<f64>, input: &[usize], output: &[usize]) -> Array2<f64> {
        let digits = |mut value: usize, modes: &[usize]| {
            let mut digits = vec![0; modes.len()];
            for (digit, &mode) in digits.iter_mut().zip(modes).rev() {
                *digit = value % mode;
                value /= mode;
            }
            digits
        };
        Array2::from_shape_fn((map.outputs(), map.inputs()), |(j, i)| {
            let (i, j) = (digits(i, input), digits(j, output));
            let mut sum = 0.0;
            for (core, factors) in map.cores.iter().zip(&map.factors) {
                for (ranks, g) in core.indexed_iter() {
                    let mut term = *g;
                    for (k, factor) in factors.iter().enumerate() {
                        term *= factor[[i[k], j[k], ranks[k]]];
                    }
                    sum += term;
                }
            }
            sum
        })
    }

    const SHAPES: &[(&[usize], &[usize], usize, usize)] = &[
        (&[6], &[4], 2, 3),
        (&[3, 4], &[8, 3], 2, 2),
        (&[4, 1], &[4, 5], 1, 3),
        (&[3, 2, 4], &[4, 3, 2], 2, 2),
        (&[1, 5, 1], &[8, 1, 2], 3, 2),
        (&[2, 3, 2, 3], &[4, 2, 1, 3], 2, 2),
        (&[2, 2, 3, 1, 2], &[4, 1, 2, 2, 1], 2, 2),
        (&[2, 1, 2, 2, 3, 2], &[4, 2, 1, 1, 2, 1], 1, 2),
    ];

    #[test]
    fn every_order_equals_the_definition() {
        for &(input, output, blocks, rank) in SHAPES {
            for order in Order::all(input.len()) {
                let plan = order.contraction(input, output, blocks, rank);
                let mut map =
                    BlockTerm::with_order(input, output, blocks, rank, order.clone(), plan);
                fill(&mut map);
                let expected = naive(&map, input, output);
                let found = check::matrix(&map);
                let error = (&found - &expected).mapv(f64::abs);
                assert!(
                    error.iter().all(|&e| e < 1e-12),
                    "{input:?} {output:?} {order:?}"
                );
            }
        }
    }

    #[test]
    fn gradients_in_every_order() {
        for &(input, output, blocks, rank) in SHAPES {
            for order in Order::all(input.len()) {
                let plan = order.contraction(input, output, blocks, rank);
                let mut map = BlockTerm::with_order(input, output, blocks, rank, order, plan);
                fill(&mut map);
                check::gradients(&mut map, 3);
            }
        }
    }

    /// Frames too large for the cache are cut into slices; these are.
    #[test]
    fn cut_frames() {
        for (input, output) in [
            (&[4, 20, 20, 18], &[16, 4, 4, 4]),
            (&[20, 4, 18, 20], &[4, 4, 4, 16]),
        ] {
            let mut map = BlockTerm::zeros(input, output, 2, 4);
            fill(&mut map);
            assert!(map.plan().slices > 1, "{:?}", map.plan());
            check::gradients(&mut map, 2);
            check::same_on_any_number_of_threads(&map, 35);
        }
    }

    /// More frames than fit into one group, and a last group that is not full.
    #[test]
    fn grouped_frames() {
        let mut map = BlockTerm::zeros(&[4, 4, 4], &[8, 2, 2], 2, 2);
        fill(&mut map);
        assert!(map.plan().group > 1);
        check::gradients(&mut map, 37);
        check::same_on_any_number_of_threads(&map, 37);
    }

    /// The plan of the paper's UCF11 layer is no worse than the design's best.
    #[test]
    fn paper_shape() {
        let map = BlockTerm::<f32>::zeros(&[8, 20, 20, 18], &[16, 4, 4, 4], 2, 4);
        assert!(map.plan().macs() <= 4_857_856, "{}", map.plan().macs());
        let count: usize = map.parameters().iter().map(|(_, value)| value.len()).sum();
        assert_eq!(count, 3_392);
    }
}
