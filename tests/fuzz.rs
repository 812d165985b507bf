//! Every target of the fuzzer for a moment, and every input that ever did harm.
//!
//! `cargo xtask fuzz [TARGET] --seconds S` runs them for longer, led by coverage.

use std::time::Duration;

use bt_tests::fuzz::TARGETS;

/// Of each target.
const TIME: Duration = Duration::from_secs(1);

/// What is found is kept, so that it is tried again ever after.
#[test]
fn nothing_that_reads_does_harm() {
    let mut harm = Vec::new();
    for target in TARGETS {
        let outcome = target.fuzz(TIME);
        println!(
            "{:<12}{:>10} inputs, {} taken, the slowest in {:.1?}, {} findings",
            target.name,
            outcome.executions,
            outcome.taken,
            outcome.slowest,
            outcome.findings.len()
        );
        // Otherwise it goes nowhere.
        assert!(outcome.taken > 0, "{}: no input was taken", target.name);
        for finding in outcome.findings {
            let folder = target.findings();
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(finding.number.to_string()), &finding.input).unwrap();
            harm.push(format!(
                "{} {}: {}",
                target.name, finding.number, finding.message
            ));
        }
    }
    assert!(harm.is_empty(), "{}", harm.join("\n"));
}

#[test]
fn what_did_harm_does_none_any_more() {
    for target in TARGETS {
        let Ok(folder) = std::fs::read_dir(target.findings()) else {
            continue;
        };
        for entry in folder {
            let path = entry.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            if let Err(message) = target.execute(&input) {
                panic!("{}: {message}", path.display());
            }
        }
    }
}
