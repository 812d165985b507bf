//! What the sister crates share with this one: the exporter lays models out with it, the firmware
//! measures its kernels, tests look at everything. No promise is made of it from version to version.

/// The LSTM cell.
pub mod cell {
    pub use crate::cell::*;
}

/// What a detector makes of scores.
pub mod detection {
    pub use crate::softmax::probabilities;
}

/// The audio front end and, under feature `alloc`, its tables.
pub mod front_end {
    pub use crate::front_end::*;
}

/// The inner loops.
pub mod kernel {
    pub use crate::kernel::*;
}

/// Windows through which pictures are painted.
pub mod window {
    pub use crate::window::Window;
}

/// How a map runs.
pub mod map {
    pub use crate::map::*;
}

/// The model file: its layout, its proofs and, under feature `alloc`, its writer.
pub mod model {
    pub use crate::model::*;
}

/// Sigmoid and tanh.
pub mod nonlinearity {
    pub use crate::nonlinearity::*;
}

/// What the kernels ask of the processor.
pub mod processor {
    pub use crate::processor::HOLDS_FP_REGISTERS;
}

/// How a contraction touches memory.
pub mod program {
    pub use crate::program::*;
}

/// Q formats and rounding.
pub mod q {
    pub use crate::q::*;
}

/// Sizes that stop at their end.
pub mod size {
    pub use crate::size::*;
}
