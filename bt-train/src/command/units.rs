//! Sizes and clocks as people write them.

use parse_size::Config;

/// A number of bytes: `10K`, `10KB`, `10KiB` and `10240` are the same, K = 1024.
///
/// # Errors
/// In words, when it is none.
pub fn bytes(text: &str) -> Result<usize, String> {
    let bytes = Config::new().with_binary().parse_size(text).ok();
    bytes
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| format!("`{text}` is not a size such as 10K, 64KB or 10240"))
}

/// A clock in Hz: `64MHz`, `64M` and `64000000` are the same, M = 10⁶.
///
/// # Errors
/// In words, when it is none, or 0.
pub fn hertz(text: &str) -> Result<u64, String> {
    let lower = text.to_lowercase();
    let digits = lower.strip_suffix("hz").unwrap_or(&lower);
    // Of the units of bytes only the prefix is one of a clock.
    let hertz = (!digits.contains(['b', 'i']))
        .then(|| Config::new().with_decimal().parse_size(digits).ok());
    hertz
        .flatten()
        .filter(|&hertz| hertz > 0)
        .ok_or_else(|| format!("`{text}` is not a clock such as 64MHz"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_clocks() {
        for text in ["10K", "10k", "10KB", "10KiB", "10 KB", "10240", "10240B"] {
            assert_eq!(bytes(text), Ok(10_240), "{text}");
        }
        assert_eq!(bytes("1.5KB"), Ok(1_536));
        assert_eq!(bytes("1M"), Ok(1 << 20));
        for wrong in ["K", "-3", "ten", "", "10Hz", "99999999999999999999"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        for text in ["64MHz", "64mhz", "64 MHz", "64M", "64000000", "64000kHz"] {
            assert_eq!(hertz(text), Ok(64_000_000), "{text}");
        }
        assert_eq!(hertz("32768"), Ok(32_768));
        assert_eq!(hertz("1.2GHz"), Ok(1_200_000_000));
        for wrong in ["fast", "0", "64MB", "64Mi", "-1MHz", "MHz", ""] {
            assert!(hertz(wrong).is_err(), "{wrong}");
        }
    }
}
