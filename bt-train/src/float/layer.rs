//! One layer through time: a map of what it reads, done for all steps at once, then step by step the map of
//! its own hidden state and the cell.

use crate::float::cell::{Kind, Row};
use crate::float::config::LayerShape;
use crate::float::filter::Filter;
use crate::float::map::{self, Frames, Map, Prepared};
use crate::float::packing::{Packing, values, values_mut};
use crate::float::product::sum_of_rows;
use crate::float::real::Real;
use crate::float::spare::Spare;
use crate::float::words::Words;
use crate::shape::{Cell, name};
use ndarray::{Array1, Array2, ArrayD, ArrayView2, ArrayViewD, ArrayViewMutD, s};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// What a layer learns.
#[derive(Debug)]
pub(super) struct LayerWeights<T> {
    pub input: Box<dyn Map<T>>,
    /// Where the cell has one.
    pub recurrent: Option<Box<dyn Map<T>>>,
    pub bias: Array1<T>,
    /// Of the recurrent map's last gate; empty where its share is not kept apart.
    pub recurrent_bias: Array1<T>,
    /// What each word adds to z [V, G·J], where the layer reads words.
    pub words: Option<Array2<T>>,
    /// Memory of passes.
    spare: Spare<Vec<T>>,
}

/// Arrays that a pass leaves to the next at most: those of two traces.
const SPARE_MAX: usize = 10;

impl<T: Real> LayerWeights<T> {
    /// All zero, with a table of so many words.
    pub fn zeros(shape: &LayerShape, kind: Kind, words: Option<usize>) -> LayerWeights<T> {
        let height = shape.input.height();
        let apart = match kind.cell.device().keeps_apart() {
            true => height / kind.gates(),
            false => 0,
        };
        LayerWeights {
            input: map::zeros(&shape.input),
            recurrent: shape.recurrent.as_ref().map(map::zeros),
            bias: Array1::zeros(height),
            recurrent_bias: Array1::zeros(apart),
            words: words.map(|words| Array2::zeros((words, height))),
            spare: Spare::default(),
        }
    }

    /// The layer with its weights as they are now; a `filter` is for what the input map gives, `read` are the words
    /// of a layer that has a table of them.
    pub fn prepare<'a>(
        &'a self,
        kind: Kind,
        filter: Option<Filter>,
        read: Option<&'a [usize]>,
    ) -> Layer<'a, T> {
        self.prepare_reading(self.input.prepare(), kind, filter, read)
    }

    /// The same with a map of its own for what it reads.
    pub fn prepare_reading<'a>(
        &'a self,
        input: Box<dyn Prepared<T> + 'a>,
        kind: Kind,
        filter: Option<Filter>,
        read: Option<&'a [usize]>,
    ) -> Layer<'a, T> {
        Layer {
            kind,
            input,
            filter,
            recurrent: self.recurrent.as_ref().map(|map| map.prepare()),
            bias: &self.bias,
            recurrent_bias: &self.recurrent_bias,
            words: self
                .words
                .as_ref()
                .zip(read)
                .map(|(table, read)| Words { table, read }),
            spare: &self.spare,
        }
    }

    /// Every array by its name in a checkpoint, as layer `at`.
    pub fn parameters(&self, cell: Cell, at: usize) -> Vec<(String, ArrayViewD<'_, T>)> {
        let named =
            |prefix: String| move |(name, value): (String, _)| (format!("{prefix}.{name}"), value);
        let input = self.input.parameters().into_iter();
        let recurrent = self.recurrent.iter().flat_map(|map| map.parameters());
        let mut all: Vec<_> = input.map(named(name::input_map(cell, at))).collect();
        all.extend(recurrent.map(named(name::recurrent_map(cell, at))));
        all.push((name::bias(cell, at), self.bias.view().into_dyn()));
        if !self.recurrent_bias.is_empty() {
            let values = self.recurrent_bias.view().into_dyn();
            all.push((name::recurrent_bias(cell, at), values));
        }
        if let Some(table) = &self.words {
            all.push((name::WORDS.into(), table.view().into_dyn()));
        }
        all
    }

    /// The same arrays, to be changed.
    pub fn parameters_mut(&mut self, cell: Cell, at: usize) -> Vec<(String, ArrayViewMutD<'_, T>)> {
        let named =
            |prefix: String| move |(name, value): (String, _)| (format!("{prefix}.{name}"), value);
        let input = self.input.parameters_mut().into_iter();
        let recurrent = self.recurrent.iter_mut();
        let recurrent = recurrent.flat_map(|map| map.parameters_mut());
        let mut all: Vec<_> = input.map(named(name::input_map(cell, at))).collect();
        all.extend(recurrent.map(named(name::recurrent_map(cell, at))));
        all.push((name::bias(cell, at), self.bias.view_mut().into_dyn()));
        if !self.recurrent_bias.is_empty() {
            let values = self.recurrent_bias.view_mut().into_dyn();
            all.push((name::recurrent_bias(cell, at), values));
        }
        if let Some(table) = &mut self.words {
            all.push((name::WORDS.into(), table.view_mut().into_dyn()));
        }
        all
    }
}

impl<T: Real> Clone for LayerWeights<T> {
    fn clone(&self) -> LayerWeights<T> {
        LayerWeights {
            input: self.input.boxed_clone(),
            recurrent: self.recurrent.as_ref().map(|map| map.boxed_clone()),
            bias: self.bias.clone(),
            recurrent_bias: self.recurrent_bias.clone(),
            words: self.words.clone(),
            spare: self.spare.clone(),
        }
    }
}

/// A layer, ready to run.
pub(super) struct Layer<'a, T> {
    pub kind: Kind,
    pub input: Box<dyn Prepared<T> + 'a>,
    /// What the input map gives goes through it, where there is one.
    pub filter: Option<Filter>,
    /// Where the cell has one.
    pub recurrent: Option<Box<dyn Prepared<T> + 'a>>,
    pub bias: &'a Array1<T>,
    /// Of the recurrent map's last gate; empty where its share is not kept apart.
    pub recurrent_bias: &'a Array1<T>,
    /// Read at every step, where the layer reads words; its frame is then a picture, the same at every step.
    pub words: Option<Words<'a, T>>,
    spare: &'a Spare<Vec<T>>,
}

/// What a sequence went through elsewhere in a layer, in integers on the device: the backward pass then
/// differentiates at these values instead of the float model's own.
#[derive(Debug, Clone, PartialEq)]
pub struct States<T> {
    /// Pre-activations [steps, G·J].
    pub z: Vec<T>,
    /// The recurrent map's share of them where the cell keeps it apart, likewise.
    pub apart: Vec<T>,
    /// States [steps, J].
    pub c: Vec<T>,
    /// Hidden states [steps, J].
    pub h: Vec<T>,
}

impl<T: Real> States<T> {
    /// Takes a step's values over, in the form that [`Kind::forward`] leaves them.
    fn copy(&self, t: usize, kind: Kind, row: Row<'_, T>, c: &mut [T], h: &mut [T]) {
        let step = |from: &[T], to: &mut [T]| {
            let width = to.len();
            to.copy_from_slice(&from[t * width..][..width]);
        };
        step(&self.z, row.z);
        step(&self.apart, row.apart);
        kind.activate(row.z, row.apart);
        step(&self.c, c);
        step(&self.h, h);
    }
}

/// What the backward pass needs of the forward pass, beside what the input map read. Rows are time-major.
#[derive(Clone)]
pub(super) struct LayerTrace<T> {
    /// Gates' values [rows, G·J].
    gates: Array2<T>,
    /// The recurrent map's share [rows, G·J] where it is kept apart, otherwise [rows, 0].
    apart: Array2<T>,
    /// State after each step [rows, J].
    cells: Array2<T>,
    /// Hidden state after each step, as the next step reads it (masked).
    hidden: Array2<T>,
    /// The same unmasked, where there is a mask.
    unmasked: Option<Array2<T>>,
    /// Shared by clones: nothing changes it any more, and it is far larger than the rest.
    kept_input: Arc<Vec<T>>,
    kept_recurrent: Vec<T>,
}

impl<T> LayerTrace<T> {
    /// Hidden state after each step [rows, J], as the head or the layer above reads it.
    pub fn outputs(&self) -> &Array2<T> {
        self.unmasked.as_ref().unwrap_or(&self.hidden)
    }
}

/// Sequences that one task takes forward, and what it writes, by steps.
struct Group<'a, T> {
    /// Among all, longest first.
    rows: Range<usize>,
    gates: Vec<&'a mut [T]>,
    apart: Vec<&'a mut [T]>,
    cells: Vec<&'a mut [T]>,
    hidden: Vec<&'a mut [T]>,
    /// Nothing where there is no mask.
    unmasked: Vec<&'a mut [T]>,
}

/// Gradients of a layer's weights, in the order of its parameters.
pub(super) struct LayerGradients<T> {
    pub input: Vec<ArrayD<T>>,
    pub recurrent: Vec<ArrayD<T>>,
    pub bias: Array1<T>,
    pub recurrent_bias: Array1<T>,
    pub words: Option<Array2<T>>,
}

impl<T> LayerGradients<T> {
    /// All of them, one behind the other.
    pub fn arrays(self) -> Vec<ArrayD<T>> {
        let mut arrays = self.input;
        arrays.extend(self.recurrent);
        arrays.push(self.bias.into_dyn());
        if !self.recurrent_bias.is_empty() {
            arrays.push(self.recurrent_bias.into_dyn());
        }
        arrays.extend(self.words.map(Array2::into_dyn));
        arrays
    }
}

impl<T: Real> Layer<'_, T> {
    /// J.
    pub fn units(&self) -> usize {
        self.bias.len() / self.kind.gates()
    }

    /// Runs all sequences through `frames`, one for each row, or with words one for each sequence: of the data or the
    /// hidden states below; or through the states given for each in this layer.
    pub fn forward(
        &self,
        frames: &Frames<'_, T>,
        packing: &Packing,
        mask: Option<ArrayView2<'_, T>>,
        given: Option<(&[Vec<States<T>>], usize)>,
    ) -> LayerTrace<T> {
        let units = self.units();
        let rows = packing.rows();
        let mut gates = self.array(rows, self.bias.len());
        match self.filter {
            // What is filtered has no bias yet.
            Some(_) => gates.fill(T::zero()),
            None => fill(&mut gates, self.bias),
        }
        let mut apart = self.array(rows, self.kind.apart_values(units));
        if !apart.is_empty() {
            let mut row = Array1::zeros(apart.ncols());
            let last = row.len() - self.recurrent_bias.len();
            row.slice_mut(s![last..]).assign(self.recurrent_bias);
            fill(&mut apart, &row);
        }
        let kept_input = match &self.words {
            None => self.input.forward(frames, values_mut(&mut gates)),
            Some(words) => {
                let mut pictures = Array2::zeros((frames.len(), self.bias.len()));
                let kept = self.input.forward(frames, values_mut(&mut pictures));
                words.forward(packing, &pictures, &mut gates);
                kept
            }
        };
        if let Some(filter) = self.filter {
            filter.forward(packing, &mut gates);
            gates += self.bias;
        }
        let mut trace = LayerTrace {
            gates,
            apart,
            cells: self.array(rows, units),
            hidden: self.array(rows, units),
            unmasked: mask.map(|_| self.array(rows, units)),
            kept_input: Arc::new(kept_input),
            kept_recurrent: Vec::new(),
        };
        let groups = packing.groups();
        let (width, apart_width) = (trace.gates.ncols(), trace.apart.ncols());
        let (unmasked, unmasked_width) = match &mut trace.unmasked {
            Some(unmasked) => (values_mut(unmasked), units),
            None => (&mut [][..], 0),
        };
        let parts: Vec<_> = groups
            .iter()
            .zip(packing.split(&groups, values_mut(&mut trace.gates), width))
            .zip(packing.split(&groups, values_mut(&mut trace.apart), apart_width))
            .zip(packing.split(&groups, values_mut(&mut trace.cells), units))
            .zip(packing.split(&groups, values_mut(&mut trace.hidden), units))
            .zip(packing.split(&groups, unmasked, unmasked_width))
            .map(
                |(((((rows, gates), apart), cells), hidden), unmasked)| Group {
                    rows: rows.clone(),
                    gates,
                    apart,
                    cells,
                    hidden,
                    unmasked,
                },
            )
            .collect();
        let kept: Vec<_> = parts
            .into_par_iter()
            .map(|group| self.group_forward(group, packing, mask, given))
            .collect();
        // Step by step, as the rows.
        for t in 1..packing.steps() {
            let kept = kept.iter().filter_map(|kept| kept.get(t - 1));
            kept.for_each(|kept| trace.kept_recurrent.extend_from_slice(kept));
        }
        trace
    }

    /// An array of which every row will be written before it is read.
    fn array(&self, rows: usize, width: usize) -> Array2<T> {
        let wanted = rows * width;
        let serves = |spare: &Vec<T>| (1..=spare.capacity()).contains(&wanted);
        let spare = self.spare.take(serves).map(|mut values| {
            values.resize(wanted, T::zero());
            values
        });
        let values = spare.unwrap_or_else(|| vec![T::zero(); wanted]);
        Array2::from_shape_vec((rows, width), values).expect("as many values")
    }

    /// Takes a group of sequences through all steps. Returns what the recurrent map keeps of each but the first.
    fn group_forward(
        &self,
        mut group: Group<'_, T>,
        packing: &Packing,
        mask: Option<ArrayView2<'_, T>>,
        given: Option<(&[Vec<States<T>>], usize)>,
    ) -> Vec<Vec<T>> {
        let units = self.units();
        let (width, apart_width) = (self.bias.len(), self.kind.apart_values(units));
        let order = &packing.order[group.rows.clone()];
        let mut kept = Vec::new();
        for t in 0..packing.steps() {
            let rows = packing.active_in(&group.rows, t);
            if rows == 0 {
                break;
            }
            let (gates, apart) = (&mut *group.gates[t], &mut *group.apart[t]);
            let (hidden_before, hidden) = group.hidden.split_at_mut(t);
            let (cells_before, cells) = group.cells.split_at_mut(t);
            let (hidden, cells) = (&mut *hidden[0], &mut *cells[0]);
            if t > 0 {
                if let Some(recurrent) = &self.recurrent {
                    let frames = Frames::packed(&hidden_before[t - 1][..rows * units], units);
                    let share = if apart.is_empty() {
                        &mut *gates
                    } else {
                        &mut *apart
                    };
                    kept.push(recurrent.forward(&frames, share));
                }
                cells.copy_from_slice(&cells_before[t - 1][..rows * units]);
            } else {
                cells.fill(T::zero());
            }
            for (row, &sequence) in order[..rows].iter().enumerate() {
                let own = |width: usize| row * width..(row + 1) * width;
                let of_cell = Row {
                    z: &mut gates[own(width)],
                    apart: &mut apart[own(apart_width)],
                };
                let (c, h) = (&mut cells[own(units)], &mut hidden[own(units)]);
                match given {
                    Some((states, layer)) => {
                        states[sequence][layer].copy(t, self.kind, of_cell, c, h);
                    }
                    None => self.kind.forward(of_cell, c, h),
                }
            }
            if let Some(mask) = mask {
                group.unmasked[t].copy_from_slice(hidden);
                drop_out(mask, order, hidden);
            }
        }
        kept
    }

    /// Gradients of the weights, and of the `frames` that the input map read where there is a `below` [rows, I]
    /// to take them, from those of the hidden states [rows, J] as the head or the layer above reads them.
    pub fn backward(
        &self,
        mut trace: LayerTrace<T>,
        frames: &Frames<'_, T>,
        packing: &Packing,
        mask: Option<ArrayView2<'_, T>>,
        outputs: &Array2<T>,
        below: Option<&mut [T]>,
    ) -> LayerGradients<T> {
        let units = self.units();
        let Packing {
            active, offsets, ..
        } = packing;
        let (width, apart_width) = (trace.gates.ncols(), trace.apart.ncols());
        let groups = packing.groups();
        let (gates, apart) = (values_mut(&mut trace.gates), values_mut(&mut trace.apart));
        groups
            .par_iter()
            .zip(packing.split(&groups, gates, width))
            .zip(packing.split(&groups, apart, apart_width))
            .for_each(|((rows, gates), apart)| {
                let states = (values(&trace.cells), values(outputs));
                self.group_backward((rows, gates, apart), packing, mask, states);
            });
        let later = offsets.get(1).copied().unwrap_or(0);
        let starts = (1..packing.steps())
            .flat_map(|t| (0..active[t]).map(move |row| (offsets[t - 1] + row) * units));
        let hidden = Frames::new(values(&trace.hidden), starts.collect());
        let share = if apart_width > 0 {
            &trace.apart
        } else {
            &trace.gates
        };
        let recurrent = self.recurrent.as_ref().map(|recurrent| {
            let dshare = share.slice(s![later.., ..]);
            recurrent.weight_gradient(&hidden, &trace.kept_recurrent, dshare)
        });
        let last = apart_width - self.recurrent_bias.len();
        let bias = sum_of_rows(trace.gates.view());
        if let Some(filter) = self.filter {
            filter.backward(packing, &mut trace.gates);
        }
        let (pictures, words) = match &self.words {
            None => (None, None),
            Some(words) => {
                let (pictures, table) = words.backward(packing, &trace.gates);
                (Some(pictures), Some(table))
            }
        };
        let dz = pictures.as_ref().unwrap_or(&trace.gates);
        if let Some(below) = below {
            self.input.input_gradient(dz.view(), below);
        }
        let gradients = LayerGradients {
            input: self
                .input
                .weight_gradient(frames, &trace.kept_input, dz.view()),
            recurrent: recurrent.unwrap_or_default(),
            bias,
            recurrent_bias: sum_of_rows(trace.apart.slice(s![.., last..])),
            words,
        };
        let arrays = [trace.gates, trace.apart, trace.cells, trace.hidden];
        for array in arrays.into_iter().chain(trace.unmasked) {
            let (values, _) = array.into_raw_vec_and_offset();
            if !values.is_empty() {
                self.spare.leave(values, SPARE_MAX);
            }
        }
        gradients
    }

    /// Takes a group of sequences back through all steps, and its gates' values (by steps) into the gradients of their
    /// pre-activations, from the states of all sequences and the gradients of the hidden ones [rows, J].
    fn group_backward(
        &self,
        (group, mut gates, mut apart): (&Range<usize>, Vec<&mut [T]>, Vec<&mut [T]>),
        packing: &Packing,
        mask: Option<ArrayView2<'_, T>>,
        (cells, outputs): (&[T], &[T]),
    ) {
        let units = self.units();
        let (width, apart_width) = (self.bias.len(), self.kind.apart_values(units));
        let order = &packing.order[group.clone()];
        let mut dh = vec![T::zero(); order.len() * units];
        let mut dc = dh.clone();
        let start_cells = dh.clone();
        for t in (0..packing.steps()).rev() {
            let rows = packing.active_in(group, t);
            if rows == 0 {
                continue;
            }
            let at = |t: usize| (packing.offsets[t] + group.start) * units;
            let dh = &mut dh[..rows * units];
            dh.iter_mut()
                .zip(&outputs[at(t)..])
                .for_each(|(dh, &own)| *dh += own);
            let before = match t.checked_sub(1) {
                Some(t) => &cells[at(t)..],
                None => &start_cells,
            };
            let after = &cells[at(t)..];
            let (gates, apart) = (&mut *gates[t], &mut *apart[t]);
            for row in 0..rows {
                let own = |width: usize| row * width..(row + 1) * width;
                let of_cell = Row {
                    z: &mut gates[own(width)],
                    apart: &mut apart[own(apart_width)],
                };
                let units = own(units);
                let (before, after) = (&before[units.clone()], &after[units.clone()]);
                let (dh, dc) = (&dh[units.clone()], &mut dc[units]);
                self.kind.backward(of_cell, before, after, dh, dc);
            }
            if t == 0 {
                continue;
            }
            let Some(recurrent) = &self.recurrent else {
                dh.fill(T::zero());
                continue;
            };
            let share = if apart_width > 0 { apart } else { gates };
            let dshare = ArrayView2::from_shape((rows, width), share).expect("a row for each");
            recurrent.input_gradient(dshare, dh);
            if let Some(mask) = mask {
                drop_out(mask, order, dh);
            }
        }
    }
}

/// Writes the same row into every one, in parallel.
fn fill<T: Real>(rows: &mut Array2<T>, row: &Array1<T>) {
    /// Rows that a task fills.
    const ROWS: usize = 32;
    let row = row.as_slice().expect("standard layout");
    let tasks = values_mut(rows).par_chunks_mut(ROWS * row.len());
    tasks.for_each(|rows| {
        let rows = rows.chunks_exact_mut(row.len());
        rows.for_each(|to| to.copy_from_slice(row));
    });
}

/// Multiplies rows by those of a mask [batch, J], each by its sequence's.
fn drop_out<T: Real>(mask: ArrayView2<'_, T>, order: &[usize], rows: &mut [T]) {
    for (row, &sequence) in rows.chunks_exact_mut(mask.ncols()).zip(order) {
        let mask = mask.row(sequence);
        row.iter_mut().zip(mask).for_each(|(x, &m)| *x *= m);
    }
}
