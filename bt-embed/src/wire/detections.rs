//! Detections as bytes.

use bt_core::detection::Detection;

/// Bytes of one detection.
pub const DETECTION_BYTES: usize = 8;

/// A detection as the line has it: step u32, class u16, smoothed probability u16 (Q0.15).
pub fn bytes_of(detection: &Detection) -> [u8; DETECTION_BYTES] {
    let [s0, s1, s2, s3] = detection.step.to_le_bytes();
    let [c0, c1] = (detection.class as u16).to_le_bytes();
    let [p0, p1] = detection.confidence.to_le_bytes();
    [s0, s1, s2, s3, c0, c1, p0, p1]
}

/// The detection that [`bytes_of`] gave such bytes.
pub fn detection_of(bytes: [u8; DETECTION_BYTES]) -> Detection {
    let [s0, s1, s2, s3, c0, c1, p0, p1] = bytes;
    Detection {
        class: u16::from_le_bytes([c0, c1]).into(),
        step: u32::from_le_bytes([s0, s1, s2, s3]),
        confidence: u16::from_le_bytes([p0, p1]),
    }
}
