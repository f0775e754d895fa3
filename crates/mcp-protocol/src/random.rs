//! Random bytes of the operating system, for keys, nonces and names.

/// So many random bytes.
///
/// # Panics
/// If the operating system provides none.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
