//! A session in memory of the caller's: its place, and how it is found again.

use core::mem::{align_of, size_of};
use core::ptr::NonNull;
use core::slice;

use bt_core::{Model, Session};

use crate::Status;

/// Bytes of a session's memory beside its arena: `BT_SESSION_OVERHEAD_BYTES` in C.
pub const SESSION_OVERHEAD_BYTES: usize = if size_of::<usize>() == 4 { 384 } else { 768 };

/// What stands in the first word of a session, mixed with its address: memory that was moved is none.
const MARK: usize = 0x5345_5442;

/// A session as C sees it: opaque. The model is a view of the file's bytes, which `session` points to; the
/// arena follows the struct.
#[allow(non_camel_case_types)]
#[repr(C)]
pub struct bt_session {
    mark: usize,
    model: Model<'static>,
    session: Session<'static, 'static>,
}

const _: () = assert!(size_of::<bt_session>() <= SESSION_OVERHEAD_BYTES);
const _: () = assert!(
    align_of::<bt_session>() <= size_of::<usize>() && SESSION_OVERHEAD_BYTES.is_multiple_of(8)
);

/// Makes a session of `model` in `bytes` bytes of memory.
///
/// # Safety
///
/// `memory` has so many bytes, which nothing else uses as long as the session is used, and the model's bytes
/// stay as they are so long.
pub(crate) unsafe fn start(
    model: Model<'static>,
    memory: *mut u8,
    bytes: usize,
) -> Result<NonNull<bt_session>, Status> {
    let place = NonNull::new(memory)
        .ok_or(Status::Null)?
        .cast::<bt_session>();
    if !place.is_aligned() {
        return Err(Status::Misaligned);
    }
    let Some(arena_bytes) = bytes.checked_sub(SESSION_OVERHEAD_BYTES) else {
        return Err(Status::MemoryTooSmall);
    };
    // SAFETY: the struct and the arena behind it lie within the caller's bytes, apart from each other;
    // `SESSION_OVERHEAD_BYTES` is a multiple of 8, so that the arena's words are aligned. The caller keeps
    // everything else away from both, so `'static` is as long as the session is used.
    unsafe {
        let arena = memory.add(SESSION_OVERHEAD_BYTES).cast::<u32>();
        let arena = slice::from_raw_parts_mut(arena, arena_bytes / 4);
        let model_at = &raw mut (*place.as_ptr()).model;
        model_at.write(model);
        let session = Session::new(&*model_at, arena)?;
        (&raw mut (*place.as_ptr()).session).write(session);
        (&raw mut (*place.as_ptr()).mark).write(MARK ^ place.addr().get());
    }
    Ok(place)
}

/// The session at a pointer of C's.
///
/// # Safety
///
/// The pointer is null or points to readable memory; what [`start`] asks for still holds; nothing else uses
/// the session during the call.
pub(crate) unsafe fn session<'s>(
    pointer: *mut bt_session,
) -> Result<&'s mut Session<'static, 'static>, Status> {
    let place = NonNull::new(pointer).ok_or(Status::Null)?;
    if !place.is_aligned() {
        return Err(Status::NoSession);
    }
    // SAFETY: readable and aligned; a mark with this very address was left here by `start` alone, and the
    // session behind it is whole then. `model` is only ever read.
    unsafe {
        if (&raw const (*pointer).mark).read() != MARK ^ place.addr().get() {
            return Err(Status::NoSession);
        }
        Ok(&mut (*pointer).session)
    }
}
