//! Resident memory of this process, on systems that report it in a file: Linux and Android. Elsewhere the platform
//! provides it ([`Reading::resident_bytes`](super::Reading)).

/// Resident memory now, in bytes.
pub(super) fn resident() -> Option<u64> {
    status("VmRSS:")
}

/// The highest resident memory so far, in bytes.
pub(super) fn peak() -> Option<u64> {
    status("VmHWM:")
}

fn status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}
