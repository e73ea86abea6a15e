//! How the C library's allocator treats memory that was freed.

/// From now on, large pieces of memory go back to the system as soon as they are freed.
///
/// glibc adapts to the largest piece that was freed and keeps that much ready, in each
/// of the pools that threads have. Comparing a password takes 19 MiB for a moment, so a
/// few logins would leave the process with a hundred MiB for ever.
pub fn give_back_large_pieces() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    set_limit_of_kept_pieces();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "a setting of the C library that no crate offers"
)]
fn set_limit_of_kept_pieces() {
    use std::ffi::c_int;

    unsafe extern "C" {
        /// `mallopt(3)`.
        fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }
    /// `M_MMAP_THRESHOLD` in `malloc.h`.
    const LARGE: c_int = -3;
    /// Far beyond what a session holds.
    const OCTETS: c_int = 1 << 20;
    // SAFETY: mallopt takes its lock itself, reads nothing but its arguments, and may be
    // called at any time; an allocator other than glibc's has no part in it.
    unsafe { mallopt(LARGE, OCTETS) };
}
