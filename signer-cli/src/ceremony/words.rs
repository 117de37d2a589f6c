//! A fingerprint that people read aloud.

use diceware_wordlists::Wordlist;

/// Six words of a list of 7,776 (EFF's long list): 77 bits. Who wants two proposals with the same words
/// must try some 10^23 of them; for one and the same other proposal as many again.
const WORDS: u32 = 6;

/// The words of a SHA-256 in hex.
pub(crate) fn words(sha256: &str) -> String {
    let list = Wordlist::EffLong.get_list();
    let base = u128::try_from(list.len()).unwrap_or(1).max(1);
    // The first 124 bits: more than the words hold.
    let mut number = u128::from_str_radix(sha256.get(..31).unwrap_or_default(), 16).unwrap_or_default();
    let mut words = Vec::new();
    for _ in 0..WORDS {
        let at = usize::try_from(number.checked_rem(base).unwrap_or_default()).unwrap_or_default();
        words.push(list.get(at).copied().unwrap_or_default());
        number = number.checked_div(base).unwrap_or_default();
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_more_is_six_other_words() {
        let one = words(&tuf_core::hash::sha256_hex(b"one"));
        let two = words(&tuf_core::hash::sha256_hex(b"two"));
        assert_eq!(one.split(' ').count(), 6);
        assert!(one.split(' ').all(|word| !two.split(' ').any(|other| other == word)), "{one} / {two}");
    }

    #[test]
    fn the_list_has_the_words_that_it_is_counted_with() {
        assert_eq!(Wordlist::EffLong.get_list().len(), 7776);
    }
}
