#!/usr/bin/env python3
"""python-tuf's ngclient behind the conformance suite's command line: init ROOT, refresh, download.

It must change nothing of ngclient but its size limits. Needs `tuf` 7.
"""
import argparse, os, shutil, sys

from tuf.ngclient import Updater, UpdaterConfig

# Above every file of these repositories (17 MB); ngclient's own limits are 2 and 5 MB.
METADATA_BYTES = 200_000_000


def updater(call):
    limits = UpdaterConfig(snapshot_max_length=METADATA_BYTES, targets_max_length=METADATA_BYTES)
    # No bootstrap: the root that `init` stored, or that was accepted last.
    return Updater(call.metadata_dir, call.metadata_url, call.target_dir, call.target_base_url,
                   config=limits, bootstrap=None)


def init(call):
    os.makedirs(call.metadata_dir, exist_ok=True)
    shutil.copy(call.root, os.path.join(call.metadata_dir, "root.json"))


def refresh(call):
    updater(call).refresh()


def download(call):
    client = updater(call)
    client.refresh()
    for name in call.target_names:
        target = client.get_targetinfo(name)
        if target is None:
            sys.exit(f"error: {name} is not listed")
        client.find_cached_target(target) or client.download_target(target)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--metadata-dir", required=True)
    parser.add_argument("--metadata-url")
    parser.add_argument("--target-name", dest="target_names", action="append", default=[])
    parser.add_argument("--target-dir")
    parser.add_argument("--target-base-url")
    commands = parser.add_subparsers(required=True)
    first = commands.add_parser("init")
    first.add_argument("root")
    first.set_defaults(run=init)
    commands.add_parser("refresh").set_defaults(run=refresh)
    commands.add_parser("download").set_defaults(run=download)
    call = parser.parse_args()
    try:
        call.run(call)
    except Exception as error:  # ngclient documents many kinds; any one ends with 1
        sys.exit(f"error: {type(error).__name__}: {error}")


main()
