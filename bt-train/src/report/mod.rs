//! `report.html`: what a run came to, as one file that any browser shows, on a phone too.
//!
//! Everything is in the file: no script, no font, nothing to fetch. `train` writes it, and `quantize` writes it
//! again with what the integers cost. Two runs of the same settings and data have the same report, to the byte.

mod device;
mod html;
mod sections;

pub use device::Device;

use crate::error::Result;
use crate::file::write_atomic;
use crate::float::config::ModelConfig;
use crate::training::outcome::Outcome;
use crate::training::settings::Settings;
use crate::training::trainer::{Best, Epoch};
use std::path::Path;

/// What a report tells of.
#[derive(Debug)]
pub struct Report<'a> {
    /// As the run was started.
    pub settings: &'a Settings,
    /// What was trained.
    pub config: &'a ModelConfig,
    /// All epochs so far.
    pub epochs: &'a [Epoch],
    /// The one that is kept.
    pub best: Option<&'a Best>,
    /// Sequences that were learned from, where that is known.
    pub learned: Option<usize>,
    /// Of the kept epoch on the validation part, where there is one.
    pub validation: Option<&'a Outcome>,
    /// Of the integers, once there are some.
    pub device: Option<Device<'a>>,
}

impl Report<'_> {
    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_atomic(path, |file| Ok(file.write_all(self.html().as_bytes())?))
    }

    /// The file.
    pub fn html(&self) -> String {
        let title = sections::title(self.config);
        let mut page = html::Page::new(&title);
        sections::summary(&mut page, self);
        sections::curves(&mut page, self);
        if let Some(outcome) = self.validation {
            sections::outcome(&mut page, self.config, outcome);
        }
        match &self.device {
            Some(device) => device.section(&mut page, self.validation),
            None => page.section("On the device", |page| {
                page.note(
                    "Not quantized yet. bt-train quantize with this folder writes this report again: plan, \
                     RAM, flash and instructions, what rounding costs stage by stage, and the integers' \
                     figures beside these.",
                );
            }),
        }
        sections::model(&mut page, self);
        page.end()
    }
}

#[cfg(test)]
mod tests;
