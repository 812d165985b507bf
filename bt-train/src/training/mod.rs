//! Fitting a float model to a data set.
//!
//! [`settings`] say how, a [`trainer`] does it an epoch at a time, a [`run`]
//! keeps what it did in a folder so that it can go on after a kill.

pub mod augment;
pub mod bleu;
pub mod caption;
pub mod confusion;
#[cfg(test)]
mod crash;
pub mod curves;
pub mod evaluate;
mod events;
pub mod linear;
pub mod material;
pub mod metrics;
pub mod modes;
pub mod optimizer;
pub mod outcome;
pub mod run;
pub mod schedule;
pub mod settings;
pub mod trainer;
