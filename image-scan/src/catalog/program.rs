//! Programs that say what they were made of: Go's build information, and the crates that `cargo auditable` writes.

use object::read::elf::ElfFile32;
use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSegment};

use super::{cargo, go};
use crate::component::Found;

/// The sections that matter.
const GO: &str = ".go.buildinfo";
const CARGO: &str = ".dep-v0";

/// What a program says of itself. The kernel runs some whose sections can't be read: then it isn't known what they say.
pub(super) fn components(bytes: &[u8], left: &mut u64, found: &mut Vec<Found>) -> Result<(), String> {
    if let Ok(file) = ElfFile64::<Endianness>::parse(bytes) {
        return of_file(&file, left, found);
    }
    match ElfFile32::<Endianness>::parse(bytes) {
        Ok(file) => of_file(&file, left, found),
        Err(error) => Err(format!("its headers can't be read: {error}")),
    }
}

fn of_file<'d>(file: &impl Object<'d>, left: &mut u64, found: &mut Vec<Found>) -> Result<(), String> {
    let section = |name: &str| Some(file.section_by_name(name)?.data().map_err(|error| error.to_string()));
    let of_go = section(GO).transpose()?.map(|info| {
        go::build_info(info, &|address, length| memory(file, address, length))
            .map(|modules| found.extend(modules))
    });
    if let Some(crates) = section(CARGO).transpose()? {
        found.extend(cargo::crates(crates, left)?);
    }
    of_go.unwrap_or(Ok(()))
}

/// The bytes that would be at an address when the program runs.
fn memory<'d>(file: &impl Object<'d>, address: u64, length: u64) -> Option<Vec<u8>> {
    let part = |segment| ObjectSegment::data_range(&segment, address, length).ok().flatten();
    file.segments().find_map(part).map(<[u8]>::to_vec)
}
