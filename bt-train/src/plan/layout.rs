//! Which value of a stage lies where: panels of X, and how a tile of C is stored into the next ones.

use bt_core::internals::program::{
    DISCARD, Store, TILE, TILE_M, TILE_N, m_tiles, n_tiles, panel, row_pairs,
};

/// An index of a partial result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// The block n, of a stage that all blocks share.
    Block,
    /// i_k, not yet summed over.
    In(usize),
    /// j_k.
    Out(usize),
    /// r_k, or the bond between modes k−1 and k of a train.
    Rank(usize),
}

/// An index with its extent.
pub type Axis = (Label, usize);

/// Product of the extents.
pub fn size(axes: &[Axis]) -> usize {
    axes.iter().map(|a| a.1).product()
}

/// For every position of `from` (row-major over its axes) its share of the row-major position in
/// `to`; axes that `to` does not have contribute nothing.
pub fn positions(from: &[Axis], to: &[Axis]) -> Vec<usize> {
    let mut strides = Vec::with_capacity(to.len());
    let mut stride = 1;
    for &(label, extent) in to.iter().rev() {
        strides.push((label, stride));
        stride *= extent;
    }
    let mut all = vec![0];
    for &(label, extent) in from {
        let stride = strides.iter().find(|s| s.0 == label).map_or(0, |s| s.1);
        all = all
            .iter()
            .flat_map(|&at| (0..extent).map(move |digit| at + digit * stride))
            .collect();
    }
    all
}

/// X of one stage: axes it sums over (k) and the others (n), slowest first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Panels {
    /// Summed over.
    pub k: Vec<Axis>,
    /// Kept.
    pub n: Vec<Axis>,
    /// [`Plan::vectors`](super::Plan::vectors).
    pub vectors: bool,
}

impl Panels {
    /// Words per row: pairs of k.
    pub fn k_pairs(&self) -> usize {
        row_pairs(size(&self.k), self.vectors)
    }

    /// Tiles of four rows.
    pub fn n_tiles(&self) -> usize {
        n_tiles(size(&self.n))
    }

    /// Words of all panels.
    pub fn words(&self) -> usize {
        panel::words(size(&self.n), self.k_pairs())
    }

    /// Where element (k, n) lies, in i16 from the first word.
    pub fn half(&self, k: usize, n: usize) -> usize {
        panel::half(self.k_pairs(), k, n)
    }

    /// Whether an i16 of the panels is padding.
    fn is_padding(&self, half: usize) -> bool {
        let (k, n) = panel::value(self.k_pairs(), half);
        k >= size(&self.k) || n >= size(&self.n)
    }
}

/// Where C of a stage goes.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// X of the next stage.
    Panels {
        /// Of one block, or of all where the next stage sums over them.
        panels: &'a Panels,
        /// So many of them one behind the other, of which the block of a row picks one; 1 unless all
        /// blocks are written at once.
        blocks: usize,
    },
    /// z, row-major over these axes.
    Z(&'a [Axis]),
}

/// How tiles are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePlan {
    /// Pattern of a tile.
    pub store: Store,
    /// Words from row m0 to m1, of [`Store::AddRows`].
    pub row_stride: usize,
    /// Word offset per m tile, or the scatter table.
    pub rows: Vec<u16>,
    /// Word offset per n tile; empty with a scatter table.
    pub cols: Vec<u16>,
}

/// The destination of every element of C, in i16: [m][n], m and n row-major over their axes.
struct Destinations<'a> {
    target: Target<'a>,
    m: [Vec<usize>; 2],
    n: [Vec<usize>; 2],
    fixed: [usize; 2],
    /// Per row where its panels begin.
    start: Vec<usize>,
    /// Of the panels; the axes of z have no k.
    k_pairs: Option<usize>,
}

impl<'a> Destinations<'a> {
    fn new(m: &[Axis], n: &[Axis], block: usize, target: Target<'a>) -> Self {
        let (k_axes, n_axes): (&[Axis], &[Axis]) = match target {
            Target::Panels { panels, .. } => (&panels.k, &panels.n),
            Target::Z(axes) => (&[], axes),
        };
        let block_stride = positions(&[(Label::Block, 2)], k_axes)[1];
        Self {
            target,
            m: [positions(m, k_axes), positions(m, n_axes)],
            n: [positions(n, k_axes), positions(n, n_axes)],
            fixed: [block * block_stride, 0],
            start: match target {
                Target::Panels {
                    panels,
                    blocks: 2..,
                } => {
                    let blocks = positions(m, &[(Label::Block, 1)]).into_iter();
                    blocks.map(|block| block * panels.words() * 2).collect()
                }
                _ => vec![0; size(m)],
            },
            k_pairs: match target {
                Target::Panels { panels, .. } => Some(panels.k_pairs()),
                Target::Z(_) => None,
            },
        }
    }

    fn half(&self, m: usize, n: usize) -> usize {
        let k = self.m[0][m] + self.n[0][n] + self.fixed[0];
        let row = self.m[1][m] + self.n[1][n] + self.fixed[1];
        match self.k_pairs {
            Some(k_pairs) => self.start[m] + panel::half(k_pairs, k, row),
            None => row,
        }
    }

    fn rows(&self) -> usize {
        self.m[0].len()
    }

    fn cols(&self) -> usize {
        self.n[0].len()
    }

    fn is_padding(&self, half: usize) -> bool {
        match self.target {
            Target::Panels { panels, blocks } => {
                let halves = panels.words() * 2;
                half < halves * blocks && panels.is_padding(half % halves)
            }
            Target::Z(_) => false,
        }
    }

    /// Offsets for a store pattern, if every tile fits it.
    fn fit(&self, store: Store) -> Option<StorePlan> {
        let row_stride = match store {
            Store::AddRows => {
                let stride = if self.rows() > 1 {
                    self.half(1, 0).checked_sub(self.half(0, 0))?
                } else {
                    0
                };
                if stride % 2 == 1 {
                    return None;
                }
                stride / 2
            }
            _ => 0,
        };
        let (m_tiles, n_tiles) = (m_tiles(self.rows()), n_tiles(self.cols()));
        let origin = self.half(0, 0);
        let mut rows = Vec::with_capacity(m_tiles);
        let mut cols = Vec::with_capacity(n_tiles);
        for m_tile in 0..m_tiles {
            for n_tile in 0..n_tiles {
                let base = self.half(m_tile * TILE_M, n_tile * TILE_N);
                if base % 2 == 1 {
                    return None;
                }
                for (row, col) in tile() {
                    let (m, n) = (m_tile * TILE_M + row, n_tile * TILE_N + col);
                    let written = base + store.half(row_stride, row, col);
                    if m < self.rows() && n < self.cols() {
                        if self.half(m, n) != written {
                            return None;
                        }
                    } else if !self.is_padding(written) {
                        return None;
                    }
                }
                let base = base / 2;
                if n_tile == 0 {
                    rows.push(base);
                }
                if m_tile == 0 {
                    cols.push(base.checked_sub(origin / 2)?);
                }
                if base != rows[m_tile] + cols[n_tile] {
                    return None;
                }
            }
        }
        let table = |offsets: Vec<usize>| {
            offsets
                .into_iter()
                .map(|at| u16::try_from(at).ok())
                .collect::<Option<_>>()
        };
        Some(StorePlan {
            store,
            row_stride,
            rows: table(rows)?,
            cols: table(cols)?,
        })
    }

    /// A table with a place for every element.
    fn scatter(&self, store: Store) -> Option<StorePlan> {
        let (m_tiles, n_tiles) = (m_tiles(self.rows()), n_tiles(self.cols()));
        let mut rows = Vec::with_capacity(m_tiles * n_tiles * TILE);
        for (m_tile, n_tile) in (0..m_tiles).flat_map(|m| (0..n_tiles).map(move |n| (m, n))) {
            for (row, col) in tile() {
                let (m, n) = (m_tile * TILE_M + row, n_tile * TILE_N + col);
                rows.push(if m < self.rows() && n < self.cols() {
                    u16::try_from(self.half(m, n))
                        .ok()
                        .filter(|&half| half != DISCARD)?
                } else {
                    DISCARD
                });
            }
        }
        Some(StorePlan {
            store,
            row_stride: 0,
            rows,
            cols: Vec::new(),
        })
    }
}

/// The places of a tile, row by row.
fn tile() -> impl Iterator<Item = (usize, usize)> {
    (0..TILE_M).flat_map(|row| (0..TILE_N).map(move |col| (row, col)))
}

/// The fast store of C (axes m and n) into `target`, if its tiles fit one.
pub fn fast_store(m: &[Axis], n: &[Axis], block: usize, target: Target<'_>) -> Option<StorePlan> {
    if !first_tile_fits(m, n, target) {
        return None;
    }
    let destinations = Destinations::new(m, n, block, target);
    match target {
        Target::Panels { .. } => destinations
            .fit(Store::Pairs)
            .or_else(|| destinations.fit(Store::Columns)),
        Target::Z(_) => destinations.fit(Store::AddRows),
    }
}

/// Whether the first tile could be stored whole: what most candidates fail, found without a table.
fn first_tile_fits(m: &[Axis], n: &[Axis], target: Target<'_>) -> bool {
    let (rows, cols) = (size(m).min(TILE_M), size(n).min(TILE_N));
    let place = |m_at: usize, n_at: usize| match target {
        Target::Panels { panels, .. } => panels.half(
            position(m_at, m, &panels.k) + position(n_at, n, &panels.k),
            position(m_at, m, &panels.n) + position(n_at, n, &panels.n),
        ),
        Target::Z(axes) => position(m_at, m, axes) + position(n_at, n, axes),
    };
    let fits = |store: Store| {
        (0..rows).all(|row| (0..cols).all(|col| place(row, col) == store.half(0, row, col)))
    };
    match target {
        Target::Panels { .. } => fits(Store::Pairs) || fits(Store::Columns),
        Target::Z(_) => (0..cols).all(|col| place(0, col) == col),
    }
}

/// The share of position `at` of `from` in the position in `to`; see [`positions`].
fn position(mut at: usize, from: &[Axis], to: &[Axis]) -> usize {
    let mut share = 0;
    for &(label, extent) in from.iter().rev() {
        let digit = at % extent;
        at /= extent;
        if digit > 0
            && let Some(place) = to.iter().position(|axis| axis.0 == label)
        {
            share += digit * size(&to[place + 1..]);
        }
    }
    share
}

/// Whether the offsets of a tile, sums of two entries of 16 bits, could reach so many words.
pub fn is_reachable(words: usize) -> bool {
    words <= 2 << 16
}

/// Whether a table's 16 bits reach every i16 of `target`.
pub fn table_reaches(target: Target<'_>) -> bool {
    let halves = match target {
        Target::Panels { panels, blocks } => panels.words() * 2 * blocks,
        Target::Z(axes) => size(axes),
    };
    halves <= DISCARD as usize
}

/// A store of C into `target` by a table; `None` when the target is too large for its 16 bits.
pub fn table_store(m: &[Axis], n: &[Axis], block: usize, target: Target<'_>) -> Option<StorePlan> {
    let store = match target {
        Target::Panels { .. } => Store::Scatter,
        Target::Z(_) => Store::AddScatter,
    };
    Destinations::new(m, n, block, target).scatter(store)
}

/// Orders of axes that differ in which `fastest` of them run fastest; the others keep their order.
/// Only those decide whether tiles can be stored whole.
pub fn orders(axes: &[Axis], fastest: usize) -> Vec<Vec<Axis>> {
    let (units, axes): (Vec<Axis>, Vec<Axis>) = axes.iter().copied().partition(|a| a.1 == 1);
    let mut all = Vec::new();
    extend(&axes, fastest, Vec::new(), &mut |fast, rest| {
        all.push(units.iter().chain(rest).chain(fast).copied().collect());
    });
    all
}

fn extend(rest: &[Axis], more: usize, fast: Vec<Axis>, emit: &mut dyn FnMut(&[Axis], &[Axis])) {
    if more == 0 || rest.is_empty() {
        emit(&fast, rest);
        return;
    }
    for pick in (0..rest.len()).rev() {
        let mut rest = rest.to_vec();
        let mut fast = fast.clone();
        fast.insert(0, rest.remove(pick));
        extend(&rest, more - 1, fast, emit);
    }
}
