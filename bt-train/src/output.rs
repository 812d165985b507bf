//! Lines for people and programs that may stop reading: `bt-train … | head` ends quietly.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;

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
