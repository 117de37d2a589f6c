#!/usr/bin/env python3
"""Times TUF clients side by side, in one run, and prints a table.

usage: bench/compare.py [--rounds N] [--limit SECONDS] [--only SCENARIO] [--client NAME=COMMAND] [--ours COMMAND]

Makes the repositories with python-tuf (bench/tuf_repos.py), serves them with nginx on 127.0.0.1, builds our
conformance program and the peers (tough, sigstore-tuf), and runs every client in turn, round after round, so
that a noisy machine is noisy for all. Each speaks the conformance suite's command line.

  fresh  only a root file is there: refresh, look up one target, fetch and verify it
  warm   the same again, with what the fresh run kept

CPU seconds and peak memory are those of the client's process alone (`bench/launch`). Medians of wall and
CPU seconds; of memory the highest. A client that fails once, takes longer than its bound, or ends well without
the target's bytes has its reason in its row, and no figures. --only and --client may be repeated.

Ends with 1 where one of our goals isn't met, with 3 where that could not be told. Needs nginx, cargo, and Python
with tuf and securesystemslib[crypto] (HALLMARK_PYTHON).
"""
import argparse, json, os, pathlib, shlex, shutil, signal, socket, statistics, subprocess, sys, tempfile, time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = os.environ.get("HALLMARK_PYTHON", sys.executable)
PEERS = HERE / "target" / "release"
OURS = "hallmark"
# Scenario: repository, whether the cache is warm, and our goals where there are any: CPU seconds, MiB.
SCENARIOS = {
    "flat-fresh": ("flat", False, 0.2, 64),
    "flat-warm": ("flat", True, 0.03, None),
    "bins-fresh": ("bins", False, 0.05, 24),
    "bins-warm": ("bins", True, None, None),
    "succinct-fresh": ("succinct", False, 0.05, None),
    "succinct-warm": ("succinct", True, None, None),
    "small-fresh": ("small", False, 0.010, None),
    "small-warm": ("small", True, None, None),
}
TITLES = {
    "flat": "100,000 targets in one file",
    "bins": "16,384 hash bins",
    "succinct": "16,384 bins of TAP 15",
    "small": "10 targets",
}
NGINX = """daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx.log;
events {{ worker_connections 256; }}
http {{ access_log off; sendfile on; etag on;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{ listen 127.0.0.1:{port}; root {root}; }} }}
"""


class CouldNotTell(Exception):
    """Something that this measures with is missing or broken: no client's fault."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def build_ours():
    ours = ["cargo", "build", "--quiet", "--release", "-p", "tuf-client", "--bin", "tuf-conformance"]
    subprocess.run(ours, cwd=HERE.parent, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    return [str(target / "release" / "tuf-conformance")]


def build_peers():
    # Into this folder's own target, where the launcher is looked for as well.
    peers = ["cargo", "build", "--quiet", "--release", "--target-dir", str(HERE / "target"), "-p", "bench-peers",
             "-p", "bench-launch"]
    subprocess.run(peers, cwd=HERE, check=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nginx:
    """Serves one folder, by a configuration and a process of its own."""

    def __init__(self, folder, root):
        # Debian has it where only an administrator's PATH looks.
        program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if program is None:
            raise CouldNotTell("expected nginx, got none")
        self.port = free_port()
        config, self.log = folder / "nginx.conf", folder / "nginx.log"
        config.write_text(NGINX.format(dir=folder, port=self.port, root=root))
        # Its workers run as another user where this is root.
        for readable in (folder, root):
            readable.chmod(0o755)
        self.process = subprocess.Popen([program, "-e", str(self.log), "-c", str(config)])
        try:
            self.wait()
        except BaseException:
            self.stop()
            raise

    def wait(self):
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/small/metadata/timestamp.json").read()
                return
            except OSError as error:
                why = error
                time.sleep(0.05)
        raise CouldNotTell(f"expected nginx to serve {self.port}, got: {why}; it says: {last_line(self.log)}")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def last_line(log):
    return (log.read_text().strip().splitlines() or ["nothing"])[-1] if log.exists() else "nothing"


class Client:
    """One client on one repository: its folders, and what each run took."""

    def __init__(self, name, command, repository, base, work, limit):
        self.name, self.command, self.limit = name, command, limit
        self.repository, self.base, self.work = repository, base, work / name
        self.runs, self.failure = [], None
        self.target = (repository / "target").read_text()
        # The name under which a consistent snapshot serves it ends with its own (section 6.2).
        folder, _, name = self.target.rpartition("/")
        self.artifact = next((repository / "targets" / folder).glob(f"*.{name}")).read_bytes()

    def launch(self, words):
        """Runs the client; false where it failed."""
        command = [str(PEERS / "launch"), str(self.limit), *self.command, *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
        if done.returncode != 0:
            raise CouldNotTell(f"launching {self.name}: {said}")
        used = json.loads(done.stdout)
        if used["late"]:
            self.failure = f"not finished in {self.limit:g} s ({used['cpu']:.1f} s CPU by then)"
        elif used["exit"] != 0:
            self.failure = f"fails: {said[:160]}".replace("|", "/")
        return used

    def fresh(self):
        shutil.rmtree(self.work, ignore_errors=True)
        for part in ("metadata", "targets"):
            (self.work / part).mkdir(parents=True)
        self.launch(["--metadata-dir", str(self.work / "metadata"), "init", str(self.repository / "root.json")])

    def download(self):
        used = self.launch([
            "--metadata-dir", str(self.work / "metadata"), "--metadata-url", self.base + "metadata/",
            "--target-name", self.target, "--target-dir", str(self.work / "targets"),
            "--target-base-url", self.base + "targets/", "download"])
        # Otherwise who fetches nothing would win every round.
        stored = [file.read_bytes() for file in (self.work / "targets").rglob("*") if file.is_file()]
        if not self.failure and self.artifact not in stored:
            self.failure = "ends well, without the target's bytes"
        return used

    def round(self, warm, measured):
        if not self.failure and not (warm and measured):
            self.fresh()
        if not self.failure:
            used = self.download()
            if measured and not self.failure:
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
    """Prints one scenario's table. Says whether our goal is met."""
    # A client that failed in a late round has figures of the earlier ones: it failed all the same.
    good = {client.name: client.median("cpu") for client in running if not client.failure}
    peers = [used for name, used in good.items() if name != OURS]
    print(f"\n**{title_of(scenario)}**{goal_of(cpu, mib)}\n")
    print("| client | wall s | CPU s | peak MiB | CPU, of the best peer's |")
    print("|---|---|---|---|---|")
    met = True
    for client in running:
        if client.failure:
            print(f"| {client.name} | {client.failure} | | | |")
            met &= client.name != OURS
            continue
        used, peak = good[client.name], max(run["rss"] for run in client.runs) / 1024
        ratio = f"{used / min(peers):.2f}" if peers else ""
        print(f"| {client.name} | {client.median('wall'):.3f} | {used:.4f} | {peak:.0f} | {ratio} |")
        if client.name == OURS:
            met = (cpu is None or used <= cpu) and (mib is None or peak <= mib)
    if not met:
        print("\nOur goal isn't met.")
    sys.stdout.flush()
    return met


def title_of(scenario):
    kind, warm, _, _ = SCENARIOS[scenario]
    return f"{'warm' if warm else 'fresh'}, {TITLES[kind]}"


def goal_of(cpu, mib):
    if cpu is None:
        return ""
    return f" (goal {cpu:g} s CPU" + (f", {mib} MiB)" if mib else ")")


def read_call():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=30, help="seconds before a client's run is ended")
    parser.add_argument("--only", action="append", choices=SCENARIOS)
    parser.add_argument("--client", action="append", default=[], metavar="NAME=COMMAND", help="one more client")
    parser.add_argument("--ours", metavar="COMMAND", help="our program, built already")
    call = parser.parse_args()
    if call.rounds < 1:
        parser.error(f"--rounds: expected 1 or more, got {call.rounds}")
    for more in call.client:
        name, _, command = more.partition("=")
        if not name or not shlex.split(command):
            parser.error(f"--client: expected NAME=COMMAND, got {more}")
    return call


def clients_of(call):
    build_peers()
    clients = {
        OURS: shlex.split(call.ours) if call.ours else build_ours(),
        "sigstore-tuf 0.15": [str(PEERS / "peer-sigstore-tuf")],
        "tough 0.24": [str(PEERS / "peer-tough")],
        "python-tuf 7": [PYTHON, str(HERE / "peers" / "python_tuf_client.py")],
    }
    for more in call.client:
        name, _, command = more.partition("=")
        clients[name] = shlex.split(command)
    return clients


def compare(call, folder):
    """Prints all tables. Says whether our goals are met."""
    scenarios, clients = call.only or list(SCENARIOS), clients_of(call)
    repositories = folder / "repositories"
    repositories.mkdir()
    # The small one always: nginx answers by it.
    for kind in dict.fromkeys(["small"] + [SCENARIOS[scenario][0] for scenario in scenarios]):
        say(f"making {kind}")
        subprocess.run([PYTHON, HERE / "tuf_repos.py", repositories / kind, kind], check=True)
    nginx = Nginx(folder, repositories)
    try:
        return all([measure(scenario, clients, repositories, nginx.port, folder / "work", call.rounds, call.limit)
                    for scenario in scenarios])
    finally:
        nginx.stop()


def main():
    call = read_call()
    # So that nginx is stopped also when this is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    try:
        with tempfile.TemporaryDirectory(prefix="hallmark-bench-") as folder:
            return 0 if compare(call, pathlib.Path(folder)) else 1
    except (CouldNotTell, OSError, subprocess.CalledProcessError) as error:
        say(f"error: {error}")
        return 3


sys.exit(main())
