//! Progress of long work, for people at a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of `count` parts; hidden when standard error is no terminal.
pub fn bar(count: usize, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(count as u64).with_message(what.to_owned());
    match ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len} {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
