//! Lines for people and programs that may stop reading: `bt-train … | head` ends quietly.

use crate::error::one_line;
use std::fmt::Arguments;
use std::io::{ErrorKind, IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// `println!` that ends the program, without a word, when nobody reads any more; for programs whose
/// `main` runs in [`output::until_unread`](crate::output::until_unread).
#[macro_export]
macro_rules! say {
    ($($word:tt)*) => { $crate::output::say(format_args!($($word)*)) };
}

/// `eprintln!` that gives up, without a word, when nobody reads any more.
#[macro_export]
macro_rules! remark {
    ($($word:tt)*) => { $crate::output::remark(format_args!($($word)*)) };
}

/// Tells the user, in one line on standard error, of what a command goes on in spite of.
#[macro_export]
macro_rules! warn {
    ($($word:tt)*) => { $crate::output::warn(format_args!($($word)*)) };
}

/// Warnings that wait for the command to be done.
static HELD_BACK: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// See [`warn!`](crate::warn): at once where standard error is a terminal; otherwise by
/// [`tell_warnings`], so that a command that fails writes one line there.
pub fn warn(words: Arguments<'_>) {
    let line = one_line(&format!("warning: {words}"));
    if std::io::stderr().is_terminal() {
        remark(format_args!("{line}"));
    } else {
        HELD_BACK
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}

/// Tells the warnings that were held back: the command is done.
pub fn tell_warnings() {
    let lines = std::mem::take(&mut *HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner));
    for line in lines {
        remark(format_args!("{line}"));
    }
}

/// Unwinds to [`until_unread`], so that whatever must be ended, such as an emulator, is.
struct Unread(u8);

/// Exit status of a program whose reader is gone, as shells tell it: 128 + SIGPIPE.
const READER_GONE: u8 = 141;

/// Runs a program until it is done or nobody reads its standard output any more.
pub fn until_unread(run: impl FnOnce() -> ExitCode) -> ExitCode {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        match payload.downcast::<Unread>() {
            Ok(unread) => ExitCode::from(unread.0),
            Err(payload) => resume_unwind(payload),
        }
    })
}

/// See [`say!`](crate::say). Any other failure, such as a full disk, is one line on standard error
/// and exit status 1.
pub fn say(words: Arguments<'_>) {
    if let Err(error) = writeln!(std::io::stdout().lock(), "{words}") {
        let mut status = READER_GONE;
        if error.kind() != ErrorKind::BrokenPipe {
            remark(format_args!("error: standard output: {error}"));
            status = 1;
        }
        // Quieter than a panic: no message of its own.
        resume_unwind(Box::new(Unread(status)));
    }
}

/// See [`remark!`](crate::remark).
pub fn remark(words: Arguments<'_>) {
    // Where should it be told that standard error cannot be written?
    let _ = writeln!(std::io::stderr().lock(), "{words}");
}
