//! What a product watches while it runs: flash, sensors, and the interrupts of its board.
//!
//! ```
//! use bt_core::health::{Limits, Scrub};
//! use bt_core::{Error, Session};
//!
//! /// A step, counted, and a look at the next KiB of the model's file.
//! fn step(
//!     session: &mut Session,
//!     (limits, scrub): (&mut Limits, &mut Scrub),
//!     (file, frame): (&[u8], &[u8]),
//! ) -> Result<(), Error> {
//!     session.push_bytes(frame)?;
//!     let model = session.model();
//!     limits.count_input(model.input_type(), frame);
//!     session.step_watched(|watched| limits.count_step(model.cell(), &watched))?;
//!     scrub.next(file, 1024)?; // refuses as soon as a round finds a bit that has flipped
//!     Ok(())
//! }
//! ```

pub use crate::cell::Gate;
pub use crate::crc32c::Crc32c;
pub use crate::model::Scrub;
pub use crate::processor::check_interrupts;
pub use crate::session::{Limits, Watched};
