//! What a command adds to an error of the library: the flags concerned, and what to do with them.

use crate::error::{Error, ErrorKind};

/// The same error with field and remedy in the words of the command line, unless it has a remedy.
pub(super) fn with_flags(error: Error) -> Error {
    if error.remedy.is_some() {
        return error;
    }
    match &error.kind {
        ErrorKind::OverLimits(over) => {
            let needs: Vec<(&str, usize)> = [
                ("ram", over.ram_bytes, over.ram_limit),
                ("flash", over.flash_bytes, over.flash_limit),
            ]
            .into_iter()
            .filter(|(_, need, limit)| limit.is_some_and(|limit| *need > limit))
            .map(|(flag, need, _)| (flag, need))
            .collect();
            let field = needs.first().map_or("ram", |(flag, _)| flag).to_owned();
            let flags: Vec<String> = needs
                .iter()
                .map(|(flag, need)| format!("--{flag} {need}"))
                .collect();
            error.field(field).remedy(format!(
                "allow it {}, or choose smaller modes, ranks or fewer blocks",
                flags.join(" and ")
            ))
        }
        ErrorKind::NoPlan => error
            .field("hidden-modes")
            .remedy("choose smaller modes, ranks or fewer blocks"),
        ErrorKind::RunExists => {
            error.remedy("add --resume to go on with it, or choose another --out")
        }
        _ => error,
    }
}
