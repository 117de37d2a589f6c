# The helper of the differential tests. It makes the case of a seed, serves its states on 127.0.0.1, and is
# python-tuf's client beside ours. It decides nothing: verdicts are compared by who asks.
#
# Usage: helper.py WORK        then a JSON array a line, and a JSON object back for each:
#   ["case", SEED]             makes the case: a trusted root, and one or more states of the repository
#   ["refresh", STATE]         python-tuf refreshes from that state
#   ["download", STATE]        python-tuf downloads the targets that are asked for in that state
# It ends when its input does.
import copy
import http.server
import json
import logging
import os
import random
import shutil
import sys
import threading
import urllib.parse

from tuf.ngclient import Updater

import catalogue
import mutations_bytes
import mutations_keys
import mutations_signed
import repository

SERVED = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one segment

    def do_GET(self):
        content = SERVED.get(urllib.parse.unquote(self.path.lstrip("/")))
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a client hung up, as it may where it has read enough


def traits(made):
    """What clients may differ about without any mutation."""
    delegations = [doc.signed.get("delegations") for doc in made.targets.values()]
    succinct = any(isinstance(found, dict) and found.get("succinct_roles") for found in delegations)
    return ["has succinct roles"] if succinct else []


class Case:
    def __init__(self, seed, work, base):
        self.seed, self.folder, self.base = seed, os.path.join(work, str(seed)), base
        rng = random.Random(f"hallmark {seed}")
        # Every mutation comes up equally often, whatever the dice of the repositories say.
        names = list(catalogue.CATALOGUE)
        first = None if seed % 17 == 0 else names[seed % len(names)]
        for _ in range(200):
            if self.attempt(rng, first, names):
                return
        raise RuntimeError(f"no repository for {first!r} in 200 attempts")

    def attempt(self, rng, first, names):
        """Makes the states. False where the first mutation finds nothing to act on."""
        self.states, self.asked, self.about, self.mutations, self.traits = [], [], [], [], []
        later = first is not None and catalogue.CATALOGUE[first][1]
        made = repository.Generator(rng).generate()
        if later or rng.random() < 0.4:
            self.add(copy.deepcopy(made), rng, "good")
            made = repository.evolve(made, rng)
        attacked = copy.deepcopy(made)
        scene = catalogue.Scene(attacked, rng, [served for served in self.states])
        chosen = [] if first is None else [first]
        if chosen and rng.random() < 0.25:
            chosen.append(rng.choice(names))
        words = []
        for name in chosen:
            function, needs_before = catalogue.CATALOGUE[name]
            if needs_before and not self.states:
                continue
            try:
                said = function(scene)
            except (AttributeError, KeyError, TypeError):
                # A second mutation may meet what the first one left.
                if name == first:
                    raise
                said = None
            if said is None and name == first:
                return False
            if said is not None:
                words.append(said)
                self.mutations.append(name)
        self.add(attacked, rng, "; ".join(words) or "good")
        if len(self.states) > 1 or rng.random() < 0.2:
            self.add(repository.evolve(made, rng), rng, "good again")
        return True

    def add(self, made, rng, about):
        served = repository.render(made)
        if not self.states:
            self.root = served.get(f"metadata/{made.trusted + 1}.root.json", b"")
        self.states.append(served)
        self.about.append(about)
        self.traits.append(traits(made))
        names = made.asked[-1:] + rng.sample(list(made.files), min(len(made.files), rng.choice([1, 1, 2])))
        if rng.random() < 0.1:
            names.append("absent.txt")
        self.asked.append(list(dict.fromkeys(names)))

    def open(self):
        SERVED.clear()
        for number, served in enumerate(self.states):
            for path, content in served.items():
                SERVED[urllib.parse.unquote(f"{self.seed}/{number}/{path}")] = content
        for part in ("metadata", "targets"):
            os.makedirs(os.path.join(self.folder, "peer", part))
        with open(os.path.join(self.folder, "root.json"), "wb") as file:
            file.write(self.root)
        # As the suite's client does: `init` copies, and checks nothing.
        shutil.copyfile(file.name, os.path.join(self.folder, "peer/metadata/root.json"))
        return {
            "mutations": self.mutations,
            "states": [
                {"metadata": f"{self.base}{self.seed}/{number}/metadata/",
                 "targets": f"{self.base}{self.seed}/{number}/targets/",
                 "names": names, "about": about, "traits": has}
                for number, (names, about, has) in enumerate(zip(self.asked, self.about, self.traits))
            ],
        }

    def updater(self, state):
        url = f"{self.base}{self.seed}/{state}/"
        metadata, targets = (os.path.join(self.folder, "peer", part) for part in ("metadata", "targets"))
        return Updater(metadata, url + "metadata/", targets, url + "targets/", bootstrap=None)

    def refresh(self, state):
        self.updater(state).refresh()

    def download(self, state):
        updater = self.updater(state)
        updater.refresh()
        for name in self.asked[state]:
            info = updater.get_targetinfo(name)
            if info is None:
                raise RuntimeError(f"{name} is not listed")
            if not updater.find_cached_target(info):
                updater.download_target(info)


def sentence(error):
    """An error with its causes, in one line."""
    parts = []
    while error is not None:
        parts.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    return " < ".join(parts).replace("\n", " ")


def verdict(step, state):
    try:
        step(state)
    except Exception as error:  # whatever python-tuf raises is a refusal to its caller
        return {"ok": False, "error": sentence(error)}
    return {"ok": True, "error": ""}


def main(work):
    logging.disable(logging.CRITICAL)
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base, case = f"http://127.0.0.1:{server.server_port}/", None
    for line in sys.stdin:
        verb, number = json.loads(line)
        if verb == "case":
            case = Case(number, work, base)
            answer = case.open()
        else:
            answer = verdict(getattr(case, verb), number)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
