//! Seeds with bytes changed at random, for tests that run where libFuzzer doesn't: the same number makes the same changes.

/// Numbers that look random (xorshift64).
pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next()).unwrap() % end.max(1)
    }
}

/// Numbers at which readers that count go wrong.
const EDGES: [u64; 12] =
    [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x8000_0000, u64::MAX];

/// One to four changes.
fn changed(seeds: &[(String, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].1.clone();
    for _ in 0..=random.below(4) {
        let (at, length) = (random.below(bytes.len()), random.below(bytes.len()).min(64));
        let end = (at + length).min(bytes.len());
        match random.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = u8::try_from(random.next() & 0xff).unwrap(),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            4 => {
                let other = &seeds[random.below(seeds.len())].1;
                let from = random.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let number = EDGES[random.below(EDGES.len())];
                let width = [1, 2, 4, 8][random.below(4)];
                let mut number = number.to_le_bytes()[..width].to_vec();
                if random.below(2) == 0 {
                    number.reverse();
                }
                let end = (at + width).min(bytes.len());
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
        }
    }
    bytes
}

/// How many are tried.
fn mutations() -> u64 {
    std::env::var("HALLMARK_MUTATIONS").map_or(2000, |count| count.parse().unwrap())
}

/// Runs a harness over its seeds, and over what changes make of them.
pub fn fed(seeds: &[(String, Vec<u8>)], run: fn(&[u8]) -> bool) {
    for (name, bytes) in seeds {
        assert_eq!(run(bytes), name.starts_with("good-"), "{name}");
    }
    let mut taken = 0;
    for number in 1..=mutations() {
        let mut random = Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let bytes = changed(seeds, &mut random);
        let ran = std::panic::catch_unwind(|| run(&bytes));
        taken += u64::from(ran.unwrap_or_else(|_| panic!("mutation {number}: {bytes:?}")));
    }
    assert!(taken > mutations() / 200, "the changes leave too little to read: {taken}");
}
