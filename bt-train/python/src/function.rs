//! A map and a layer as PyTorch's gradients go through them, in f32 and f64.

use crate::error::{Error, raised};
use bt_train::float::cell::Kind;
use bt_train::float::config::{Gate, LayerShape};
use bt_train::float::filter::Filter;
use bt_train::float::function::{LayerFunction, MapFunction, Passed};
use bt_train::float::real::Real;
use bt_train::shape::{Cell, MapName, MapShape};
use clap::ValueEnum;
use ndarray::{ArrayD, ArrayView2, IxDyn};
use numpy::{Element, IntoPyArray, PyReadonlyArrayDyn};
use pyo3::prelude::*;
use std::sync::OnceLock;

/// A number that both the trainer and NumPy know.
trait Number: Real + Element {
    fn of_map(kept: &Kept) -> Option<&MapKept<Self>>;
    fn of_layer(kept: &Kept) -> Option<&LayerKept<Self>>;
    fn map(kept: MapKept<Self>) -> Kept;
    fn layer(kept: LayerKept<Self>) -> Kept;
    fn planned_map(map: &LinearMap) -> &OnceLock<MapFunction<Self>>;
    fn planned_layer(layer: &Layer) -> &OnceLock<LayerFunction<Self>>;
}

struct MapKept<T> {
    function: MapFunction<T>,
    kept: Vec<T>,
}

struct LayerKept<T> {
    function: LayerFunction<T>,
    passed: Passed<T>,
}

/// What a backward pass needs of its forward pass.
#[pyclass(frozen, module = "bt_lstm")]
pub struct Kept(Any);

enum Any {
    Map32(MapKept<f32>),
    Map64(MapKept<f64>),
    Layer32(LayerKept<f32>),
    Layer64(LayerKept<f64>),
}

macro_rules! number {
    ($type:ty, $map:ident, $layer:ident, $planned:ident) => {
        impl Number for $type {
            fn of_map(kept: &Kept) -> Option<&MapKept<$type>> {
                match &kept.0 {
                    Any::$map(kept) => Some(kept),
                    _ => None,
                }
            }

            fn of_layer(kept: &Kept) -> Option<&LayerKept<$type>> {
                match &kept.0 {
                    Any::$layer(kept) => Some(kept),
                    _ => None,
                }
            }

            fn map(kept: MapKept<$type>) -> Kept {
                Kept(Any::$map(kept))
            }

            fn layer(kept: LayerKept<$type>) -> Kept {
                Kept(Any::$layer(kept))
            }

            fn planned_map(map: &LinearMap) -> &OnceLock<MapFunction<$type>> {
                &map.$planned
            }

            fn planned_layer(layer: &Layer) -> &OnceLock<LayerFunction<$type>> {
                &layer.$planned
            }
        }
    };
}

number!(f32, Map32, Layer32, in_f32);
number!(f64, Map64, Layer64, in_f64);

type Arrays<'py> = Vec<Bound<'py, PyAny>>;
/// Gradients of x, where they are wanted, and of the weights.
type Gradients<'py> = (Option<Bound<'py, PyAny>>, Arrays<'py>);

/// The form of a linear map from frames of some modes to results of others, without its weights.
#[pyclass(frozen, module = "bt_lstm")]
pub struct LinearMap {
    shape: MapShape,
    /// The same, planned when it is first run.
    in_f32: OnceLock<MapFunction<f32>>,
    in_f64: OnceLock<MapFunction<f64>>,
}

#[pymethods]
impl LinearMap {
    /// map is `block-term`, `tensor-train` or `dense`; modes slowest first.
    #[new]
    #[pyo3(signature = (map, inputs, outputs, blocks=2, rank=4))]
    fn new(
        map: &str,
        inputs: Vec<usize>,
        outputs: Vec<usize>,
        blocks: usize,
        rank: usize,
    ) -> PyResult<LinearMap> {
        let name = MapName::from_str(map, false).map_err(|_| {
            Error::new_err(format!(
                "map: is `{map}`; block-term, tensor-train and dense are possible"
            ))
        })?;
        let sizes = [&inputs, &outputs];
        let product = |modes: &[usize]| {
            modes
                .iter()
                .try_fold(1usize, |all, &mode| all.checked_mul(mode))
        };
        if sizes.iter().any(|modes| {
            modes.is_empty()
                || product(modes).is_none_or(|product| product == 0 || product >= 1 << 28)
        }) {
            return Err(Error::new_err(
                "modes: give sizes above 0 that multiply to less than 268,435,456",
            ));
        }
        let shape = MapShape {
            kind: name.with(blocks, rank),
            inputs,
            outputs,
        };
        shape.validate("", "output_modes").map_err(raised)?;
        Ok(LinearMap {
            shape,
            in_f32: OnceLock::new(),
            in_f64: OnceLock::new(),
        })
    }

    /// Names and shapes of the weights, in the order in which the functions take them.
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.shape.tensors()
    }

    /// Results [frames, J] of x [frames, I], and what backward needs.
    fn forward<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        weights: Arrays<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Kept)> {
        match x.extract::<PyReadonlyArrayDyn<'py, f32>>() {
            Ok(x) => self.run(x, &weights),
            Err(_) => self.run::<f64>(x.extract().map_err(not_a_float)?, &weights),
        }
    }

    /// Gradients of x, where wanted, and of the weights, from those of the results.
    fn backward<'py>(
        &self,
        kept: &Kept,
        x: &Bound<'py, PyAny>,
        gradient: &Bound<'py, PyAny>,
        x_too: bool,
    ) -> PyResult<Gradients<'py>> {
        match &kept.0 {
            Any::Map32(_) => self.back::<f32>(kept, x, gradient, x_too),
            _ => self.back::<f64>(kept, x, gradient, x_too),
        }
    }
}

impl LinearMap {
    fn run<'py, T: Number>(
        &self,
        x: PyReadonlyArrayDyn<'py, T>,
        weights: &Arrays<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Kept)> {
        let py = x.py();
        let values = x.as_slice()?;
        let frames = whole(values.len(), self.shape.width())?;
        let weights = extracted::<T>(weights)?;
        let views: Vec<_> = weights.iter().map(|weight| weight.as_array()).collect();
        let run = || {
            let planned = T::planned_map(self).get_or_init(|| MapFunction::zeros(&self.shape));
            let function = planned.with(&views)?;
            let (z, kept) = function.forward(values);
            Ok((z, MapKept { function, kept }))
        };
        let (z, kept) = py.detach(run).map_err(raised)?;
        Ok((array(py, &[frames, self.shape.height()], z), T::map(kept)))
    }

    fn back<'py, T: Number>(
        &self,
        kept: &Kept,
        x: &Bound<'py, PyAny>,
        gradient: &Bound<'py, PyAny>,
        x_too: bool,
    ) -> PyResult<Gradients<'py>> {
        let py = x.py();
        let MapKept { function, kept } = T::of_map(kept).ok_or_else(other_pass)?;
        let (x, gradient) = pair::<T>(x, gradient)?;
        let (x, dz) = (x.as_slice()?, gradient.as_slice()?);
        let frames = whole(x.len(), self.shape.width())?;
        let shape = (frames, self.shape.height());
        // Of a longer slice ndarray takes the first values.
        if dz.len() != shape.0 * shape.1 {
            return Err(other_pass());
        }
        let dz = ArrayView2::from_shape(shape, dz).map_err(|_| other_pass())?;
        let mut dx = x_too.then(|| vec![T::zero(); x.len()]);
        let weights = py.detach(|| function.backward(x, kept, dz, dx.as_deref_mut()));
        let dx = dx.map(|dx| array(py, &[frames, self.shape.width()], dx));
        Ok((dx, arrays(py, weights)))
    }
}

/// The form of a recurrent layer, without its weights.
#[pyclass(frozen, module = "bt_lstm")]
pub struct Layer {
    shape: LayerShape,
    kind: Kind,
    filter: Option<Filter>,
    /// The same, planned when it is first run.
    in_f32: OnceLock<LayerFunction<f32>>,
    in_f64: OnceLock<LayerFunction<f64>>,
}

#[pymethods]
impl Layer {
    /// cell is `lstm`, `gru` or `min-gru`, gate `sigmoid` or `hard-sigmoid`; the maps are those to all its gates, the
    /// recurrent one absent of a minGRU. filter_horizon, a power of two: what the input map gives has a mean of about
    /// so many frames taken off.
    #[new]
    #[pyo3(signature = (cell, gate, input, recurrent, filter_horizon=None))]
    fn new(
        cell: &str,
        gate: &str,
        input: &LinearMap,
        recurrent: Option<&LinearMap>,
        filter_horizon: Option<usize>,
    ) -> PyResult<Layer> {
        let wrong = |what: &str, name: &str| {
            Error::new_err(format!("{what}: is `{name}`, which is not known"))
        };
        let cell = Cell::from_str(cell, false).map_err(|_| wrong("cell", cell))?;
        let gate = Gate::from_str(gate, false).map_err(|_| wrong("gate", gate))?;
        let kind = Kind { cell, gate };
        let height = input.shape.height();
        let fits = |map: &LinearMap| {
            map.shape.height() == height && map.shape.width() * kind.gates() == height
        };
        let is_recurrent = cell.device().is_recurrent();
        if !height.is_multiple_of(kind.gates())
            || recurrent.is_some() != is_recurrent
            || !recurrent.is_none_or(fits)
        {
            return Err(Error::new_err(
                "input, recurrent: are no maps to the gates of this cell",
            ));
        }
        let shape = LayerShape {
            input: input.shape.clone(),
            recurrent: recurrent.map(|map| map.shape.clone()),
        };
        let filter = match filter_horizon {
            Some(horizon) if horizon.is_power_of_two() => Some(Filter {
                shift: horizon.ilog2(),
            }),
            Some(_) => return Err(Error::new_err("filter_horizon: give a power of two")),
            None => None,
        };
        Ok(Layer {
            shape,
            kind,
            filter,
            in_f32: OnceLock::new(),
            in_f64: OnceLock::new(),
        })
    }

    /// Hidden states [batch, steps, J] of x [batch, steps, I] and lengths [batch], and what backward needs. Weights
    /// are those of both maps, the bias, and of a GRU that of the recurrent map.
    fn forward<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        lengths: Vec<usize>,
        weights: Arrays<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Kept)> {
        match x.extract::<PyReadonlyArrayDyn<'py, f32>>() {
            Ok(x) => self.run(x, &lengths, &weights),
            Err(_) => self.run::<f64>(x.extract().map_err(not_a_float)?, &lengths, &weights),
        }
    }

    /// Gradients of x, where wanted, and of the weights, from those of the hidden states.
    fn backward<'py>(
        &self,
        kept: &Kept,
        x: &Bound<'py, PyAny>,
        gradient: &Bound<'py, PyAny>,
        x_too: bool,
    ) -> PyResult<Gradients<'py>> {
        match &kept.0 {
            Any::Layer32(_) => self.back::<f32>(kept, x, gradient, x_too),
            _ => self.back::<f64>(kept, x, gradient, x_too),
        }
    }
}

impl Layer {
    fn units(&self) -> usize {
        self.shape.input.height() / self.kind.gates()
    }

    fn run<'py, T: Number>(
        &self,
        x: PyReadonlyArrayDyn<'py, T>,
        lengths: &[usize],
        weights: &Arrays<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Kept)> {
        let py = x.py();
        let width = self.shape.input.width();
        let (batch, steps) = match *x.as_array().shape() {
            [batch, steps, found] if found == width && batch > 0 && steps > 0 => (batch, steps),
            ref found => {
                let expected = format!(
                    "x: has shape {found:?}, expected [batch, steps, {width}], none of them 0"
                );
                return Err(Error::new_err(expected));
            }
        };
        if lengths.len() != batch || lengths.iter().any(|&length| length == 0 || length > steps) {
            let expected = format!("lengths: give {batch} numbers from 1 to {steps}");
            return Err(Error::new_err(expected));
        }
        let values = x.as_slice()?;
        let weights = extracted::<T>(weights)?;
        let views: Vec<_> = weights.iter().map(|weight| weight.as_array()).collect();
        let run = || {
            let zeros = || LayerFunction::zeros(&self.shape, self.kind, self.filter);
            let function = T::planned_layer(self).get_or_init(zeros).with(&views)?;
            let (h, passed) = function.forward(values, steps, lengths);
            Ok((h, LayerKept { function, passed }))
        };
        let (h, kept) = py.detach(run).map_err(raised)?;
        Ok((array(py, &[batch, steps, self.units()], h), T::layer(kept)))
    }

    fn back<'py, T: Number>(
        &self,
        kept: &Kept,
        x: &Bound<'py, PyAny>,
        gradient: &Bound<'py, PyAny>,
        x_too: bool,
    ) -> PyResult<Gradients<'py>> {
        let py = x.py();
        let LayerKept { function, passed } = T::of_layer(kept).ok_or_else(other_pass)?;
        let (x, gradient) = pair::<T>(x, gradient)?;
        let shape = x.as_array().shape().to_vec();
        let (x, dh) = (x.as_slice()?, gradient.as_slice()?);
        if dh.len() * self.shape.input.width() != x.len() * self.units() {
            return Err(other_pass());
        }
        let mut dx = x_too.then(|| vec![T::zero(); x.len()]);
        let weights = py.detach(|| function.backward(passed, x, dh, dx.as_deref_mut()));
        Ok((dx.map(|dx| array(py, &shape, dx)), arrays(py, weights)))
    }
}

fn not_a_float(_: impl Sized) -> PyErr {
    Error::new_err("x: is neither float32 nor float64")
}

fn other_pass() -> PyErr {
    Error::new_err("gradient: is not of that forward pass")
}

/// How many frames of `width` values there are.
fn whole(values: usize, width: usize) -> PyResult<usize> {
    match values > 0 && values.is_multiple_of(width) {
        true => Ok(values / width),
        false => Err(Error::new_err(format!(
            "x: has {values} values, the map takes frames of {width}"
        ))),
    }
}

fn extracted<'py, T: Number>(weights: &Arrays<'py>) -> PyResult<Vec<PyReadonlyArrayDyn<'py, T>>> {
    let weights = weights.iter();
    let weights = weights.map(|weight| {
        weight
            .extract()
            .map_err(|_| Error::new_err("weights: are of another type than x"))
    });
    weights.collect()
}

fn pair<'py, T: Number>(
    x: &Bound<'py, PyAny>,
    gradient: &Bound<'py, PyAny>,
) -> PyResult<(PyReadonlyArrayDyn<'py, T>, PyReadonlyArrayDyn<'py, T>)> {
    let of_pass = |value: &Bound<'py, PyAny>| value.extract().map_err(|_| other_pass());
    Ok((of_pass(x)?, of_pass(gradient)?))
}

fn array<'py, T: Number>(py: Python<'py>, shape: &[usize], values: Vec<T>) -> Bound<'py, PyAny> {
    let array = ArrayD::from_shape_vec(IxDyn(shape), values);
    array
        .expect("as many as the shape says")
        .into_pyarray(py)
        .into_any()
}

fn arrays<'py, T: Number>(py: Python<'py>, all: Vec<ArrayD<T>>) -> Arrays<'py> {
    all.into_iter()
        .map(|one| one.into_pyarray(py).into_any())
        .collect()
}
