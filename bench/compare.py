#!/usr/bin/env python3
"""Times TUF clients side by side, in one run, and prints a table.

usage: bench/compare.py [--rounds N] [--limit SECONDS] [--only SCENARIO ...] [--client NAME=COMMAND ...]

Makes the repositories with python-tuf (bench/tuf_repos.py), serves them with nginx on 127.0.0.1, builds our
conformance program and the peers (tough, sigstore-tuf), and runs every client in turn, round after round, so
that a noisy machine is noisy for all. Each speaks the conformance suite's command line.

  fresh  only a root file is there: refresh, look up one target, fetch and verify it
  warm   the same again, with what the fresh run kept

CPU seconds and peak memory are those of the client's process alone (bench-peers' `launch`). Medians.
Ends with 1 where one of our goals isn't met. Needs nginx, cargo, and Python with tuf and
securesystemslib[crypto] (HALLMARK_PYTHON).
"""
import argparse, json, os, pathlib, shutil, statistics, subprocess, sys, tempfile, time, urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = os.environ.get("HALLMARK_PYTHON", sys.executable)
PEERS = HERE / "target" / "release"
# Scenario: repository, whether the cache is warm, and our goals: CPU seconds, MiB.
SCENARIOS = {
    "flat-fresh": ("flat", False, 0.2, 64),
    "flat-warm": ("flat", True, 0.03, None),
    "bins-fresh": ("bins", False, 0.05, 24),
    "succinct-fresh": ("succinct", False, 0.05, None),
    "small-fresh": ("small", False, 0.010, None),
}
TITLES = {
    "flat-fresh": "fresh, 100,000 targets in one file",
    "flat-warm": "warm, 100,000 targets in one file",
    "bins-fresh": "fresh, 16,384 hash bins",
    "succinct-fresh": "fresh, 16,384 bins of TAP 15",
    "small-fresh": "fresh, 10 targets",
}
NGINX = """daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx.log;
events {{ worker_connections 256; }}
http {{ access_log off; sendfile on; etag on;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{ listen 127.0.0.1:{port}; root {root}; }} }}
"""


def say(text):
    print(text, file=sys.stderr, flush=True)


def build():
    ours = ["cargo", "build", "--quiet", "--release", "-p", "tuf-client", "--bin", "tuf-conformance"]
    subprocess.run(ours, cwd=HERE.parent, check=True)
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "bench-peers"], cwd=HERE, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    return str(target / "release" / "tuf-conformance")


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    def __init__(self, folder, root):
        self.port = free_port()
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(dir=folder, port=self.port, root=root))
        # Its workers run as another user where this is root.
        for readable in (folder, root):
            readable.chmod(0o755)
        self.process = subprocess.Popen(["nginx", "-c", str(config)], stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/small/metadata/timestamp.json").read()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("nginx doesn't answer")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Client:
    """One client on one repository: its folders, and what each run took."""

    def __init__(self, name, command, repository, base, work, limit):
        self.name, self.command, self.limit = name, command, limit
        self.repository, self.base, self.work = repository, base, work / name
        self.runs, self.failure = [], None
        self.target = (repository / "target").read_text()

    def launch(self, words):
        command = [str(PEERS / "launch"), str(self.limit), *self.command, *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = (done.stderr.strip().splitlines() or [""])[-1][:160]
        return json.loads(done.stdout), said

    def fresh(self):
        shutil.rmtree(self.work, ignore_errors=True)
        for part in ("metadata", "targets"):
            (self.work / part).mkdir(parents=True)
        used, said = self.launch(["--metadata-dir", str(self.work / "metadata"), "init",
                                  str(self.repository / "root.json")])
        if used["exit"] != 0:
            self.failure = f"init: {said}"

    def download(self):
        return self.launch([
            "--metadata-dir", str(self.work / "metadata"), "--metadata-url", self.base + "metadata/",
            "--target-name", self.target, "--target-dir", str(self.work / "targets"),
            "--target-base-url", self.base + "targets/", "download"])

    def round(self, warm, measured):
        if self.failure:
            return
        if not warm or not measured:
            self.fresh()
        used, said = self.download()
        if used["late"]:
            self.failure = f"not finished in {self.limit:g} s ({used['cpu']:.1f} s CPU by then)"
        elif used["exit"] != 0:
            self.failure = f"fails: {said}"
        elif measured:
            self.runs.append(used)

    def median(self, what):
        return statistics.median(run[what] for run in self.runs)


def measure(scenario, clients, repositories, port, work, rounds, limit):
    kind, warm, cpu, mib = SCENARIOS[scenario]
    base = f"http://127.0.0.1:{port}/{kind}/"
    running = [Client(name, command, repositories / kind, base, work, limit)
               for name, command in clients.items()]
    for number in range(rounds + 1):
        for client in running:
            say(f"{scenario}: round {number} of {rounds}, {client.name}")
            client.round(warm, measured=number > 0)
    return rows(scenario, running, cpu, mib)


def rows(scenario, running, cpu, mib):
    good = {client.name: client.median("cpu") for client in running if client.runs}
    peers = [value for name, value in good.items() if name != "hallmark"]
    print(f"\n**{TITLES[scenario]}**" + (f" (goal {cpu:g} s CPU" + (f", {mib} MiB)" if mib else ")")) + "\n")
    print("| client | wall s | CPU s | peak MiB | CPU, of the best peer's |")
    print("|---|---|---|---|---|")
    met = True
    for client in running:
        if client.name not in good:
            print(f"| {client.name} | {client.failure} | | | |")
            met &= client.name != "hallmark"
            continue
        used, peak = good[client.name], client.median("rss") / 1024
        ratio = f"{used / min(peers):.2f}" if peers else ""
        print(f"| {client.name} | {client.median('wall'):.3f} | {used:.4f} | {peak:.0f} | {ratio} |")
        if client.name == "hallmark" and (used > cpu or (mib and peak > mib)):
            met = False
    if not met:
        print("\nOur goal isn't met.")
    sys.stdout.flush()
    return met


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=30, help="seconds before a client's run is ended")
    parser.add_argument("--only", action="append", choices=SCENARIOS)
    parser.add_argument("--client", action="append", default=[], metavar="NAME=COMMAND")
    call = parser.parse_args()
    scenarios = call.only or list(SCENARIOS)
    clients = {
        "hallmark": [build()],
        "sigstore-tuf 0.15": [str(PEERS / "peer-sigstore-tuf")],
        "tough 0.24": [str(PEERS / "peer-tough")],
        "python-tuf 7": [PYTHON, str(HERE / "peers" / "python_tuf_client.py")],
    }
    for more in call.client:
        name, _, command = more.partition("=")
        clients[name] = command.split()
    with tempfile.TemporaryDirectory(prefix="hallmark-bench-") as folder:
        folder = pathlib.Path(folder)
        repositories = folder / "repositories"
        repositories.mkdir()
        for kind in dict.fromkeys(["small"] + [SCENARIOS[scenario][0] for scenario in scenarios]):
            say(f"making {kind}")
            subprocess.run([PYTHON, HERE / "tuf_repos.py", repositories / kind, kind], check=True)
        nginx = Nginx(folder, repositories)
        try:
            met = [measure(scenario, clients, repositories, nginx.port, folder / "work", call.rounds, call.limit)
                   for scenario in scenarios]
        finally:
            nginx.stop()
    sys.exit(0 if all(met) else 1)


main()
