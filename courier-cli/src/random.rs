//! Random octets from the system.

/// Fills a buffer with random octets that nobody can guess.
///
/// # Panics
/// If the system has no source of randomness: nothing that needs a secret may go on.
pub fn fill(buffer: &mut [u8]) {
    if let Err(error) = getrandom::fill(buffer) {
        panic!("the system gives no random octets: {error}");
    }
}

/// An array of random octets.
#[must_use]
pub fn array<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    fill(&mut octets);
    octets
}
