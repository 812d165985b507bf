//! A PyTorch `state_dict` as a model: `nn.LSTM` and `nn.GRU`, or a layer of TedNet, and the `nn.Linear` behind it.
//!
//! PyTorch's gates are in the order i, f, g, o and r, z, n, as ours; its two biases of a layer add up to our one, but for
//! n of a GRU.

use super::state::{GATES, State, wrong_shape};
use super::tednet;
use crate::data::npz::check_names;
use crate::error::{Error, ErrorKind, Foreign, Result};
use crate::float::checkpoint::{Checkpoint, HEAD_OFFSET, HEAD_SCALE, INPUT_OFFSET, INPUT_SCALE};
use crate::float::config::{
    Gate, HeadConfig, HeadKind, HeadName, HiddenConfig, InputConfig, InputFilter, ModelConfig,
    Pool, RecurrentConfig,
};
use crate::float::tensors::{TensorFile, Tensors};
use crate::shape::name::{self, MATRIX};
use crate::shape::{Cell, MapKind};
use bt_core::OutputKind;
use bt_core::internals::model::layout::LAYERS_MAX;
use ndarray::ArrayD;

/// What a `state_dict` does not say.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Name of the linear layer, where more than one could be it.
    pub head: Option<String>,
    /// What it gives.
    pub gives: HeadName,
    /// Hidden state that it reads.
    pub pool: Pool,
    /// Names of the classes, values or bits; none: not known.
    pub labels: Vec<String>,
}

/// A model that came in, and how.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The model; maps that were matrices are dense.
    pub checkpoint: Checkpoint,
    /// What the recurrent layer is called where it comes from.
    pub kind: &'static str,
    /// What stands before the names of the recurrent layer's tensors.
    pub layer: String,
    /// Name of the linear layer.
    pub head: String,
    /// What is strange about the file, a line each, though it can be used.
    pub warnings: Vec<String>,
}

/// Name of the dense recurrent matrix.
fn recurrent_matrix() -> String {
    format!("{}.{MATRIX}", name::recurrent_map(Cell::Lstm, 0))
}

/// The name by which a recurrent layer is known.
const FIRST: &str = "weight_ih_l0";

/// The model of a `state_dict`. Nothing is lost: it gives PyTorch's logits to the rounding of sums.
///
/// # Errors
/// Names the tensor that is missing, of a wrong shape or type, or belongs to what is not supported.
pub fn import(file: TensorFile, wanted: &Wanted) -> Result<Imported> {
    check_names(&wanted.labels).map_err(|error| error.field("labels"))?;
    let mut state = State {
        file,
        warnings: Vec::new(),
    };
    let tensorized = state.names().find_map(|name| tednet::prefix(name));
    let found = match tensorized.map(str::to_owned) {
        Some(layer) => state.tednet_layer(layer)?,
        None => state.layers_of_torch()?,
    };
    let Layer {
        kind,
        name: layer,
        cell,
        layers,
        input,
        hidden,
        mut tensors,
    } = found;
    let inputs = input.modes.iter().product();
    let (head, weight) = state.head(wanted.head.as_deref(), hidden.iter().product(), inputs)?;
    let outputs = weight.shape()[0];
    if let Some(bias) = state.take_if_there(&beside(&head, "bias"), &[outputs])? {
        tensors.insert("head.bias".into(), bias);
    }
    tensors.insert("head.weight".into(), weight);
    let units = match wanted.gives.kind() {
        OutputKind::Values => &[INPUT_OFFSET, INPUT_SCALE, HEAD_OFFSET, HEAD_SCALE][..],
        OutputKind::Classes | OutputKind::Bits => &[INPUT_OFFSET, INPUT_SCALE],
    };
    for &name in units {
        if state.has(name) {
            tensors.insert(name.into(), state.take(name)?);
        }
    }
    let config = ModelConfig {
        input,
        hidden: HiddenConfig { modes: hidden },
        cell,
        layers,
        recurrent: RecurrentConfig {
            map: MapKind::Dense,
        },
        gate: Gate::Sigmoid,
        head: HeadConfig {
            gives: HeadKind::of(wanted.gives, outputs),
            pool: wanted.pool,
            horizon: None,
            steps: None,
            latent: None,
            attention: None,
            rows: None,
            labels: wanted.labels.clone(),
        },
        front_end: None,
        imported: true,
    };
    let checkpoint = Checkpoint::new(config, tensors)?;
    let warnings = state.finish();
    Ok(Imported {
        checkpoint,
        kind,
        layer,
        head,
        warnings,
    })
}

/// A recurrent layer as it was found.
struct Layer {
    /// What it is called there.
    kind: &'static str,
    /// What stands before the names of its tensors.
    name: String,
    cell: Cell,
    layers: usize,
    input: InputConfig,
    /// J_1, …, J_d.
    hidden: Vec<usize>,
    /// Both maps and the bias, by our names.
    tensors: Tensors,
}

impl State {
    fn layers_of_torch(&mut self) -> Result<Layer> {
        let layer = self.layer()?;
        self.refuse_unsupported(&layer)?;
        let of_layer = |name: &str, at: usize| format!("{layer}{name}_l{at}");
        let numbers = self.names().filter_map(|name| {
            let rest = name.strip_prefix(&layer)?.strip_prefix("weight_hh_l")?;
            rest.parse::<usize>().ok()
        });
        let layers = numbers.max().map_or(1, |last| last + 1);
        if layers > LAYERS_MAX {
            let allowed = format!("{LAYERS_MAX} at most are supported");
            return Err(Error::out_of_range(layers, allowed).field("layers"));
        }
        let mut tensors = Tensors::new();
        let (mut cell, mut units, mut inputs) = (Cell::Lstm, 0, 0);
        for at in 0..layers {
            let hidden = of_layer("weight_hh", at);
            let recurrent = self.take(&hidden)?;
            if at == 0 {
                let frame = self.file.tensors.get(&of_layer("weight_ih", 0));
                let rows = frame.and_then(|frame| frame.shape().first().copied());
                (cell, units) = cell_and_units(&hidden, recurrent.shape(), rows)?;
            }
            let rows = cell.device().gates() * units;
            if recurrent.shape() != [rows, units] {
                let expected = format!("[{rows}, {units}]");
                return Err(wrong_shape(&hidden, expected, recurrent.shape()));
            }
            let frame = of_layer("weight_ih", at);
            let input = self.take(&frame)?;
            match *input.shape() {
                [found, columns] if at == 0 && found == rows && columns > 0 => inputs = columns,
                [found, columns] if at > 0 && (found, columns) == (rows, units) => {}
                _ => {
                    let columns = if at == 0 {
                        "inputs"
                    } else {
                        &units.to_string()
                    };
                    let expected = format!("[{rows}, {columns}]");
                    return Err(wrong_shape(&frame, expected, input.shape()));
                }
            }
            let biases = [of_layer("bias_ih", at), of_layer("bias_hh", at)];
            let [mut bias, of_hidden] = self.biases(biases, rows)?;
            tensors.insert(format!("{}.{MATRIX}", name::input_map(cell, at)), input);
            let map = name::recurrent_map(cell, at);
            tensors.insert(format!("{map}.{MATRIX}"), recurrent);
            // In a GRU's last gate the recurrent map's share is weighed with its bias before it is added.
            let apart = if cell.device().keeps_apart() {
                units
            } else {
                0
            };
            for (sum, value) in bias.iter_mut().zip(of_hidden.iter().take(rows - apart)) {
                *sum += value;
            }
            if apart > 0 {
                let last = of_hidden.iter().skip(rows - apart).copied().collect();
                let last = ArrayD::from_shape_vec(vec![apart], last).expect("the last gate");
                tensors.insert(name::recurrent_bias(cell, at), last);
            }
            tensors.insert(name::bias(cell, at), bias);
        }
        Ok(Layer {
            kind: if cell == Cell::Gru {
                "nn.GRU"
            } else {
                "nn.LSTM"
            },
            name: layer,
            cell,
            layers,
            input: InputConfig {
                map: MapKind::Dense,
                modes: vec![inputs],
                width: None,
                filter: InputFilter::None,
                filter_horizon: None,
                frames: None,
            },
            hidden: vec![units],
            tensors,
        })
    }

    fn tednet_layer(&mut self, layer: String) -> Result<Layer> {
        let of_layer = |name: &str| format!("{layer}{name}");
        let recurrent = self.take(&of_layer("weight_hh"))?;
        let (cell, units) = cell_and_units(&of_layer("weight_hh"), recurrent.shape(), None)?;
        if cell != Cell::Lstm {
            let expected = format!("[{}, {units}]", GATES * units);
            return Err(wrong_shape(
                &of_layer("weight_hh"),
                expected,
                recurrent.shape(),
            ));
        }
        let map = tednet::map(self, &layer)?;
        let product: usize = map.hidden.iter().product();
        if product != units {
            let expected = format!("[{}, {product}], as the factors have it", GATES * product);
            return Err(wrong_shape(
                &of_layer("weight_hh"),
                expected,
                recurrent.shape(),
            ));
        }
        let biases = [of_layer("weight_ih.bias"), of_layer("bias_hh")];
        let [first, second] = self.biases(biases, GATES * units)?;
        let bias = first + second;
        let input = name::input_map(Cell::Lstm, 0);
        let map_tensors = map.map.into_iter();
        let mut tensors: Tensors = map_tensors
            .map(|(name, tensor)| (format!("{input}.{name}"), tensor))
            .collect();
        tensors.insert(recurrent_matrix(), recurrent);
        tensors.insert(name::bias(Cell::Lstm, 0), bias);
        Ok(Layer {
            kind: match map.kind {
                MapKind::TensorTrain { .. } => "TedNet's TTLSTM",
                _ => "TedNet's BTTLSTM",
            },
            name: layer,
            cell: Cell::Lstm,
            layers: 1,
            input: InputConfig {
                map: map.kind,
                modes: map.inputs,
                width: None,
                filter: InputFilter::None,
                filter_horizon: None,
                frames: None,
            },
            hidden: map.hidden,
            tensors,
        })
    }

    /// What stands before the names of the one recurrent layer.
    fn layer(&self) -> Result<String> {
        let layers: Vec<String> = self
            .names()
            .filter_map(|name| name.strip_suffix(FIRST).map(str::to_owned))
            .collect();
        match &layers[..] {
            [layer] => Ok(layer.clone()),
            [] => Err(Error::new(ErrorKind::Missing).field(FIRST).remedy(
                "save the state_dict() of a PyTorch model that has an nn.LSTM or nn.GRU and an nn.Linear",
            )),
            _ => Err(Error::new(ErrorKind::Several {
                what: "recurrent layers that are modules of their own",
                names: layers
                    .iter()
                    .map(|layer| format!("{layer}{FIRST}"))
                    .collect(),
            })
            .remedy("one is supported, of several layers (num_layers) if need be")),
        }
    }

    /// Tensors of the layer that say it is of a kind that the network does not have.
    fn refuse_unsupported(&self, layer: &str) -> Result<()> {
        for name in self.names() {
            let Some(rest) = name.strip_prefix(layer) else {
                continue;
            };
            let Some((kind, place)) = rest.rsplit_once("_l") else {
                continue;
            };
            let what = if place.ends_with("_reverse") {
                Foreign::Bidirectional
            } else if kind == "weight_hr" {
                Foreign::Projection
            } else {
                continue;
            };
            return Err(Error::new(ErrorKind::Foreign(what)).field(name));
        }
        Ok(())
    }

    /// The linear layer that reads the hidden state: its name and its weight [outputs, units].
    fn head(
        &mut self,
        wanted: Option<&str>,
        units: usize,
        inputs: usize,
    ) -> Result<(String, ArrayD<f32>)> {
        let is_weight = |name: &str| name == "weight" || name.ends_with(".weight");
        let matrices: Vec<(String, [usize; 2])> = self
            .file
            .tensors
            .iter()
            .filter(|(name, _)| is_weight(name))
            .filter_map(|(name, tensor)| Some((name.clone(), tensor.shape().try_into().ok()?)))
            .collect();
        let fitting: Vec<&str> = matrices
            .iter()
            .filter(|(_, [_, columns])| *columns == units)
            .map(|(name, _)| name.as_str())
            .collect();
        let name = match wanted {
            Some(head) => {
                let name = beside(head, "weight");
                if !self.has(&name) {
                    let choice = match fitting.first() {
                        Some(name) => format!("{name} could be meant"),
                        None => format!("no other tensor has {units} columns, one a hidden unit"),
                    };
                    return Err(Error::new(ErrorKind::Missing).field(name).remedy(choice));
                }
                name
            }
            None => match fitting[..] {
                [only] => only.to_owned(),
                [] => {
                    let others = self.file.other_types.iter();
                    let mut others = others.filter(|(name, _)| is_weight(name));
                    let shape = |(name, [rows, columns]): &(String, [usize; 2])| {
                        format!("{name} has [{rows}, {columns}]")
                    };
                    let near = match (&matrices[..], others.next()) {
                        ([], Some((name, found))) => {
                            format!("{name} is {found:?}: save it as f32, tensor.float()")
                        }
                        ([], None) => "save the whole state_dict()".to_owned(),
                        (some, _) => {
                            let some: Vec<String> = some.iter().take(3).map(shape).collect();
                            some.join(", ")
                        }
                    };
                    return Err(Error::new(ErrorKind::Missing)
                        .field("the weight of an nn.Linear")
                        .remedy(format!(
                            "none has {units} columns, one a hidden unit; {near}"
                        )));
                }
                _ => {
                    return Err(Error::new(ErrorKind::Several {
                        what: "matrices that could be the linear layer",
                        names: fitting.iter().map(|&name| name.into()).collect(),
                    })
                    .remedy("name it with `head`"));
                }
            },
        };
        let weight = self.take(&name)?;
        let outputs = match *weight.shape() {
            [outputs, columns] if columns == units && outputs > 0 => outputs,
            _ => {
                let expected = format!("[outputs, {units}]");
                return Err(wrong_shape(&name, expected, weight.shape()));
            }
        };
        // What stands before or behind would be left out of the sum.
        for (other, [rows, columns]) in &matrices {
            let what = if *other == name {
                continue;
            } else if *columns == outputs {
                Foreign::SecondLinear
            } else if *rows == inputs {
                Foreign::LinearBefore
            } else {
                continue;
            };
            return Err(Error::new(ErrorKind::Foreign(what)).field(other).remedy(
                "merge it into its neighbour where no nonlinearity lies between, or leave it out of the file",
            ));
        }
        let head = name.strip_suffix("weight").unwrap_or_default();
        Ok((head.trim_end_matches('.').to_owned(), weight))
    }

    /// The warnings, those about tensors that nobody took among them.
    fn finish(mut self) -> Vec<String> {
        let left: Vec<String> = self.names().cloned().collect();
        let left = left.iter().map(|name| {
            format!("{name} is no part of the model and was left out; the scores differ if it took part in them")
        });
        self.warnings.extend(left);
        self.warnings
    }
}

/// The cell with a recurrent matrix of this shape, [4J, J] or [3J, J], and J. `of_frame` are the rows of the frame's
/// matrix, where that is one.
fn cell_and_units(name: &str, shape: &[usize], of_frame: Option<usize>) -> Result<(Cell, usize)> {
    let [rows, units] = *shape else {
        return Err(wrong_shape(name, "[4·units, units]".into(), shape));
    };
    let gates = rows
        .checked_div(units)
        .filter(|gates| gates * units == rows);
    match gates {
        Some(GATES) => Ok((Cell::Lstm, units)),
        Some(3) => Ok((Cell::Gru, units)),
        Some(1) => Err(Error::new(ErrorKind::Foreign(Foreign::PlainRnn)).field(name)),
        _ => {
            // Rows that the other matrix has too are right, and the columns are not.
            let expected = match of_frame == Some(rows) {
                true => [(GATES, "nn.LSTM"), (3, "nn.GRU")]
                    .into_iter()
                    .filter(|(gates, _)| rows.is_multiple_of(*gates))
                    .map(|(gates, layer)| format!("[{rows}, {}] of an {layer}", rows / gates))
                    .collect(),
                false => Vec::new(),
            };
            let expected = match expected.is_empty() {
                true => format!("[{}, {units}]", GATES * units),
                false => expected.join(" or "),
            };
            Err(wrong_shape(name, expected, shape))
        }
    }
}

/// The name of a tensor of the same layer: `fc` and `fc.weight` become `fc.bias`.
fn beside(name: &str, ending: &str) -> String {
    let layer = match name {
        "weight" => "",
        _ => name.strip_suffix(".weight").unwrap_or(name),
    };
    match layer {
        "" => ending.into(),
        _ => format!("{layer}.{ending}"),
    }
}
