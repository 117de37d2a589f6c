//! python-tuf, the reference implementation, as a client.

use std::env;
use std::process::Command;

use super::moto::python;

/// Refreshes from a root and downloads a target: argv is address, root, state folder, target path.
pub const CLIENT: &str = r#"
import sys, os
from tuf.ngclient import Updater
address, root, state, path = sys.argv[1:]
os.makedirs(state + "/targets", exist_ok=True)
updater = Updater(
    metadata_dir=state + "/metadata", metadata_base_url=address + "/metadata/",
    target_dir=state + "/targets", target_base_url=address + "/targets/",
    bootstrap=open(root, "rb").read(),
)
updater.refresh()
info = updater.get_targetinfo(path)
if info is None:
    sys.exit("no such target")
print(updater.download_target(info, state + "/target"))
"#;

/// Says so where it isn't installed.
pub fn there_is_no_python_tuf() -> bool {
    let import = Command::new(python()).args(["-c", "import tuf.ngclient"]).output();
    let missing = !import.is_ok_and(|output| output.status.success());
    if missing {
        assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "no python-tuf");
        eprintln!(
            "SKIPPED: python has no tuf. Install the packages tuf and securesystemslib[crypto], and name the \
             interpreter in HALLMARK_PYTHON"
        );
    }
    missing
}
