//! The Python package `bt_lstm`: `bt-train` and the device's own `bt-core` behind functions that take and give NumPy
//! arrays.
//!
//! Nothing is computed here. [`arrays`] lets the trainer read NumPy's memory where it lies, [`error`] says its
//! errors in Python's words, [`float`] trains, [`integer`] quantizes and runs, [`function`] is what PyTorch's
//! gradients go through.

mod arrays;
mod error;
mod float;
mod function;
mod integer;
mod words;

use pyo3::prelude::*;

/// As in the program `bt-train`.
#[cfg(target_pointer_width = "64")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Block-term LSTMs: trained here, run in integers as on the device.
#[pymodule]
mod _native {
    #[pymodule_export]
    use crate::error::Error;
    #[pymodule_export]
    use crate::float::{FloatModel, import_tensors, train};
    #[pymodule_export]
    use crate::function::{Kept, Layer, LinearMap};
    #[pymodule_export]
    use crate::integer::{IntegerModel, plan, quantize};
    #[pymodule_export]
    use crate::words::settings;
}
