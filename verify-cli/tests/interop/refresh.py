# Serves a published folder, refreshes a client from its first root, downloads one target and prints its
# digest. Arguments: PUBLISHED ROOT NAME MANIFEST CLIENT
import functools
import hashlib
import http.server
import os
import sys
import threading

from tuf.ngclient import Updater

published, root, name, manifest, client = sys.argv[1:]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve(folder):
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


with open(manifest, "rb") as file:
    content = file.read()
digest = hashlib.sha256(content).hexdigest()
for part in ("metadata", "targets"):
    os.makedirs(os.path.join(client, part))
base = serve(published)
with open(root, "rb") as file:
    updater = Updater(
        metadata_dir=os.path.join(client, "metadata"),
        metadata_base_url=base + "metadata/",
        target_dir=os.path.join(client, "targets"),
        target_base_url=base + "targets/",
        bootstrap=file.read(),
    )
updater.refresh()
info = updater.get_targetinfo(name)
assert info is not None, "the target is not listed"
with open(updater.download_target(info), "rb") as file:
    downloaded = file.read()
assert downloaded == content
if ":" in name:
    by_digest = updater.get_targetinfo(f"{name.rpartition(':')[0]}@sha256:{digest}")
    assert by_digest is not None, "the digest is not listed"
    assert by_digest.hashes == info.hashes and by_digest.length == info.length
print("sha256:" + hashlib.sha256(downloaded).hexdigest())
