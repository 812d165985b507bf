//! Bases of a block-term map's ranks in which its levels lose least.
//!
//! A block stays the same if its factor A_k is multiplied by a matrix T along the rank and its core by T⁻¹. Its
//! integers do not. All values of a level share one scale, so the row of A_k whose sums can grow most decides how
//! coarse it is, and the core carries what rounding leaves to z. So of each mode whose factor is summed over before
//! the core joins, T makes
//!
//! ```text
//! (max over j, r of Σ_i |A_k T|[i, j, r])² · trace(T⁻¹ Q T⁻ᵀ),   Q = G_(k) (⊗ A_mᵀ A_m, m ≠ k) G_(k)ᵀ
//! ```
//!
//! smaller: the square of the step times the power that steps of one unit leave in z. The device does the same work;
//! only weights differ. A search by single columns finds some 1 to 3 dB for random factors.

use crate::plan::lower::Lowered;
use crate::plan::{Join, TensorMap};
use ndarray::{Array2, ArrayD, ArrayView1, Axis};

/// The first change of a column that is tried, as a share of another; it is halved until nothing is found.
const FIRST_STEP: f64 = 0.5;
/// The last.
const LAST_STEP: f64 = 0.01;
/// Below this share of the first cost nothing is left to gain.
const LEAST: f64 = 1e-12;
/// What a change has to leave of the cost, at most.
const WORTH: f64 = 0.999;

/// One basis for every mode of every block that gets one; none: the map's own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bases(Vec<Basis>);

#[derive(Debug, Clone, PartialEq)]
struct Basis {
    block: usize,
    mode: usize,
    /// T, and its inverse.
    to: Array2<f64>,
    back: Array2<f64>,
}

impl Bases {
    /// The bases for a map whose plan is known; none for a tensor train.
    pub fn of(map: &TensorMap, lowered: &Lowered) -> Self {
        let before_core = match lowered.plan.join {
            Join::Merged(place) | Join::Alone(place) => lowered.plan.order.get(..place),
            Join::NoCore => None,
        };
        let mut bases = Self::default();
        let mut map = map.clone();
        for block in 0..map.cores.len() {
            for &mode in before_core.unwrap_or(&[]) {
                let gain = gain(&map, block, mode);
                let (to, back) = Search::new(&map.factors[block][mode], gain).run();
                if to == Array2::<f64>::eye(to.nrows()) {
                    continue;
                }
                let basis = Basis {
                    block,
                    mode,
                    to,
                    back,
                };
                basis.change(&mut map);
                bases.0.push(basis);
            }
        }
        bases
    }

    /// The same map in these bases.
    #[must_use]
    pub fn applied(&self, map: &TensorMap) -> TensorMap {
        let mut map = map.clone();
        for basis in &self.0 {
            basis.change(&mut map);
        }
        map
    }
}

impl Basis {
    fn change(&self, map: &mut TensorMap) {
        // A factor's rank is its last axis: every lane a of it becomes Tᵀ a.
        let factor = &mut map.factors[self.block][self.mode];
        let rank = factor.ndim() - 1;
        multiply(factor, rank, &self.to.t().to_owned());
        multiply(&mut map.cores[self.block], self.mode, &self.back);
    }
}

/// Multiplies every lane along an axis by a matrix.
fn multiply(tensor: &mut ArrayD<f64>, axis: usize, matrix: &Array2<f64>) {
    for mut lane in tensor.lanes_mut(Axis(axis)) {
        let product = matrix.dot(&lane);
        lane.assign(&product);
    }
}

/// Q of a mode of a block.
fn gain(map: &TensorMap, block: usize, mode: usize) -> Array2<f64> {
    let core = &map.cores[block];
    let mut weighted = core.clone();
    for (other, factor) in map.factors[block].iter().enumerate() {
        if other != mode {
            let mut gram = Array2::zeros((core.len_of(Axis(other)), core.len_of(Axis(other))));
            add_products(&mut gram, factor, factor, factor.ndim() - 1);
            multiply(&mut weighted, other, &gram);
        }
    }
    let rank = core.len_of(Axis(mode));
    let mut gain = Array2::zeros((rank, rank));
    add_products(&mut gain, core, &weighted, mode);
    gain
}

/// Adds a bᵀ for every lane a of one tensor and b of another along an axis.
fn add_products(sum: &mut Array2<f64>, a: &ArrayD<f64>, b: &ArrayD<f64>, axis: usize) {
    let lanes = a.lanes(Axis(axis)).into_iter().zip(b.lanes(Axis(axis)));
    for (a, b) in lanes {
        for ((row, column), sum) in sum.indexed_iter_mut() {
            *sum += a[row] * b[column];
        }
    }
}

/// A basis on its way: columns of A·T and of T, rows of T⁻¹.
struct Search {
    /// Per rank A·T as [I, J].
    factor: Vec<ArrayD<f64>>,
    /// Per rank the largest sum of magnitudes over i.
    reach: Vec<f64>,
    to: Array2<f64>,
    back: Array2<f64>,
    gain: Array2<f64>,
    /// Per rank the power that a step of one unit leaves in z.
    noise: Vec<f64>,
}

impl Search {
    fn new(factor: &ArrayD<f64>, gain: Array2<f64>) -> Self {
        let rank = gain.nrows();
        let last = Axis(factor.ndim() - 1);
        let factor: Vec<ArrayD<f64>> = factor
            .axis_iter(last)
            .map(|column| column.to_owned())
            .collect();
        let back = Array2::eye(rank);
        Self {
            reach: factor.iter().map(reach).collect(),
            noise: back
                .rows()
                .into_iter()
                .map(|row| power(&gain, row))
                .collect(),
            factor,
            to: back.clone(),
            back,
            gain,
        }
    }

    fn cost(&self) -> f64 {
        cost(&self.reach, &self.noise)
    }

    /// T and its inverse.
    fn run(mut self) -> (Array2<f64>, Array2<f64>) {
        let ranks = self.to.nrows();
        let mut step = FIRST_STEP;
        // A rank that gives nothing could be multiplied for ever.
        let least = LEAST * self.cost();
        while step >= LAST_STEP && self.cost() > least {
            let mut found = false;
            for column in 0..ranks {
                for other in 0..ranks {
                    let shares = match column == other {
                        // The column itself grows, or shrinks by as much.
                        true => [step, -step / (1.0 + step)],
                        false => [step, -step],
                    };
                    for share in shares {
                        found |= self.tries(column, other, share);
                    }
                }
            }
            if !found {
                step /= 2.0;
            }
        }
        (self.to, self.back)
    }

    /// Adds a share of another column to one, itself included, if that is worth it.
    fn tries(&mut self, column: usize, other: usize, share: f64) -> bool {
        let grown = &self.factor[column] + &(&self.factor[other] * share);
        // What T gains on the right its inverse loses on the left.
        let (row, lost) = match column == other {
            true => (column, &self.back.row(column) / (1.0 + share)),
            false => (
                other,
                &self.back.row(other) - &(&self.back.row(column) * share),
            ),
        };
        let mut reaches = self.reach.clone();
        reaches[column] = reach(&grown);
        let mut noise = self.noise.clone();
        noise[row] = power(&self.gain, lost.view());
        let is_worth_it = cost(&reaches, &noise) < WORTH * self.cost();
        if is_worth_it {
            (self.reach, self.noise) = (reaches, noise);
            self.factor[column] = grown;
            let other = self.to.column(other).to_owned();
            self.to.column_mut(column).scaled_add(share, &other);
            self.back.row_mut(row).assign(&lost);
        }
        is_worth_it
    }
}

/// The square of the level's step, by the row that reaches farthest, times what steps leave in z.
fn cost(reach: &[f64], noise: &[f64]) -> f64 {
    let farthest = reach.iter().fold(0.0, |a, &b| f64::max(a, b));
    farthest * farthest * noise.iter().sum::<f64>()
}

/// The largest sum of magnitudes over i.
fn reach(column: &ArrayD<f64>) -> f64 {
    let sums = column.mapv(f64::abs).sum_axis(Axis(0));
    sums.iter().fold(0.0, |a, &b| f64::max(a, b))
}

/// v Q vᵀ.
fn power(gain: &Array2<f64>, v: ArrayView1<'_, f64>) -> f64 {
    v.dot(&gain.dot(&v))
}
