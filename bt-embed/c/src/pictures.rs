//! The functions of `bt_core.h` on pictures: those that a model draws or paints, and captions of those that it sees.

use core::mem::{align_of, size_of};

use bt_core::captions::{Teller, Temperature};
use bt_core::drawing::{Painting, Random};
use bt_core::error::{DrawError, WordError};

use crate::Status;
use crate::api::{checked, on, scores_at};
use crate::memory::bt_session;
use crate::pointer::{array, empty, place};

/// `bt_random` in C: opaque. Whatever its bytes are, it is a source.
#[allow(non_camel_case_types)]
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct bt_random(Random);

/// Bytes of a source, as `bt_random` in C has them.
pub const RANDOM_BYTES: usize = 16;

const _: () =
    assert!(size_of::<bt_random>() == RANDOM_BYTES && align_of::<bt_random>() <= align_of::<u64>());

/// `bt_picture` in C; see [`Painting`].
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct bt_picture {
    /// Steps that it takes.
    pub steps: u32,
    /// Its rows.
    pub rows: usize,
    /// Pixels of a row.
    pub columns: usize,
}

impl From<DrawError> for Status {
    fn from(error: DrawError) -> Self {
        match error {
            DrawError::NotDrawn => Self::NotDrawn,
            DrawError::NotPainted => Self::NotPainted,
            DrawError::PictureComplete { .. } => Self::PictureComplete,
            DrawError::WrongLength { .. } => Self::WrongLength,
            DrawError::FrameUnderWay => Self::FrameUnderWay,
            _ => Self::Other,
        }
    }
}

impl From<WordError> for Status {
    fn from(error: WordError) -> Self {
        match error {
            WordError::NotWords => Self::NotCaptions,
            WordError::NoSuchWord { .. } => Self::NoOutput,
            WordError::NoPicture => Self::NoPicture,
            WordError::PictureUnderWay => Self::FrameUnderWay,
            _ => Self::Other,
        }
    }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// `random` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_random_start(random: *mut bt_random, seed: u64, number: u64) -> Status {
    checked(|| {
        // SAFETY: promised by the caller.
        unsafe { empty(random)? }.write(bt_random(Random::new(seed, number)));
        Ok(())
    })
}

/// See `bt_core.h`.
///
/// # Safety
///
/// `session` is null or a session that nobody else uses now; `picture` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_picture(
    session: *mut bt_session,
    picture: *mut bt_picture,
) -> Status {
    // SAFETY: promised by the caller.
    unsafe {
        on(session, |session| {
            let picture = place(picture)?;
            let Painting {
                steps,
                rows,
                columns,
            } = session.model().painting().ok_or(Status::NotPainted)?;
            *picture = bt_picture {
                steps,
                rows,
                columns,
            };
            Ok(())
        })
    }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// `session` is null or a session that nobody else uses now; `random` is null or a source likewise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_paint(
    session: *mut bt_session,
    random: *mut bt_random,
) -> Status {
    // SAFETY: promised by the caller.
    unsafe { on(session, |session| Ok(session.paint(&mut place(random)?.0)?)) }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// `session` is null or a session that nobody else uses now; `pixels` is null or has `count` places.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_pixels(
    session: *mut bt_session,
    first: usize,
    pixels: *mut u8,
    count: usize,
) -> Status {
    // SAFETY: promised by the caller.
    unsafe {
        on(session, |session| {
            let pixels = array(pixels, count)?;
            if session.model().painting().is_none() {
                return Err(Status::NotPainted);
            }
            Ok(session.pixels(first, pixels)?)
        })
    }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_paint`]; `frame` is null or has `count` places.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_draw(
    session: *mut bt_session,
    random: *mut bt_random,
    frame: *mut u8,
    count: usize,
) -> Status {
    // SAFETY: promised by the caller.
    unsafe {
        on(session, |session| {
            let frame = array(frame, count)?;
            Ok(session.draw(&mut place(random)?.0, frame)?)
        })
    }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// `session` is null or a session that nobody else uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_caption_words(session: *mut bt_session) -> usize {
    // SAFETY: promised by the caller.
    let session = unsafe { crate::memory::session(session) };
    let words = session.map(|session| session.model().caption_words());
    words.ok().flatten().unwrap_or(0)
}

/// See `bt_core.h`.
///
/// # Safety
///
/// `session` is null or a session that nobody else uses now; `random` is null or a source likewise; `scores` is null
/// or has `count` places; `word` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_next_word(
    session: *mut bt_session,
    random: *mut bt_random,
    temperature: u16,
    scores: *mut i32,
    count: usize,
    word: *mut usize,
) -> Status {
    // SAFETY: promised by the caller.
    unsafe {
        on(session, |session| {
            let word = place(word)?;
            let model = session.model();
            if model.caption_words().is_none() {
                return Err(Status::NotCaptions);
            }
            let scores = scores_at(scores, count, model.outputs())?;
            let mut teller = match temperature {
                0 => Teller::likeliest(),
                _ => {
                    let temperature = Temperature::new(temperature).ok_or(Status::Temperature)?;
                    Teller::drawing(place(random)?.0.clone(), temperature)
                }
            };
            session.scores(scores)?;
            *word = teller
                .next_word(scores, model.score_shift())
                .ok_or(Status::NoOutput)?;
            if let Some(source) = teller.random() {
                place(random)?.0.clone_from(source);
            }
            Ok(())
        })
    }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// `session` is null or a session that nobody else uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_step_word(session: *mut bt_session, word: usize) -> Status {
    // SAFETY: promised by the caller.
    unsafe { on(session, |session| Ok(session.step_word(word)?)) }
}

/// See `bt_core.h`.
///
/// # Safety
///
/// As of [`bt_session_step_word`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bt_session_begin_caption(session: *mut bt_session) -> Status {
    // SAFETY: promised by the caller.
    unsafe { on(session, |session| Ok(session.begin_caption()?)) }
}
