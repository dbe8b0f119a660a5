//! What Apple's systems say of their cores.

#![allow(unsafe_code)]

use std::ptr;

/// Performance cores, where the system tells cores apart.
pub(crate) fn performance_cores() -> Option<usize> {
    let (mut count, mut size) = (0i32, size_of::<i32>());
    let name = c"hw.perflevel0.physicalcpu";
    // SAFETY: the name ends with a zero; count and size are valid for reads and writes, and the system writes no more bytes
    // than `size` says; no new value is set.
    let status =
        unsafe { libc::sysctlbyname(name.as_ptr(), (&raw mut count).cast(), &raw mut size, ptr::null_mut(), 0) };
    let known = status == 0 && size == size_of::<i32>();
    known.then_some(count).and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0)
}
