//! Detectors in memory of the caller's, and the functions of `bt_core.h` on them.

use core::mem::{align_of, size_of};
use core::ptr::NonNull;
use core::slice;

use bt_core::detection::{Detector, Rule, Watch};
use bt_core::error::DetectorError;

use crate::Status;
use crate::api::{checked, on, scores_at};
use crate::memory::bt_session;
use crate::pointer::empty;

/// Bytes of a detector's memory beside what it keeps of each class: `BT_DETECTOR_OVERHEAD_BYTES` in C.
pub const DETECTOR_OVERHEAD_BYTES: usize = if size_of::<usize>() == 4 { 48 } else { 64 };

/// Bytes for each class, as `BT_DETECTOR_BYTES` in C has them.
pub const WATCH_BYTES: usize = 12;

/// As the mark of a session, for detectors.
const MARK: usize = 0x5445_4442;

/// A detector as C sees it: opaque. What it keeps of each class follows the struct.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct bt_detector {
    mark: usize,
    /// CRC of the model whose scores it looks at.
    model_crc: u32,
    outputs: usize,
    detector: Detector<'static>,
}

const _: () = assert!(size_of::<bt_detector>() <= DETECTOR_OVERHEAD_BYTES);
const _: () = assert!(size_of::<Watch>() == WATCH_BYTES && align_of::<Watch>() <= 4);
const _: () = assert!(align_of::<bt_detector>() <= size_of::<usize>());

/// `bt_rule` in C: when a class counts as detected; see [`Rule`].
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct bt_rule {
    /// Of 32768.
    pub threshold: u16,
    /// log₂ of looks.
    pub smoothing: u8,
    /// Looks.
    pub hold_off: u16,
}

/// `bt_detection` in C; see [`bt_core::detection::Detection`].
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct bt_detection {
    /// The class.
    pub output: usize,
    /// Steps from the reset on.
    pub step: u32,
    /// Of 32768.
    pub confidence: u16,
}

impl From<DetectorError> for Status {
    fn from(error: DetectorError) -> Self {
        match error {
            DetectorError::NotClasses => Self::NotClasses,
            DetectorError::WrongLength { .. } => Self::WrongLength,
            DetectorError::NoClass { .. } => Self::NoOutput,
            DetectorError::Threshold { .. } | DetectorError::Smoothing { .. } => Self::Rule,
            _ => Self::Other,
        }
    }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// `session` is null or a session that nobody else uses now; `memory` has `memory_bytes` bytes, which are the
/// detector's as long as it is used; `detector` is writable. Each may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_detector_start(
    session: *mut bt_session,
    memory: *mut u8,
    memory_bytes: usize,
    detector: *mut *mut bt_detector,
) -> Status {
    // SAFETY: promised by the caller; `detector` is writable and aligned; the struct and the classes behind it lie
    // within the caller's bytes, apart from each other and aligned, and the caller keeps everything else away.
    unsafe {
        on(session, |session| {
            let detector = empty(detector)?;
            detector.write(core::ptr::null_mut());
            let place = NonNull::new(memory)
                .ok_or(Status::Null)?
                .cast::<bt_detector>();
            if !place.is_aligned() {
                return Err(Status::Misaligned);
            }
            let outputs = session.model().outputs();
            if memory_bytes < DETECTOR_OVERHEAD_BYTES + WATCH_BYTES * outputs {
                return Err(Status::MemoryTooSmall);
            }
            let watches = memory.add(DETECTOR_OVERHEAD_BYTES).cast::<Watch>();
            for class in 0..outputs {
                watches.add(class).write(Watch::OFF);
            }
            let watches = slice::from_raw_parts_mut(watches, outputs);
            place.as_ptr().write(bt_detector {
                mark: MARK ^ place.addr().get(),
                model_crc: session.model().crc(),
                outputs,
                detector: Detector::new(session.model(), watches)?,
            });
            detector.write(place.as_ptr());
            Ok(())
        })
    }
}

/// The detector at a pointer of C's.
///
/// # Safety
///
/// As of `memory::session`, for [`bt_detector_start`].
unsafe fn found<'d>(pointer: *mut bt_detector) -> Result<&'d mut bt_detector, Status> {
    let place = NonNull::new(pointer).ok_or(Status::Null)?;
    if !place.is_aligned() {
        return Err(Status::NoDetector);
    }
    // SAFETY: readable and aligned; a mark with this very address was left here by `bt_detector_start` alone, and the
    // detector behind it is whole then.
    unsafe {
        if (&raw const (*pointer).mark).read() != MARK ^ place.addr().get() {
            return Err(Status::NoDetector);
        }
        Ok(&mut *pointer)
    }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// `detector` is null or a detector that nobody else uses now; `rule` is null or points to one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_detector_watch(
    detector: *mut bt_detector,
    output: usize,
    rule: *const bt_rule,
) -> Status {
    checked(|| {
        if !rule.is_null() && !rule.is_aligned() {
            return Err(Status::Misaligned);
        }
        // SAFETY: promised by the caller; aligned.
        let (detector, rule) = unsafe { (found(detector)?, rule.as_ref()) };
        let rule = rule.map(|rule| Rule {
            threshold: rule.threshold,
            smoothing: rule.smoothing,
            hold_off: rule.hold_off,
        });
        Ok(detector.detector.watch(output, rule)?)
    })
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_detector_watch`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_detector_set_window(detector: *mut bt_detector, steps: u32) -> Status {
    checked(|| {
        // SAFETY: promised by the caller.
        unsafe { found(detector) }?.detector.set_window(steps);
        Ok(())
    })
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_detector_watch`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_detector_reset(detector: *mut bt_detector) -> Status {
    checked(|| {
        // SAFETY: promised by the caller.
        unsafe { found(detector) }?.detector.reset();
        Ok(())
    })
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_detector_watch`], and of `session` likewise; `scores` is null or has `count` places; `detected` and
/// `detection` are writable. Each may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_detector_step(
    detector: *mut bt_detector,
    session: *mut bt_session,
    scores: *mut i32,
    count: usize,
    detected: *mut bool,
    detection: *mut bt_detection,
) -> Status {
    // SAFETY: promised by the caller; aligned.
    unsafe {
        on(session, |session| {
            let detector = found(detector)?;
            if detected.is_null() || detection.is_null() {
                return Err(Status::Null);
            }
            if !detection.is_aligned() {
                return Err(Status::Misaligned);
            }
            detected.write(false);
            if detector.model_crc != session.model().crc() {
                return Err(Status::StateMismatch);
            }
            let scores = scores_at(scores, count, detector.outputs)?;
            if let Some(found) = detector.detector.step(session, scores)? {
                detected.write(true);
                detection.write(bt_detection {
                    output: found.class,
                    step: found.step,
                    confidence: found.confidence,
                });
            }
            Ok(())
        })
    }
}
