//! How much memory there is, asked before much of it is taken.

use crate::error::{Error, ErrorKind, Result};

/// Bytes that can be taken without swapping, where the operating system tells (Linux: the smallest of
/// what the machine, the control group and the limit of address space have left).
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
    let file = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).ok();
    let space = file("limits")
        .zip(file("status"))
        .and_then(|(limits, status)| {
            let limit = limits
                .lines()
                .find_map(|l| l.strip_prefix("Max address space"))?;
            let limit: u64 = limit.split_whitespace().next()?.parse().ok()?;
            let used = status.lines().find_map(|l| l.strip_prefix("VmSize:"))?;
            let used: u64 = used.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(limit.saturating_sub(used * 1024))
        });
    machine.into_iter().chain(group).chain(space).min()
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
