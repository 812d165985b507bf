//! The test programs of a package, several at a time. Cargo runs one after the other, and one that links firmware and
//! emulates it leaves all cores but one idle.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Those that take longest and so begin first; the rest in their order.
const LONGEST: [&str; 3] = ["device", "calls", "boards"];

/// A test program as cargo built it.
struct Program {
    name: String,
    path: PathBuf,
    /// The package's folder, where cargo runs it too.
    folder: PathBuf,
}

/// Runs those that a build left, told by cargo's messages, and gives each one's name and output as it ends.
///
/// # Errors
///
/// There is none, or one could not be started.
pub(crate) fn run(
    messages: &[u8],
    variable: Option<(&str, &str)>,
    mut ended: impl FnMut(&str, Output) + Send,
) -> Result<()> {
    let programs = programs(messages);
    ensure!(!programs.is_empty(), "cargo told of no test program");
    let queue = Mutex::new(programs);
    let ended = Mutex::new(&mut ended);
    let next = || {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.pop_front()
    };
    let lane = || -> Result<()> {
        while let Some(program) = next() {
            let output = Command::new(&program.path)
                .current_dir(&program.folder)
                .envs(variable)
                .stdin(Stdio::null())
                .output()
                .with_context(|| program.path.display().to_string())?;
            let mut ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended(&program.name, output);
        }
        Ok(())
    };
    let lanes = thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 4));
    thread::scope(|scope| {
        let running: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        running.into_iter().try_for_each(|lane| match lane.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

fn programs(messages: &[u8]) -> VecDeque<Program> {
    let text = String::from_utf8_lossy(messages);
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs: Vec<Program> = messages.filter_map(|message| program(&message)).collect();
    programs.sort_by_key(|program| {
        let place = LONGEST.iter().position(|name| *name == program.name);
        place.unwrap_or(LONGEST.len())
    });
    programs.into()
}

/// The test program that one of cargo's messages tells of.
fn program(message: &Value) -> Option<Program> {
    if message["profile"]["test"] != true {
        return None;
    }
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    Some(Program {
        name: message["target"]["name"].as_str()?.to_owned(),
        path: message["executable"].as_str()?.into(),
        folder: manifest.parent()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_longest_begins_first_and_the_package_alone_is_run() {
        let message = |name: &str, test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/tests/Cargo.toml","target":{{"name":"{name}"}},"profile":{{"test":{test}}},"executable":"/t/{name}"}}"#
            )
        };
        let library = r#"{"reason":"compiler-artifact","target":{"name":"bt"},"profile":{"test":false},"executable":null}"#;
        let lines = [
            message("app", true),
            library.into(),
            message("tool", false),
            "no message".into(),
            message("calls", true),
            message("device", true),
            message("bits", true),
        ];
        let found = programs(lines.join("\n").as_bytes());
        let names: Vec<&str> = found.iter().map(|program| &*program.name).collect();
        assert_eq!(names, ["device", "calls", "app", "bits"]);
        assert!(found.iter().all(|program| program.folder == *"/w/tests"));
        assert_eq!(found[0].path, *"/t/device");
    }

    #[test]
    fn every_program_runs_once_and_a_failure_is_seen() {
        let message = |path: &str| {
            format!(
                r#"{{"manifest_path":"/Cargo.toml","target":{{"name":"{path}"}},"profile":{{"test":true}},"executable":"{path}"}}"#
            )
        };
        let lines = ["/bin/true", "/bin/false", "/bin/true"].map(message);
        let mut seen = Vec::new();
        run(lines.join("\n").as_bytes(), None, |name, output| {
            seen.push((name.to_owned(), output.status.success()));
        })
        .unwrap();
        seen.sort();
        let expected = [
            ("/bin/false", false),
            ("/bin/true", true),
            ("/bin/true", true),
        ];
        assert_eq!(seen, expected.map(|(name, good)| (name.to_owned(), good)));
        assert!(run(b"", None, |_, _| ()).is_err());
        assert!(run(message("/no/such").as_bytes(), None, |_, _| ()).is_err());
    }
}
