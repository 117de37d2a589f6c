# Refreshes a client from the metadata in a pack, and downloads the target out of it: its digest is printed.
# Arguments: PACK ROOT NAME CLIENT
import hashlib
import os
import sys
import tarfile

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

pack, root, name, client = sys.argv[1:]
archive = tarfile.open(pack, "r:")
files = {entry.name: archive.extractfile(entry).read() for entry in archive}


class FromPack(FetcherInterface):
    def _fetch(self, url):
        path = url.removeprefix("pack:///")
        if path.startswith("targets/"):
            # Targets are manifests: the blob that the metadata names by its hash.
            path = "blobs/sha256/" + path.rpartition("/")[2].partition(".")[0]
        if path not in files:
            raise DownloadHTTPError(path, 404)
        yield files[path]


for part in ("metadata", "targets"):
    os.makedirs(os.path.join(client, part))
with open(root, "rb") as file:
    updater = Updater(
        metadata_dir=os.path.join(client, "metadata"),
        metadata_base_url="pack:///tuf/metadata/",
        target_dir=os.path.join(client, "targets"),
        target_base_url="pack:///targets/",
        fetcher=FromPack(),
        bootstrap=file.read(),
    )
updater.refresh()
info = updater.get_targetinfo(name)
assert info is not None, "the target is not listed"
with open(updater.download_target(info), "rb") as file:
    print("sha256:" + hashlib.sha256(file.read()).hexdigest())
