//! How much memory there is, asked before much of it is taken.

use crate::error::{Error, ErrorKind, Result};

/// Bytes that can be taken without swapping, where the operating system tells (Linux: the smaller of
/// what the machine and the control group have left).
pub fn available() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
            let kilobytes = line.trim().strip_suffix("kB")?.trim();
            Some(kilobytes.parse::<u64>().ok()? * 1024)
        });
    let number = |file: &str| -> Option<u64> {
        let text = std::fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?;
        text.trim().parse().ok()
    };
    let group = number("memory.max")
        .zip(number("memory.current"))
        .map(|(limit, used)| limit.saturating_sub(used));
    machine.into_iter().chain(group).min()
}

/// Checks that so many bytes can be had.
///
/// # Errors
/// [`ErrorKind::Memory`].
pub fn check(need: u64, available: Option<u64>) -> Result<()> {
    match available {
        Some(available) if need > available => {
            Err(Error::new(ErrorKind::Memory { need, available }))
        }
        _ => Ok(()),
    }
}
