//! placeholder while the catalogue is written
use crate::{args::DemoArgs, exit::Exit, failure::Failure};
pub(crate) fn run(_: &DemoArgs) -> Result<Exit, Failure> {
    Err(Failure::usage(""))
}
