//! The keyed hashes that password forms and SCRAM are made of.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Octets of a SHA-256 digest.
pub(crate) const SHA256: usize = 32;

/// SHA-256 over one string.
pub(crate) fn sha256(octets: &[u8]) -> [u8; SHA256] {
    Sha256::digest(octets).into()
}

/// HMAC-SHA-256 (RFC 2104) over the parts, one after the other.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; SHA256] {
    let mut mac: Hmac<Sha256> = keyed(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// PBKDF2 (RFC 8018 §5.2), `Hi()` of RFC 5802 when `out` is one digest long.
pub(crate) fn pbkdf2<M: Mac + KeyInit + Clone>(
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    out: &mut [u8],
) {
    let mac: M = keyed(password);
    for (block, number) in out.chunks_mut(M::output_size()).zip(1_u32..) {
        let mut round = mac.clone();
        round.update(salt);
        round.update(&number.to_be_bytes());
        let mut last = round.finalize().into_bytes();
        let mut sum = last.clone();
        for _ in 1..iterations {
            let mut round = mac.clone();
            round.update(&last);
            last = round.finalize().into_bytes();
            sum.iter_mut().zip(&last).for_each(|(a, b)| *a ^= b);
        }
        block
            .iter_mut()
            .zip(&sum)
            .for_each(|(to, from)| *to = *from);
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes keys of every length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Sha512;

    #[test]
    fn known_answers_hold() {
        // RFC 7914 §11, first and last octets.
        let mut out = [0; 64];
        pbkdf2::<Hmac<Sha256>>(b"passwd", b"salt", 1, &mut out);
        assert_eq!(out[..4], [0x55, 0xac, 0x04, 0x6e]);
        assert_eq!(out[60..], [0xd3, 0xa1, 0x97, 0x83]);
        // RFC 6070's inputs with SHA-512, as other implementations compute them.
        let mut out = [0; 20];
        pbkdf2::<Hmac<Sha512>>(b"password", b"salt", 2, &mut out);
        assert_eq!(out[..4], [0xe1, 0xd9, 0xc1, 0x6a]);
        assert_eq!(out[16..], [0x6e, 0x01, 0x1a, 0x2e]);
        // RFC 4231 §4.3.
        let mac = hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(mac[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }
}
