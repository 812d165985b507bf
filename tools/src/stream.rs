//! Sequences sent to a device as a sensor would send them: chunk after chunk,
//! no longer than the device takes, with no regard to steps or even values.

use std::io::{Read, Write};

use anyhow::Result;

use crate::device::{Device, Identity, Scores};

/// Sends one whole sequence, from a reset on, ends it, and fetches its scores:
/// those after every step, or after the last; none when it is empty.
///
/// # Errors
///
/// As every call of [`Device`].
pub fn sequence<S: Read + Write>(
    device: &mut Device<S>,
    identity: &Identity,
    bytes: &[u8],
    every_step: bool,
) -> Result<Vec<Scores>> {
    device.reset()?;
    let mut all = Vec::new();
    // Scores are those after the last step of a chunk: with one for every step, none is longer than a step.
    let stretch = match every_step {
        true => identity.frame_values * identity.input.bytes(),
        false => bytes.len(),
    };
    let mut steps = 0;
    for stretch in bytes.chunks(stretch.max(1)) {
        let mut done = steps;
        for chunk in stretch.chunks(identity.chunk_bytes_max.max(1)) {
            done = device.chunk(chunk)?;
        }
        if every_step && done != steps {
            all.push(device.scores()?);
        }
        steps = done;
    }
    let done = device.finish()?;
    if done != 0 && (done != steps || !every_step) {
        all.push(device.scores()?);
    }
    Ok(all)
}
