//! What a command adds to an error of the library: the flags concerned, and what to do with them.

use super::Cli;
use crate::error::{Error, ErrorKind};
use clap::CommandFactory;

/// The same error with field and remedy in the words of the command line.
pub fn with_flags(error: Error) -> Error {
    with_settings(error, flag)
}

/// The same error with its settings as `write` has them; what the command line adds has flags.
pub fn with_settings(mut error: Error, write: fn(&str) -> String) -> Error {
    // A key of a file stays one.
    if matches!(error.kind, ErrorKind::UnknownKey) {
        return error;
    }
    if let Some(remedy) = &mut error.remedy {
        *remedy = settings(remedy, write);
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

/// A text of the library with its settings, "`lr`" or "`weight-decay 0.1`", as flags: `--lr`.
pub fn flags(text: &str) -> String {
    settings(text, flag)
}

fn flag(setting: &str) -> String {
    format!("--{setting}")
}

/// A text of the library with its settings as `write` has them. What stands in backticks and is no flag of any command
/// stays.
pub fn settings(text: &str, write: fn(&str) -> String) -> String {
    let program = Cli::command();
    let is_flag = |name: &str| {
        let mut arguments = program.get_subcommands().flat_map(|c| c.get_arguments());
        arguments.any(|argument| argument.get_long() == Some(name))
    };
    let mut written = String::new();
    let mut rest = text;
    while let Some((before, (quoted, after))) = rest
        .split_once('`')
        .and_then(|(before, rest)| Some((before, rest.split_once('`')?)))
    {
        written += before;
        let name = quoted.split_whitespace().next().unwrap_or_default();
        written += &if is_flag(name) {
            write(quoted)
        } else {
            format!("`{quoted}`")
        };
        rest = after;
    }
    written + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_flags_and_nothing_else_does() {
        let cases = [
            (
                "lower `lr` (now 1) or `clip`",
                "lower --lr (now 1) or --clip",
            ),
            (
                "train with `weight-decay 0.1`, which",
                "train with --weight-decay 0.1, which",
            ),
            ("`resume` goes on", "--resume goes on"),
            (
                "the column `speaker` is there",
                "the column `speaker` is there",
            ),
            ("an odd ` stays", "an odd ` stays"),
        ];
        for (library, command) in cases {
            assert_eq!(flags(library), command);
        }
    }

    /// The library is used without a command line, from Python for one.
    #[test]
    fn no_text_of_the_library_names_a_flag() {
        let mut texts = 0;
        let mut folders = vec![std::path::PathBuf::from("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    if !path.ends_with("command") {
                        folders.push(path);
                    }
                    continue;
                }
                // The test of crashes calls the program.
                if path.ends_with("main.rs") || path.ends_with("crash.rs") {
                    continue;
                }
                let source = std::fs::read_to_string(&path).unwrap();
                for line in source.lines().filter(|line| !line.trim().starts_with("//")) {
                    let Some((_, text)) = line.split_once('"') else {
                        continue;
                    };
                    texts += 1;
                    let names_a_flag = text.starts_with("--") || text.contains(" --");
                    assert!(!names_a_flag, "{}: {line}", path.display());
                }
            }
        }
        assert!(texts > 500, "{texts}");
    }
}
