//! NumPy's arrays as the trainer reads them, where they lie, and rows of scores as arrays.

use crate::error::{arguments, in_words, raised_of_arrays};
use bt_train::command::scores::Rows;
use bt_train::data::npz::{self, Array};
use bt_train::data::{DataSet, Part, PartName, Recordings};
use bt_train::float::config::{HeadName, ModelConfig};
use ndarray::{ArrayD, IxDyn};
use numpy::{Element, IntoPyArray, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What a call was given as data.
#[derive(Default)]
pub struct Given<'py> {
    arrays: BTreeMap<String, Bound<'py, PyAny>>,
    path: Option<PathBuf>,
}

impl<'py> Given<'py> {
    /// x is an array, or the path of a data set.
    fn new(x: &Bound<'py, PyAny>, name: PartName) -> Given<'py> {
        let mut given = Given::default();
        match x.extract::<PathBuf>() {
            Ok(path) => given.path = Some(path),
            Err(_) => given.add(format!("x_{}", name.suffix()), Some(x)),
        }
        given
    }

    /// The parts to train on: x, and y, x_val, y_val, lengths, lengths_val, groups and labels in this order.
    pub fn training(x: &Bound<'py, PyAny>, others: [Option<&Bound<'py, PyAny>>; 7]) -> Given<'py> {
        let mut given = Given::new(x, PartName::Train);
        let names = [
            "y_train",
            "x_val",
            "y_val",
            "lengths_train",
            "lengths_val",
            "group_train",
            "labels",
        ];
        for (name, array) in names.into_iter().zip(others) {
            given.add(name, array);
        }
        given
    }

    /// Another array, by its name in a data set's file.
    fn add(&mut self, name: impl Into<String>, array: Option<&Bound<'py, PyAny>>) {
        if let Some(array) = array {
            self.arrays.insert(name.into(), array.clone());
        }
    }

    /// The parts of the data set, y as a head of this name takes it. What is strange about it becomes Python's warnings.
    ///
    /// # Errors
    /// What the data set's reader says.
    pub fn load(
        self,
        py: Python<'py>,
        recordings: &Recordings,
        parts: &[PartName],
        head: Option<HeadName>,
    ) -> PyResult<DataSet> {
        let (set, is_file) = match self.path {
            Some(path) => (
                py.detach(|| bt_train::data::load(&path, recordings, parts, head)),
                true,
            ),
            None => {
                let arrays = self.arrays.into_iter();
                let arrays =
                    arrays.map(|(name, array)| Ok((name.clone(), borrowed(&name, &array)?)));
                let arrays: BTreeMap<String, Array> = arrays.collect::<PyResult<_>>()?;
                (py.detach(|| npz::load_arrays(arrays, parts, head)), false)
            }
        };
        let set = set.map_err(if is_file {
            crate::error::raised
        } else {
            raised_of_arrays
        })?;
        for warning in &set.warnings {
            let text = in_words(warning);
            warn(py, if is_file { text } else { arguments(&text) })?;
        }
        Ok(set)
    }
}

/// Gives the classes the numbers that they have in the model, by their names; warns of names that it does not know.
pub fn number_classes(py: Python<'_>, data: &mut DataSet, model: &ModelConfig) -> PyResult<()> {
    match data.number_classes_as(model.head.gives, &model.head.labels) {
        Some(warning) => warn(py, warning),
        None => Ok(()),
    }
}

/// A warning of Python's.
pub fn warn(py: Python<'_>, text: String) -> PyResult<()> {
    py.import("warnings")?.call_method1("warn", (text,))?;
    Ok(())
}

/// The array's own memory where it is in one piece, the last axis fastest; otherwise that of a copy which is.
fn borrowed(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Array> {
    let numpy = value.py().import("numpy")?;
    let array = numpy.call_method1("asarray", (value, value.py().None(), "C"))?;
    let array = array.cast_into::<PyUntypedArray>()?;
    let descr: String = array.dtype().getattr("str")?.extract()?;
    let shape = array.shape().to_vec();
    let bytes = Memory::of(array);
    Array::new(&descr, shape, Arc::new(bytes)).map_err(|error| raised_of_arrays(error.field(name)))
}

/// The bytes of an array in one piece, which lives for as long as they are held.
struct Memory {
    _array: Py<PyUntypedArray>,
    start: *const u8,
    len: usize,
}

impl Memory {
    fn of(array: Bound<'_, PyUntypedArray>) -> Memory {
        assert!(array.is_c_contiguous(), "made so");
        let len = array.len() * array.dtype().itemsize();
        // SAFETY: the pointer is that of a live array object.
        let start = unsafe { (*array.as_array_ptr()).fields.data }
            .cast_const()
            .cast();
        Memory {
            _array: array.unbind(),
            start,
            len,
        }
    }
}

// SAFETY: bytes are only read, and the array that owns them is dropped as Python wants it from whatever thread.
unsafe impl Send for Memory {}
// SAFETY: likewise.
unsafe impl Sync for Memory {}

impl AsRef<[u8]> for Memory {
    fn as_ref(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: NumPy keeps so many bytes there while the array lives, which is held here. That nobody writes them
        // meanwhile is the caller's part, as with every NumPy function that works without Python's lock; bytes that
        // are written anyway are read as numbers of whatever value, by value.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

/// Rows of `width` values as an array: a row for each sequence, or for every step of each.
pub fn rows<'py, T: Element + Copy>(
    py: Python<'py>,
    rows: &Rows<'_>,
    values: &[T],
    width: usize,
    behind: T,
) -> PyResult<Bound<'py, PyAny>> {
    let (shape, values) = rows.array(values, width, behind);
    let array = ArrayD::from_shape_vec(IxDyn(&shape), values).expect("as many as the shape says");
    Ok(array.into_pyarray(py).into_any())
}

/// The part that a call of this model is about: `x` and `lengths`, perhaps `y`.
pub fn test_part<'py>(
    x: &Bound<'py, PyAny>,
    y: Option<&Bound<'py, PyAny>>,
    lengths: Option<&Bound<'py, PyAny>>,
    model: &ModelConfig,
) -> PyResult<DataSet> {
    let mut given = Given::new(x, PartName::Test);
    given.add("y_test", y);
    given.add("lengths_test", lengths);
    let head = Some(model.head.gives.name());
    let recordings = Recordings::default();
    let mut data = given.load(x.py(), &recordings, &[PartName::Test], head)?;
    number_classes(x.py(), &mut data, model)?;
    Ok(data)
}

/// The test part of a data set that has one.
pub fn part(data: &DataSet) -> PyResult<&Part> {
    data.part(PartName::Test).map_err(raised_of_arrays)
}
