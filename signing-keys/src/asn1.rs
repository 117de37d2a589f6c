//! The few structures that are put together here: sequences of integers, which signatures and RSA keys are
//! (RFC 3279, RFC 8017), and ECDSA private keys (RFC 5915).

use der::asn1::{BitStringRef, OctetStringRef, UintRef};
use der::{Encode as _, Header, Tag, TagNumber};
use zeroize::Zeroizing;

/// A SEQUENCE of unsigned INTEGERs from their big-endian bytes.
pub(crate) fn integers(values: &[&[u8]]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    for value in values {
        let start = value.iter().position(|&byte| byte != 0).unwrap_or(value.len().saturating_sub(1));
        UintRef::new(value.get(start..)?).ok()?.encode_to_vec(&mut body).ok()?;
    }
    let mut out = Vec::new();
    header(Tag::Sequence, body.len())?.encode_to_vec(&mut out).ok()?;
    out.extend(body);
    Some(out)
}

/// An ECPrivateKey with its public point (RFC 5915), as PKCS#8 has it within.
pub(crate) fn ec_private_key(scalar: &[u8], point: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bits = Vec::new();
    BitStringRef::from_bytes(point).ok()?.encode_to_vec(&mut bits).ok()?;
    // Large enough that it never moves, which would leave a copy behind.
    let mut body = Zeroizing::new(Vec::with_capacity(512));
    1_u8.encode_to_vec(&mut body).ok()?;
    OctetStringRef::new(scalar).ok()?.encode_to_vec(&mut body).ok()?;
    let tag = Tag::ContextSpecific { constructed: true, number: TagNumber(1) };
    header(tag, bits.len())?.encode_to_vec(&mut body).ok()?;
    body.extend(bits);
    let mut out = Zeroizing::new(Vec::with_capacity(512));
    header(Tag::Sequence, body.len())?.encode_to_vec(&mut out).ok()?;
    out.extend(body.iter());
    Some(out)
}

fn header(tag: Tag, length: usize) -> Option<Header> {
    Some(Header::new(tag, u32::try_from(length).ok()?.into()))
}

/// An ECDSA signature as DER, from the two numbers one after the other.
pub(crate) fn ecdsa(raw: &[u8]) -> Option<Vec<u8>> {
    let half = raw.len().checked_div(2).filter(|half| *half > 0 && half.checked_mul(2) == Some(raw.len()))?;
    let (r, s) = raw.split_at(half);
    integers(&[r, s])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_written_without_needless_zeros() {
        assert_eq!(integers(&[&[0, 0, 0x7f], &[0x80]]).unwrap(), [0x30, 7, 2, 1, 0x7f, 2, 2, 0, 0x80]);
        assert_eq!(ecdsa(&[0, 1, 0, 2]).unwrap(), [0x30, 6, 2, 1, 1, 2, 1, 2]);
        assert_eq!(ecdsa(&[1, 2, 3]), None);
        assert_eq!(ecdsa(&[]), None);
    }
}
