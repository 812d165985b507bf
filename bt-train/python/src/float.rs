//! Float models: training, evaluation, import.

use crate::arrays::{Given, number_classes, part, rows, test_part, warn};
use crate::error::{Error, arguments, in_words, line, raised, raised_of_arrays};
use crate::words::parsed;
use bt_core::OutputKind;
use bt_train::command::decomposition::{Maps, Replaced, decompose};
use bt_train::command::eval::Evaluation;
use bt_train::command::model_path;
use bt_train::command::scores::Rows;
use bt_train::command::tuning::watched;
use bt_train::data::PartName;
use bt_train::error::ErrorKind;
use bt_train::file::check_floats;
use bt_train::float::checkpoint::Checkpoint;
use bt_train::float::config::{HeadName, Pool};
use bt_train::float::tensors::{TensorFile, Tensors};
use bt_train::import::torch::{self, Wanted};
use bt_train::training::evaluate;
use bt_train::training::run::{RunFolder, RunWatch};
use bt_train::training::settings::{Flags, Settings};
use bt_train::training::trainer::{Epoch, Trainer, Update};
use clap::ValueEnum;
use numpy::{PyArrayDyn, PyReadonlyArrayDyn, ToPyArray};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What JSON says of a value, as Python's own objects.
pub fn object<'py>(py: Python<'py>, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(value).map_err(|error| Error::new_err(error.to_string()))?;
    py.import("json")?.call_method1("loads", (text,))
}

/// Looks on while a model trains: Ctrl-C breaks it off, and so does an exception of the caller's.
#[derive(Default)]
pub struct Watch {
    progress: Option<Py<PyAny>>,
    looked: Option<Instant>,
    /// Why it was broken off.
    raised: Option<PyErr>,
}

/// How often Python is asked whether a signal came.
const LOOK: Duration = Duration::from_millis(100);

impl Watch {
    /// One that calls this with a dict after every epoch.
    pub fn new(progress: Option<Py<PyAny>>) -> Watch {
        Watch {
            progress,
            ..Watch::default()
        }
    }

    /// What a training that was broken off raises; `left` says what remains of it.
    pub fn broken_off(self, left: &str) -> PyErr {
        Python::attach(|py| match self.raised {
            Some(error) if !error.is_instance_of::<PyKeyboardInterrupt>(py) => error,
            _ => PyKeyboardInterrupt::new_err(left.to_owned()),
        })
    }
}

impl RunWatch for Watch {
    fn start(&mut self, _: &Trainer<'_>) {}

    fn updated(&mut self, _: Update) -> ControlFlow<()> {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.looked = Some(Instant::now());
            if let Err(error) = Python::attach(|py| py.check_signals()) {
                self.raised = Some(error);
            }
        }
        match self.raised {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }

    fn epoch(&mut self, epoch: &Epoch) {
        let Some(progress) = &self.progress else {
            return;
        };
        let called = Python::attach(|py| {
            progress.call1(py, (object(py, epoch)?,))?;
            Ok(())
        });
        self.raised = called.err().or(self.raised.take());
    }
}

/// A model in floats: what training leaves, and what becomes integers.
///
/// FloatModel(config, tensors) puts one together: the JSON object of a model file's metadata and its tensors by name.
#[pyclass(frozen, module = "bt_lstm")]
pub struct FloatModel {
    pub checkpoint: Checkpoint,
    pub settings: Settings,
    epochs: Vec<Epoch>,
    replaced: Vec<Replaced>,
}

#[pymethods]
impl FloatModel {
    #[new]
    fn new(
        config: &Bound<'_, PyAny>,
        tensors: HashMap<String, PyReadonlyArrayDyn<'_, f32>>,
    ) -> PyResult<FloatModel> {
        let text: String = config
            .py()
            .import("json")?
            .call_method1("dumps", (config,))?
            .extract()?;
        let config = serde_json::from_str(&text)
            .map_err(|error| Error::new_err(format!("config: {error}")))?;
        Ok(FloatModel::of(
            Checkpoint::new(config, owned(tensors)).map_err(raised)?,
        ))
    }

    /// Reads a .safetensors file, or the best model of a run's folder.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<FloatModel> {
        let (checkpoint, warnings) =
            Checkpoint::read_with_warnings(&model_path(&path)).map_err(raised)?;
        for warning in warnings {
            warn(py, warning)?;
        }
        let settings = bt_train::command::settings(&path, &checkpoint.config).map_err(raised)?;
        Ok(FloatModel {
            checkpoint,
            settings,
            epochs: Vec::new(),
            replaced: Vec::new(),
        })
    }

    /// Writes a .safetensors file, which every command of bt-train reads.
    fn save(&self, path: PathBuf) -> PyResult<()> {
        check_floats(&path).map_err(raised)?;
        self.checkpoint.write(&path).map_err(raised)
    }

    /// Logits [sequences, K] of x [sequences, steps, features…], or with a head on every step [sequences, steps, K],
    /// zeros behind the end of a sequence; values in the units of y.
    #[pyo3(signature = (x, lengths=None))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        lengths: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.evaluated(x, None, lengths, |of, found| {
            let values: Vec<f32> = found.logits.iter().copied().collect();
            let outputs = self.checkpoint.config.head.gives.outputs();
            rows(py, of, &values, outputs, 0.0)
        })
    }

    /// The class of each sequence, or of every step, −1 behind the end of a sequence.
    #[pyo3(signature = (x, lengths=None))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        lengths: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if self.checkpoint.config.head.gives.kind() != OutputKind::Classes {
            return Err(Error::new_err(
                "predict: the model gives values or bits, not classes; call it",
            ));
        }
        self.evaluated(x, None, lengths, |of, found| {
            classes(py, of, &evaluate::predictions(&found.logits))
        })
    }

    /// Accuracy and its like, or the errors of values: the fields of `bt-train eval --json`.
    #[pyo3(signature = (x, y, lengths=None))]
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        lengths: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.evaluated(x, Some(y), lengths, |of, found| {
            object(py, &found.json(of.part))
        })
    }

    /// By map that import_torch decomposed, ‖W − map‖/‖W‖ of ranks up to its own.
    #[getter]
    fn error_by_rank(&self) -> BTreeMap<String, BTreeMap<usize, f64>> {
        let maps = self.replaced.iter();
        maps.map(|map| (map.name.clone(), map.errors.clone()))
            .collect()
    }

    /// What the model is made of: the JSON object of the file's metadata.
    #[getter]
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        object(py, &self.checkpoint.config)
    }

    /// Copies of all tensors, by name.
    fn tensors<'py>(&self, py: Python<'py>) -> BTreeMap<&str, Bound<'py, PyArrayDyn<f32>>> {
        let tensors = self.checkpoint.tensors.iter();
        tensors
            .map(|(name, tensor)| (name.as_str(), tensor.to_pyarray(py)))
            .collect()
    }

    /// Names of the classes; empty where they have none.
    #[getter]
    fn labels(&self) -> Vec<String> {
        self.checkpoint.config.head.labels.clone()
    }

    /// Number of weights.
    #[getter]
    fn parameters(&self) -> usize {
        self.checkpoint.config.parameters()
    }

    /// What every epoch came to, as RUN/metrics.jsonl has it; empty for a model that was not trained here.
    #[getter]
    fn epochs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        object(py, &self.epochs)
    }

    fn __repr__(&self) -> String {
        let config = &self.checkpoint.config;
        format!(
            "FloatModel({} inputs, {} {} units, {} parameters)",
            config.inputs(),
            config.units(),
            config.cell.name(),
            config.parameters()
        )
    }
}

impl FloatModel {
    /// Logits of every row, with what the rows are.
    fn evaluated<'py, R>(
        &self,
        x: &Bound<'py, PyAny>,
        y: Option<&Bound<'py, PyAny>>,
        lengths: Option<&Bound<'py, PyAny>>,
        then: impl FnOnce(&Rows<'_>, &Evaluation) -> PyResult<R>,
    ) -> PyResult<R> {
        let data =
            test_part(x, y, lengths, &self.checkpoint.config)?.for_model(&self.checkpoint.config);
        let data = data.map_err(raised_of_arrays)?;
        let part = part(&data)?;
        let found = x
            .py()
            .detach(|| Evaluation::new(&self.checkpoint, part))
            .map_err(raised)?;
        let gives = self.checkpoint.config.head.gives;
        let of = Rows {
            part,
            every_step: gives.every_step(),
            kind: gives.kind(),
        };
        then(&of, &found)
    }

    /// One that nothing is known of but itself.
    fn of(checkpoint: Checkpoint) -> FloatModel {
        let config = &checkpoint.config;
        let settings = Settings {
            input_modes: bt_train::training::modes::Modes(config.input.modes.clone()),
            hidden_modes: bt_train::training::modes::Modes(config.hidden.modes.clone()),
            ..Settings::default()
        };
        FloatModel {
            checkpoint,
            settings,
            epochs: Vec::new(),
            replaced: Vec::new(),
        }
    }
}

/// Classes of rows as an array.
pub fn classes<'py>(py: Python<'py>, of: &Rows<'_>, told: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    let told: Vec<i64> = told.iter().map(|&class| class as i64).collect();
    let array = rows(py, of, &told, 1, -1)?;
    array.call_method1("squeeze", (-1,))
}

fn owned(tensors: HashMap<String, PyReadonlyArrayDyn<'_, f32>>) -> Tensors {
    let tensors = tensors.into_iter();
    tensors
        .map(|(name, tensor)| (name, tensor.as_array().to_owned()))
        .collect()
}

/// Trains a model on x [sequences, steps, features…] and y: classes [sequences], or [sequences, steps] for every
/// step; values [sequences, K] or [sequences, steps, K].
///
/// x is read where it lies (u8, i8, i16, f32 in one piece) and must not be written meanwhile; it may also be the path
/// of a data set. Without x_val a part of x is kept for validation, whole groups where there are any. The epoch that
/// validates best is kept.
///
/// With out=FOLDER the run's files are left there (model, metrics, curves, event files of TensorBoard) and
/// resume=True goes on with them. progress is called with a dict after every epoch. Every other keyword is a setting
/// of `bt-train train`, such as units=64, hidden_modes=(4, 4, 4, 4), rank=4, epochs=60, lr=0.004, seed=0;
/// bt_lstm.settings() lists them. config=TOML is a file of them, with the table [augment]; keywords win.
#[pyfunction]
#[pyo3(signature = (x, y=None, *, x_val=None, y_val=None, lengths=None, lengths_val=None, groups=None, labels=None,
    config=None, out=None, resume=false, progress=None, **settings))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub fn train<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    y: Option<&Bound<'py, PyAny>>,
    x_val: Option<&Bound<'py, PyAny>>,
    y_val: Option<&Bound<'py, PyAny>>,
    lengths: Option<&Bound<'py, PyAny>>,
    lengths_val: Option<&Bound<'py, PyAny>>,
    groups: Option<&Bound<'py, PyAny>>,
    labels: Option<&Bound<'py, PyAny>>,
    config: Option<PathBuf>,
    out: Option<PathBuf>,
    resume: bool,
    progress: Option<Py<PyAny>>,
    settings: Option<&Bound<'py, PyDict>>,
) -> PyResult<FloatModel> {
    let flags: Flags = parsed("train", settings)?;
    let folder = out.map(RunFolder::new);
    let told = match &folder {
        Some(folder) => folder.settings(config.as_deref(), &flags, resume),
        None if resume => return Err(Error::new_err("resume: there is no `out` to go on with")),
        None => Settings::of_run(config.as_deref(), &flags),
    };
    let told = told.map_err(raised)?;
    let others = [y, x_val, y_val, lengths, lengths_val, groups, labels];
    let given = Given::training(x, others);
    let recordings = told.recordings().map_err(raised)?;
    let parts = [PartName::Train, PartName::Validation];
    let mut data = given.load(py, &recordings, &parts, told.head.name())?;
    let settings = told.fitted(&data).map_err(raised_of_arrays)?;
    let initial = match settings.init.as_str() {
        "" => None,
        path => Some(Checkpoint::read(Path::new(path)).map_err(raised)?),
    };
    if let Some(checkpoint) = &initial {
        number_classes(py, &mut data, &checkpoint.config)?;
    }
    let trainer = py.detach(|| match &initial {
        Some(checkpoint) => Trainer::warm(&settings, checkpoint, &data),
        None => Trainer::new(&settings, settings.model(&data)?, &data),
    });
    let mut trainer = trainer.map_err(raised_of_arrays)?;
    for warning in trainer.warnings() {
        warn(py, arguments(&in_words(warning)))?;
    }
    let mut watch = Watch::new(progress);
    let (checkpoint, epochs) = match &folder {
        Some(folder) => {
            let trained = py.detach(|| folder.train(&settings, &mut trainer, &mut watch));
            match trained {
                Ok(epochs) => (trainer.checkpoint(), epochs),
                Err(error) if matches!(error.kind, ErrorKind::Interrupted { .. }) => {
                    let left = line(error);
                    return Err(watch.broken_off(&left));
                }
                Err(error) => return Err(raised(error)),
            }
        }
        None => {
            let tuned = py.detach(|| watched(trainer, &mut watch)).map_err(raised)?;
            if let Some(epochs) = tuned.interrupted {
                let left = format!(
                    "interrupted after epoch {epochs}; with `out` the model so far is kept"
                );
                return Err(watch.broken_off(&left));
            }
            (tuned.checkpoint, tuned.epochs)
        }
    };
    Ok(FloatModel {
        checkpoint,
        settings,
        epochs,
        replaced: Vec::new(),
    })
}

/// A model of PyTorch's tensors, by the names of its state_dict: see import_torch.
#[pyfunction]
#[pyo3(signature = (tensors, *, head=None, gives="classes", pool="last", labels=Vec::new(), **maps))]
pub fn import_tensors(
    py: Python<'_>,
    tensors: HashMap<String, PyReadonlyArrayDyn<'_, f32>>,
    head: Option<String>,
    gives: &str,
    pool: &str,
    labels: Vec<String>,
    maps: Option<&Bound<'_, PyDict>>,
) -> PyResult<FloatModel> {
    let maps: Maps = parsed("import_torch", maps)?;
    let gives = HeadName::from_str(gives, false).map_err(|_| {
        let names = HeadName::value_variants().iter();
        let names: Vec<_> = names.filter_map(|name| name.to_possible_value()).collect();
        let names: Vec<&str> = names.iter().map(|name| name.get_name()).collect();
        Error::new_err(format!(
            "gives: is `{gives}`; {} are possible",
            names.join(", ")
        ))
    })?;
    let pool = Pool::from_str(pool, false).map_err(|_| {
        Error::new_err(format!(
            "pool: is `{pool}`; last, mean and recent are possible"
        ))
    })?;
    let file = TensorFile {
        metadata: HashMap::new(),
        tensors: owned(tensors),
        other_types: BTreeMap::new(),
    };
    let imported = torch::import(
        file,
        &Wanted {
            head,
            gives,
            pool,
            labels,
        },
    )
    .map_err(raised)?;
    for warning in imported.warnings {
        warn(py, warning)?;
    }
    let config = maps.config(&imported.checkpoint.config).map_err(raised)?;
    let decomposed = py.detach(|| decompose(&imported.checkpoint, config, &mut |_, _| ()));
    let (checkpoint, replaced) = decomposed.map_err(raised)?;
    Ok(FloatModel {
        replaced,
        ..FloatModel::of(checkpoint)
    })
}
