//! Samples whose vectors must be the same to the bit everywhere: the host's
//! tests and a program on the chip run the same list.

use super::FrontEnd;
use crate::cases::Digest;

/// The digest of [`digest`] for the default configuration's section. It
/// changes only with the section's format.
pub const DIGEST: u32 = 0x4cc6_29c1;

/// That of [`FORMAT_UNFILTERED`](super::FORMAT_UNFILTERED), for ever: the models
/// that have it are out in the world.
pub const DIGEST_UNFILTERED: u32 = 0x16d0_4e4f;

/// Values of a vector that enter the digest.
const BANDS: usize = 32;

/// Forty times 128 samples of silence, a bit of noise, noise and full-scale
/// steps, from the start of a stream, in pieces of 37 and 91; the first 32
/// values after each.
///
/// For a front end of at most 32 bands; `state` as in
/// [`push`](FrontEnd::push), reset here.
pub fn digest(front_end: &FrontEnd, state: &mut [u32]) -> u32 {
    front_end.reset(state);
    let mut noise = 1u32;
    let mut digest = Digest::new();
    let mut out = [0; BANDS];
    let mut pcm = [0i16; 128];
    for round in 0..40 {
        pcm.fill_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let sample = (noise >> 16) as i16;
            match round % 5 {
                0 => sample >> 13,
                1 => sample >> 8,
                2 => sample,
                3 if sample < 0 => i16::MIN,
                3 => i16::MAX,
                _ => 0,
            }
        });
        let pieces = pcm.split_at_checked(37).unwrap_or((&pcm, &[]));
        for mut piece in [pieces.0, pieces.1] {
            while !piece.is_empty() {
                let push = front_end.push(state, piece, &mut out);
                piece = match piece.get(push.consumed..) {
                    Some(rest) if push.consumed > 0 => rest,
                    _ => &[],
                };
            }
        }
        for value in out {
            digest.add(u32::from(value as u16));
        }
    }
    digest.value()
}
