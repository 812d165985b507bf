//! Many steps of noise, and a digest that tells whether every score of all of them was the same elsewhere.

use bt_core::Session;

use crate::wire::frame::CRC;

/// Steps after which the digest is told, ascending; the run ends with the last.
pub const STEPS: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Bytes of one push.
const PUSH_BYTES: usize = 32;

/// Steps of xorshift32 noise through a session from its start, with `tell(steps, crc)` after each of
/// [`STEPS`]: the CRC-32C of the raw scores, i32 little-endian, after every step so far. `None` when a call
/// of the session refused, or `scores` is not one for each class.
pub fn run(
    session: &mut Session<'_, '_>,
    scores: &mut [i32],
    mut tell: impl FnMut(u32, u32),
) -> Option<()> {
    let width = session.model().input_type().bytes();
    let frame_bytes = session.model().frame_values() * width;
    let mut noise = 0x2545_F491u32;
    let mut digest = CRC.digest();
    let mut done = 0;
    for steps in STEPS {
        while done < steps {
            let mut left = frame_bytes;
            while left > 0 {
                let mut bytes = [0; PUSH_BYTES];
                let bytes = bytes.get_mut(..left.min(PUSH_BYTES))?;
                for byte in &mut *bytes {
                    noise ^= noise << 13;
                    noise ^= noise >> 17;
                    noise ^= noise << 5;
                    *byte = (noise >> 8) as u8;
                }
                if session.push_bytes(bytes).ok()? != bytes.len() {
                    return None;
                }
                left -= bytes.len();
            }
            session.step().ok()?;
            session.scores(scores).ok()?;
            for score in &*scores {
                digest.update(&score.to_le_bytes());
            }
            done += 1;
        }
        tell(steps, digest.clone().finalize());
    }
    Some(())
}
