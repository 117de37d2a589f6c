//! Programs that say what they were made of: Go's build information, and the crates that `cargo auditable` writes.

use object::read::elf::ElfFile32;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSegment};

use super::{cargo, go};
use crate::component::Found;

/// The sections that matter.
const GO: &str = ".go.buildinfo";
const CARGO: &str = ".dep-v0";

/// What a program says of itself. One that can't be read says nothing: it can't be run either.
pub(super) fn components(bytes: &[u8], left: &mut u64) -> Result<Vec<Found>, String> {
    if let Ok(file) = ElfFile64::<Endianness>::parse(bytes) {
        return of_file(&file, left);
    }
    match ElfFile32::<Endianness>::parse(bytes) {
        Ok(file) => of_file(&file, left),
        Err(_) => Ok(Vec::new()),
    }
}

fn of_file<'d>(file: &impl Object<'d>, left: &mut u64) -> Result<Vec<Found>, String> {
    let section = |name: &str| file.section_by_name(name)?.data().ok();
    let mut found = match section(GO) {
        Some(info) => go::build_info(info, &|address, length| memory(file, address, length))?,
        None => Vec::new(),
    };
    if let Some(crates) = section(CARGO) {
        found.extend(cargo::crates(crates, left)?);
    }
    Ok(found)
}

/// The bytes that would be at an address when the program runs.
fn memory<'d>(file: &impl Object<'d>, address: u64, length: u64) -> Option<Vec<u8>> {
    let part = |segment| ObjectSegment::data_range(&segment, address, length).ok().flatten();
    file.segments().find_map(part).map(<[u8]>::to_vec)
}
