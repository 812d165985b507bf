//! C's pointers, checked: null and misaligned ones are refused before anything is read or written.

use core::mem::MaybeUninit;
use core::slice;

use crate::Status;

fn check<T>(pointer: *mut T) -> Result<(), Status> {
    if pointer.is_null() {
        return Err(Status::Null);
    }
    if !pointer.is_aligned() {
        return Err(Status::Misaligned);
    }
    Ok(())
}

/// What a pointer points to, for this call.
///
/// # Safety
///
/// `pointer` is null or points to one that is readable and writable and that nobody else uses now.
pub(crate) unsafe fn place<'p, T>(pointer: *mut T) -> Result<&'p mut T, Status> {
    check(pointer)?;
    // SAFETY: promised by the caller; aligned.
    Ok(unsafe { &mut *pointer })
}

/// Where something is to be written that need not be there yet.
///
/// # Safety
///
/// As of [`place`], but for what is there, which is not read.
pub(crate) unsafe fn empty<'p, T>(pointer: *mut T) -> Result<&'p mut MaybeUninit<T>, Status> {
    // SAFETY: promised by the caller; any bytes are a MaybeUninit.
    unsafe { place(pointer.cast()) }
}

/// An array.
///
/// # Safety
///
/// `first` is null or has `count` places, which nobody else uses now.
pub(crate) unsafe fn array<'p, T>(first: *mut T, count: usize) -> Result<&'p mut [T], Status> {
    check(first)?;
    // SAFETY: promised by the caller; aligned.
    Ok(unsafe { slice::from_raw_parts_mut(first, count) })
}
