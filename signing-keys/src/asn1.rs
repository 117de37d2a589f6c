//! The two structures that signatures and RSA keys are: sequences of integers (RFC 3279, RFC 8017).

use der::asn1::UintRef;
use der::{Encode as _, Header, Tag};

/// A SEQUENCE of unsigned INTEGERs from their big-endian bytes.
pub(crate) fn integers(values: &[&[u8]]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    for value in values {
        let start = value.iter().position(|&byte| byte != 0).unwrap_or(value.len().saturating_sub(1));
        UintRef::new(value.get(start..)?).ok()?.encode_to_vec(&mut body).ok()?;
    }
    let length = u32::try_from(body.len()).ok()?;
    let mut out = Vec::new();
    Header::new(Tag::Sequence, length.into()).encode_to_vec(&mut out).ok()?;
    out.extend(body);
    Some(out)
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
