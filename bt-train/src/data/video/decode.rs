//! One clip through `ffmpeg`, a process of its own: whatever a file holds, nothing here breaks by it.

use super::Frames;
use super::sampler::Sampler;
use crate::error::{Error, ErrorKind, Result, one_line};
use std::ffi::OsString;
use std::io::{ErrorKind as IoKind, Read};
use std::path::Path;
use std::process::{Command, Stdio};

/// The program that decodes.
const PROGRAM: &str = "ffmpeg";

/// What became of a clip: its frames, one after the other, or why there are none.
pub type Decoded = std::result::Result<Vec<u8>, Refused>;

/// Why a clip gives no frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The program stopped at it, or complained about what it decoded.
    #[error("is damaged, or no video: {0}")]
    Damaged(String),
    /// It has too few frames.
    #[error("has {found} frames, and {wanted} are wanted")]
    TooShort {
        /// Frames there are.
        found: usize,
        /// Frames to take.
        wanted: usize,
    },
}

/// Checks that the program is there.
///
/// # Errors
/// Names it, and how to come by it.
pub fn program() -> Result<()> {
    let quiet = Command::new(PROGRAM)
        .arg("-version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match quiet {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Error::malformed(format!("it ended with {status}")).field(PROGRAM)),
        Err(error) if error.kind() == IoKind::NotFound => Err(missing()),
        Err(error) => Err(Error::from(error).field(PROGRAM)),
    }
}

fn missing() -> Error {
    Error::new(ErrorKind::Missing)
        .field(PROGRAM)
        .remedy("install FFmpeg (Debian: apt-get install ffmpeg) and put it on the PATH")
}

/// The frames of a clip. Pictures of another size, or of sizes that change on the way, are scaled to the one
/// wanted by the means of areas; a clip whose pictures do not come evenly is taken evenly in time.
///
/// # Errors
/// When the program cannot be run, which is no fault of the clip.
pub fn decode(clip: &Path, wanted: &Frames) -> Result<Decoded> {
    let scale = format!("scale={}:{}:flags=area", wanted.width, wanted.height);
    // A name may hold what the program takes for a protocol or an option.
    let mut input = OsString::from("file:");
    input.push(clip);
    let mut child = Command::new(PROGRAM)
        .args(["-nostdin", "-v", "error", "-threads", "1", "-i"])
        .arg(input)
        .args(["-map", "0:v:0", "-vf", &scale, "-pix_fmt"])
        .arg(if wanted.is_grey { "gray" } else { "rgb24" })
        .args(["-f", "rawvideo", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            IoKind::NotFound => missing(),
            _ => Error::from(error).field(PROGRAM),
        })?;
    // Both ends at once: a full pipe of complaints would stop the other.
    let complaints = child.stderr.take().map(|stderr| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.take(COMPLAINTS_MAX).read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    });
    let mut sampler = Sampler::new();
    let mut rest = 0;
    if let Some(mut stdout) = child.stdout.take() {
        let mut frame = vec![0; wanted.frame_bytes()];
        loop {
            rest = filled(&mut stdout, &mut frame)?;
            if rest < frame.len() {
                break;
            }
            sampler.push(&frame);
        }
    }
    let status = child
        .wait()
        .map_err(|error| Error::from(error).field(PROGRAM))?;
    let said = complaints.and_then(|thread| thread.join().ok());
    let said = said.unwrap_or_default();
    if !status.success() || rest > 0 || !said.trim().is_empty() {
        let line = said.lines().find(|line| !line.trim().is_empty());
        let line = line.map_or_else(|| format!("{PROGRAM} ended with {status}"), one_line);
        return Ok(Err(Refused::Damaged(line)));
    }
    let refused = Refused::TooShort {
        found: sampler.seen(),
        wanted: wanted.count,
    };
    Ok(sampler.evenly(wanted.count).ok_or(refused))
}

/// Bytes of complaints that are read; the first line is told.
const COMPLAINTS_MAX: u64 = 1 << 16;

/// Fills a buffer as far as there are bytes; how many there were.
fn filled(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut at = 0;
    while at < buffer.len() {
        match reader.read(&mut buffer[at..]) {
            Ok(0) => break,
            Ok(count) => at += count,
            Err(error) if error.kind() == IoKind::Interrupted => {}
            Err(error) => return Err(Error::from(error).field(PROGRAM)),
        }
    }
    Ok(at)
}
