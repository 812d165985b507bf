//! The functions that `bt_core.h` declares and explains.
//!
//! Each asks the processor first: nothing before that may touch a floating-point register, so the work is in
//! functions that are not inlined.

use core::ffi::c_char;
use core::slice;

use bt_core::error::PushError;
use bt_core::{Model, OutputKind, SelfTest, Session};

use crate::memory::{self, SESSION_OVERHEAD_BYTES, bt_session};
use crate::pointer::{array, empty};
use crate::{Status, processor};

/// `bt_model_info` in C: what a program wants to know of a model.
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct bt_model_info {
    /// Bytes that a session needs.
    pub session_bytes: usize,
    /// Values to push for one step.
    pub frame_values: usize,
    /// Count of outputs.
    pub outputs: usize,
    /// Hidden units.
    pub hidden: usize,
    /// 0 u8, 1 i8, 2 i16.
    pub input_type: i32,
    /// 0 classes, 1 values.
    pub output_kind: i32,
    /// Logits are scores times 2 to minus this.
    pub score_shift: i32,
    /// CRC-32C of the file.
    pub crc: u32,
}

/// A status of what was done.
fn status(result: Result<(), Status>) -> Status {
    result.err().unwrap_or(Status::Ok)
}

/// Runs `work` on a processor that can, out of line.
#[inline(always)]
pub(crate) fn checked(work: impl FnOnce() -> Result<(), Status>) -> Status {
    #[inline(never)]
    fn apart(work: impl FnOnce() -> Result<(), Status>) -> Status {
        status(work())
    }
    match processor::check() {
        Ok(()) => apart(work),
        Err(status) => status,
    }
}

/// The model in `bytes` bytes.
///
/// # Safety
///
/// `model` is null or has so many bytes, which stay as they are as long as the view is used.
unsafe fn parse(model: *const u8, bytes: usize) -> Result<Model<'static>, Status> {
    if model.is_null() {
        return Err(Status::Null);
    }
    // SAFETY: promised by the caller.
    Ok(Model::parse(unsafe {
        slice::from_raw_parts(model, bytes)
    })?)
}

/// See `bt_core.h`.
///
/// # Safety
///
/// `model` has `model_bytes` bytes, `info` is writable; each may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_model_read(
    model: *const u8,
    model_bytes: usize,
    info: *mut bt_model_info,
) -> Status {
    checked(|| {
        // SAFETY: promised by the caller.
        let model = unsafe { parse(model, model_bytes) }?;
        // SAFETY: promised by the caller.
        let info = unsafe { empty(info) }?;
        let facts = bt_model_info {
            session_bytes: SESSION_OVERHEAD_BYTES + model.arena_bytes(),
            frame_values: model.frame_values(),
            outputs: model.outputs(),
            hidden: model.hidden(),
            input_type: model.input_type().number().into(),
            output_kind: match model.output_kind() {
                OutputKind::Classes => 0,
                OutputKind::Values => 1,
                OutputKind::Bits => 2,
            },
            score_shift: model.score_shift(),
            crc: model.crc(),
        };
        info.write(facts);
        Ok(())
    })
}

/// See `bt_core.h`.
///
/// # Safety
///
/// `model` has `model_bytes` bytes and `memory` has `memory_bytes`, which are the session's as long as it is
/// used; `session` is writable. Each may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_start(
    model: *const u8,
    model_bytes: usize,
    memory: *mut u8,
    memory_bytes: usize,
    session: *mut *mut bt_session,
) -> Status {
    checked(|| {
        // SAFETY: promised by the caller.
        unsafe {
            let session = empty(session)?;
            session.write(core::ptr::null_mut());
            let model = parse(model, model_bytes)?;
            session.write(memory::start(model, memory, memory_bytes)?.as_ptr());
        }
        Ok(())
    })
}

/// Runs `work` on a session.
///
/// # Safety
///
/// `session` is null or was made by [`bt_session_start`] and is not used by anyone else during the call.
#[inline(always)]
pub(crate) unsafe fn on(
    session: *mut bt_session,
    work: impl FnOnce(&mut Session<'static, 'static>) -> Result<(), Status>,
) -> Status {
    // SAFETY: promised by the caller.
    checked(|| work(unsafe { memory::session(session) }?))
}

/// See `bt_core.h`.
///
/// # Safety
///
/// `session` is null or a session that nobody else uses now; so for every function below.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_self_test(session: *mut bt_session) -> Status {
    // SAFETY: promised by the caller.
    unsafe {
        on(session, |session| match session.self_test() {
            SelfTest::Passed => Ok(()),
            SelfTest::Failed { .. } => Err(Status::SelfTest),
        })
    }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_self_test`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_reset(session: *mut bt_session) -> Status {
    // SAFETY: promised by the caller.
    unsafe {
        on(session, |session| {
            session.reset();
            Ok(())
        })
    }
}

/// Pushes `count` values with `push` and says in `taken` how many were.
///
/// # Safety
///
/// As of [`bt_session_self_test`]; `values` has `count` values, `taken` is writable. Each may be null.
#[inline(always)]
unsafe fn push<T>(
    session: *mut bt_session,
    values: *const T,
    count: usize,
    taken: *mut usize,
    push: impl FnOnce(&mut Session<'static, 'static>, &[T]) -> Result<usize, PushError>,
) -> Status {
    // SAFETY: promised by the caller; aligned.
    unsafe {
        on(session, |session| {
            if values.is_null() || taken.is_null() {
                return Err(Status::Null);
            }
            if !values.is_aligned() || !taken.is_aligned() {
                return Err(Status::Misaligned);
            }
            taken.write(0);
            taken.write(push(session, slice::from_raw_parts(values, count))?);
            Ok(())
        })
    }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_self_test`]; `values` has `count` values, `taken` is writable. Each may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_push_u8(
    session: *mut bt_session,
    values: *const u8,
    count: usize,
    taken: *mut usize,
) -> Status {
    // SAFETY: promised by the caller.
    unsafe { push(session, values, count, taken, |s, v| s.push_u8(v)) }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_push_u8`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_push_i8(
    session: *mut bt_session,
    values: *const i8,
    count: usize,
    taken: *mut usize,
) -> Status {
    // SAFETY: promised by the caller.
    unsafe { push(session, values, count, taken, |s, v| s.push_i8(v)) }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_push_u8`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_push_i16(
    session: *mut bt_session,
    values: *const i16,
    count: usize,
    taken: *mut usize,
) -> Status {
    // SAFETY: promised by the caller.
    unsafe { push(session, values, count, taken, |s, v| s.push_i16(v)) }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_self_test`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_frame_complete(session: *mut bt_session) -> bool {
    // SAFETY: promised by the caller.
    unsafe { memory::session(session) }.is_ok_and(|session| session.frame_complete())
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_self_test`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_step(session: *mut bt_session) -> Status {
    // SAFETY: promised by the caller.
    unsafe { on(session, |session| Ok(session.step()?)) }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_self_test`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_finish(session: *mut bt_session) -> Status {
    // SAFETY: promised by the caller.
    unsafe { on(session, |session| Ok(session.finish()?)) }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_self_test`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_steps(session: *mut bt_session) -> u32 {
    // SAFETY: promised by the caller.
    unsafe { memory::session(session) }.map_or(0, |session| session.steps())
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_self_test`]; `scores` is null or has `count` places.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_scores(
    session: *mut bt_session,
    scores: *mut i32,
    count: usize,
) -> Status {
    // SAFETY: promised by the caller; aligned.
    unsafe {
        on(session, |session| {
            let scores = scores_at(scores, count, session.model().outputs())?;
            Ok(session.scores(scores)?)
        })
    }
}

/// C's array of scores, one for each output.
///
/// # Safety
///
/// `scores` is null or has `count` places, which nobody else uses now.
pub(crate) unsafe fn scores_at<'s>(
    scores: *mut i32,
    count: usize,
    outputs: usize,
) -> Result<&'s mut [i32], Status> {
    // SAFETY: promised by the caller.
    let scores = unsafe { array(scores, count) }?;
    match count == outputs {
        true => Ok(scores),
        false => Err(Status::WrongLength),
    }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// `scores` is null or has `count` values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_argmax(scores: *const i32, count: usize) -> usize {
    if scores.is_null() || !scores.is_aligned() {
        return 0;
    }
    // SAFETY: promised by the caller; aligned.
    let scores = unsafe { slice::from_raw_parts(scores, count) };
    bt_core::argmax(scores).unwrap_or(0)
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_self_test`]; `text` and `bytes` are writable. Each may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_label(
    session: *mut bt_session,
    output: usize,
    text: *mut *const c_char,
    bytes: *mut usize,
) -> Status {
    // SAFETY: promised by the caller; aligned.
    unsafe {
        on(session, |session| {
            if text.is_null() || bytes.is_null() {
                return Err(Status::Null);
            }
            if !text.is_aligned() || !bytes.is_aligned() {
                return Err(Status::Misaligned);
            }
            let label = session.model().label(output).ok_or(Status::NoLabel)?;
            text.write(label.as_ptr().cast());
            bytes.write(label.len());
            Ok(())
        })
    }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_self_test`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_saved_bytes(session: *mut bt_session) -> usize {
    // SAFETY: promised by the caller.
    unsafe { memory::session(session) }.map_or(0, |session| session.saved_bytes())
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_self_test`]; `state` is null or has `count` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_save(
    session: *mut bt_session,
    state: *mut u8,
    count: usize,
) -> Status {
    // SAFETY: promised by the caller.
    unsafe { on(session, |session| Ok(session.save(array(state, count)?)?)) }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_save`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_load(
    session: *mut bt_session,
    state: *const u8,
    count: usize,
) -> Status {
    // SAFETY: promised by the caller.
    unsafe {
        on(session, |session| {
            if state.is_null() {
                return Err(Status::Null);
            }
            Ok(session.load(slice::from_raw_parts(state, count))?)
        })
    }
}

/// See `bt_core.h`. A number that is no status gives `"?"`.
#[unsafe(no_mangle)]
pub extern "C" fn bt_status_name(status: i32) -> *const c_char {
    Status::from_number(status)
        .map_or(c"?", Status::name)
        .as_ptr()
}
