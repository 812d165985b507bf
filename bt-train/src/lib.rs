#![doc = include_str!("../README.md")]
//!
//! ## As a library
//!
//! Data flow one way: data set ([`data`]) → float model ([`float`]) fitted by
//! [`training`] → integers for the device ([`plan`], [`quantize`]). [`command`]
//! is the command line on top of it.
//!
//! ```
//! use bt_train::data::{DataSet, Part, PartName, Values};
//! use bt_train::training::{evaluate, settings::Settings, trainer::Trainer};
//! use std::{ops::ControlFlow, sync::Arc};
//!
//! # fn main() -> bt_train::Result<()> {
//! // Twelve sequences of two steps of four values: class 0 is dark, class 1 bright.
//! let train = Part {
//!     values: Arc::new(Values::U8((0..96).map(|i| if i / 8 % 2 == 0 { 10 } else { 200 }).collect())),
//!     width: 4,
//!     starts: (0..12).map(|sequence| 8 * sequence).collect(),
//!     lengths: vec![2; 12],
//!     targets: Some((0..12).map(|sequence| sequence % 2).collect::<Vec<_>>().into()),
//!     groups: None,
//! };
//! let data = DataSet { train: Some(train), ..DataSet::default() };
//! let settings = Settings {
//!     input_modes: "2x2".parse().unwrap(),
//!     hidden_modes: "2x2".parse().unwrap(),
//!     epochs: 20,
//!     lr: 0.02,
//!     ..Settings::default()
//! };
//! let mut trainer = Trainer::new(&settings, settings.model(&data)?, &data)?;
//! while !trainer.finished() {
//!     trainer.epoch(&mut |_step| ControlFlow::Continue(()))?;
//! }
//! let model = trainer.checkpoint().model()?;
//! let logits = evaluate::logits(&model, data.part(PartName::Train)?);
//! assert_eq!(evaluate::predictions(&logits)[..4], [0, 1, 0, 1]);
//! # Ok(())
//! # }
//! ```

pub mod benchmark;
pub mod chart;
pub mod command;
pub mod data;
pub mod detection;
pub mod device;
pub mod drawing;
pub mod error;
pub mod file;
pub mod float;
pub mod heads;
pub mod import;
pub mod output;
pub mod plan;
pub mod quantize;
pub mod report;
pub mod search;
pub mod shape;
pub mod svg;
pub mod training;

pub use error::{Error, ErrorKind, Result};
