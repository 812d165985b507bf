//! Sequences sent to a device as a sensor would send them: chunk after chunk,
//! no longer than the device takes, with no regard to steps or even values.

use std::io::{Read, Write};

use anyhow::Result;

use crate::device::{Device, Identity, Scores};

/// Sends one whole sequence, from a reset on, ends it, and fetches its scores;
/// none when it is empty.
///
/// # Errors
///
/// As every call of [`Device`].
pub fn sequence<S: Read + Write>(
    device: &mut Device<S>,
    identity: &Identity,
    bytes: &[u8],
) -> Result<Option<Scores>> {
    device.reset()?;
    for chunk in bytes.chunks(identity.chunk_bytes_max.max(1)) {
        device.chunk(chunk)?;
    }
    if device.finish()? == 0 {
        return Ok(None);
    }
    device.scores().map(Some)
}
