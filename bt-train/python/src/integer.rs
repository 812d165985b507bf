//! Models in integers: made, run with the device's own code, planned.

use crate::arrays::{Given, number_classes, part, rows, test_part, warn};
use crate::error::{Error, keywords, raised, raised_of_arrays};
use crate::float::{FloatModel, Watch, classes, object};
use crate::words::parsed;
use bt_core::{ModelBytes, OutputKind, argmax};
use bt_train::command::device::DeviceArgs;
use bt_train::command::quantize::Request;
use bt_train::command::tuning::watched;
use bt_train::command::{self, scores};
use bt_train::data::{PartName, Recordings};
use bt_train::device;
use bt_train::file::{check_integers, check_out, write_atomic};
use bt_train::float::config::ModelConfig;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// A quantized model, run by the code that runs on the device: the same bits.
///
/// IntegerModel("m.btm"), or its bytes.
#[pyclass(frozen, module = "bt_lstm")]
pub struct IntegerModel {
    bytes: ModelBytes,
    config: ModelConfig,
    report: serde_json::Value,
}

impl IntegerModel {
    fn of(bytes: ModelBytes, report: serde_json::Value) -> Result<IntegerModel, bt_train::Error> {
        let config = device::config(&device::parse(&bytes)?)?;
        Ok(IntegerModel {
            bytes,
            config,
            report,
        })
    }

    /// Raw scores of every row, with what the rows are.
    fn scores<'py, R>(
        &self,
        x: &Bound<'py, PyAny>,
        y: Option<&Bound<'py, PyAny>>,
        lengths: Option<&Bound<'py, PyAny>>,
        then: impl FnOnce(&bt_core::Model<'_>, &scores::Rows<'_>, &[Vec<i32>]) -> PyResult<R>,
    ) -> PyResult<R> {
        let data = test_part(x, y, lengths, &self.config)?.raw_for_model(&self.config);
        let data = data.map_err(raised_of_arrays)?;
        let part = part(&data)?;
        let model = device::parse(&self.bytes).map_err(raised)?;
        let raw = x.py().detach(|| device::run(&model, part, || ()));
        then(
            &model,
            &scores::rows(&model, part),
            &raw.map_err(raised_of_arrays)?,
        )
    }
}

#[pymethods]
impl IntegerModel {
    #[new]
    fn new(model: &Bound<'_, PyAny>) -> PyResult<IntegerModel> {
        let none = serde_json::Value::Null;
        if let Ok(bytes) = model.cast::<PyBytes>() {
            let bytes = ModelBytes::from_unaligned(bytes.as_bytes());
            return IntegerModel::of(bytes, none).map_err(raised);
        }
        let path: PathBuf = model.extract()?;
        let made = device::read_model(&path).and_then(|bytes| IntegerModel::of(bytes, none));
        made.map_err(|error| raised(error.file(&path)))
    }

    /// Logits as the device's scores say them [sequences, K], or with a head on every step [sequences, steps, K],
    /// zeros behind the end of a sequence; values in the units of y.
    #[pyo3(signature = (x, lengths=None))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        lengths: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.scores(x, None, lengths, |model, of, raw| {
            let logits = scores::logits(model, raw).map_err(raised)?;
            let values: Vec<f32> = logits.iter().copied().collect();
            rows(py, of, &values, model.outputs(), 0.0)
        })
    }

    /// The device's own scores, i32, equal to the bit; of the shape of its logits.
    #[pyo3(signature = (x, lengths=None))]
    fn raw<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        lengths: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.scores(x, None, lengths, |model, of, raw| {
            rows(py, of, &raw.concat(), model.outputs(), 0)
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
        self.scores(x, None, lengths, |model, of, raw| {
            if model.output_kind() != OutputKind::Classes {
                return Err(Error::new_err(
                    "predict: the model gives values or bits, not classes; call it",
                ));
            }
            let told: Vec<usize> = raw.iter().map(|raw| argmax(raw).unwrap_or(0)).collect();
            classes(py, of, &told)
        })
    }

    /// Accuracy and its like, or the errors of values: the fields of `bt-train run --json`.
    #[pyo3(signature = (x, y, lengths=None))]
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        lengths: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.scores(x, Some(y), lengths, |model, of, raw| {
            let targets = of.part.targets.as_ref();
            let figures = targets.map(|targets| scores::figures(model, targets, raw));
            let figures = figures.transpose().map_err(raised)?;
            object(py, &scores::report(of.part, of.every_step, figures))
        })
    }

    /// Writes the .btm file.
    fn save(&self, path: PathBuf) -> PyResult<()> {
        check_integers(&path).map_err(raised)?;
        write_atomic(&path, |file| Ok(file.write_all(self.bytes.bytes())?)).map_err(raised)
    }

    /// The .btm file's bytes.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.bytes.bytes())
    }

    /// RAM of a session on the device.
    #[getter]
    fn ram_bytes(&self) -> PyResult<usize> {
        Ok(device::parse(&self.bytes).map_err(raised)?.arena_bytes())
    }

    /// Flash that the model takes.
    #[getter]
    fn flash_bytes(&self) -> PyResult<usize> {
        Ok(device::parse(&self.bytes).map_err(raised)?.flash_bytes())
    }

    /// Names of the classes; empty where they have none.
    #[getter]
    fn labels(&self) -> Vec<String> {
        self.config.head.labels.clone()
    }

    /// What quantize found out, the fields of `bt-train quantize --json`; None of a model that was read.
    #[getter]
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        object(py, &self.report)
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!(
            "IntegerModel({} inputs, {} units, {} bytes of RAM, {} of flash)",
            self.config.inputs(),
            self.config.units(),
            self.ram_bytes()?,
            self.flash_bytes()?
        ))
    }
}

/// Turns a model into the integers of a device.
///
/// x is what the model was trained on: ranges of values are found on it, and with y what the integers cost is told on
/// its validation part. fine_tune=N trains N epochs more with values rounded as on the device. board="microbit", or
/// ram="10K", flash="64K" and core="m4f", are what the plan must keep to. out=FILE writes the .btm. What a user should
/// know comes as warnings of Python's. A model of pictures takes no x.
#[pyfunction]
#[pyo3(signature = (model, x=None, y=None, *, x_val=None, y_val=None, lengths=None, lengths_val=None, groups=None,
    labels=None, out=None, name=None, fine_tune=None, progress=None, **device))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub fn quantize<'py>(
    py: Python<'py>,
    model: &FloatModel,
    x: Option<&Bound<'py, PyAny>>,
    y: Option<&Bound<'py, PyAny>>,
    x_val: Option<&Bound<'py, PyAny>>,
    y_val: Option<&Bound<'py, PyAny>>,
    lengths: Option<&Bound<'py, PyAny>>,
    lengths_val: Option<&Bound<'py, PyAny>>,
    groups: Option<&Bound<'py, PyAny>>,
    labels: Option<&Bound<'py, PyAny>>,
    out: Option<PathBuf>,
    name: Option<String>,
    fine_tune: Option<usize>,
    progress: Option<Py<PyAny>>,
    device: Option<&Bound<'py, PyDict>>,
) -> PyResult<IntegerModel> {
    let device: DeviceArgs = parsed("quantize", device)?;
    let others = [y, x_val, y_val, lengths, lengths_val, groups, labels];
    let recordings = model
        .settings
        .recordings()
        .unwrap_or_else(|_| Recordings::default());
    if let Some(out) = &out {
        let read = x.and_then(|x| x.extract::<PathBuf>().ok());
        let read: Vec<&Path> = read.iter().map(PathBuf::as_path).collect();
        check_out(out, &read)
            .and_then(|()| check_integers(out))
            .map_err(raised)?;
    }
    let parts = [PartName::Train, PartName::Validation];
    let head = Some(model.checkpoint.config.head.gives.name());
    let data = x.map(|x| Given::training(x, others).load(py, &recordings, &parts, head));
    let mut data = data.transpose()?;
    if let Some(data) = &mut data {
        number_classes(py, data, &model.checkpoint.config)?;
    }
    let stem = out.as_ref().and_then(|out| out.file_stem());
    let stem = stem.map_or("model".into(), |stem| stem.to_string_lossy().into_owned());
    let request = Request {
        checkpoint: &model.checkpoint,
        settings: &model.settings,
        data: data.as_ref(),
        device,
        name: name.unwrap_or(stem),
        fine_tune: fine_tune.and_then(NonZeroUsize::new),
        files: None,
    };
    let mut watch = Watch::new(progress);
    let quantized = py.detach(|| request.run(|trainer| watched(trainer, &mut watch)));
    let quantized = quantized.map_err(raised_of_arrays)?;
    let interrupted = quantized.tuned.as_ref().and_then(|tuned| tuned.interrupted);
    if let Some(epochs) = interrupted {
        return Err(watch.broken_off(&format!("interrupted after epoch {epochs} of fine-tuning")));
    }
    for warning in &quantized.warnings {
        warn(py, keywords(warning))?;
    }
    let report = quantized.json().map_err(raised)?;
    let made = IntegerModel::of(quantized.exported.bytes, report).map_err(raised)?;
    if let Some(out) = out {
        made.save(out)?;
    }
    Ok(made)
}

/// The best orders of contraction for a layer under limits of RAM and flash: the fields of `bt-train plan --json`.
///
/// plan((8, 20, 20, 18), (4, 4, 4, 4), rank=4, blocks=2, ram="10K", flash="64K", clock="64MHz"); its other keywords
/// are the flags of `bt-train plan`.
#[pyfunction]
#[pyo3(signature = (input_modes, hidden_modes, **settings))]
pub fn plan<'py>(
    py: Python<'py>,
    input_modes: &Bound<'py, PyAny>,
    hidden_modes: &Bound<'py, PyAny>,
    settings: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let all = match settings {
        Some(settings) => settings.copy()?,
        None => PyDict::new(py),
    };
    all.set_item("input_modes", input_modes)?;
    all.set_item("hidden_modes", hidden_modes)?;
    let args: command::plan::Args = parsed("plan", Some(&all))?;
    let report = py.detach(|| command::plan::report(&args)).map_err(raised)?;
    object(py, &report)
}
