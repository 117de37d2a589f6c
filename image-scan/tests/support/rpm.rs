//! Databases of rpm's, of one package.

/// An rpm package as its own database has it: name, version, and one file.
pub(crate) fn header(entries: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for (tag, kind, bytes) in entries {
        for word in [*tag, *kind, data.len() as u32, 1] {
            index.extend_from_slice(&word.to_be_bytes());
        }
        data.extend_from_slice(bytes);
    }
    let sizes = [(entries.len() as u32).to_be_bytes(), (data.len() as u32).to_be_bytes()].concat();
    [sizes, index, data].concat()
}

/// `Packages.db` with one package.
pub(crate) fn database(header: &[u8]) -> Vec<u8> {
    let mut bytes = b"RpmP".to_vec();
    bytes.resize(4096, 0);
    bytes[12..16].copy_from_slice(&1_u32.to_le_bytes());
    for slot in bytes[32..].chunks_mut(16) {
        slot[..4].copy_from_slice(b"Slot");
    }
    let blocks = (header.len() as u32 + 16).div_ceil(16);
    for (from, word) in [(36, 1), (40, 256), (44, blocks)] {
        bytes[from..from + 4].copy_from_slice(&u32::to_le_bytes(word));
    }
    bytes.extend_from_slice(b"BlbS");
    for word in [1, 1, header.len() as u32] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(header);
    bytes.resize(4096 + blocks as usize * 16, 0);
    bytes
}
