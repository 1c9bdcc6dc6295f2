"""What is done to each server, and measured."""

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import limits
import pages

AES = "aes128-gcm@openssh.com"
CHACHA = "chacha20-poly1305@openssh.com"

# In the order of the report.
ALL = ["transfer", "parallel", "small", "connections", "list", "idle", "million", "limits", "pages"]


@dataclass(frozen=True)
class Sizes:
    file_mib: int
    parallel_file_mib: int
    small_files: int
    small_bytes: int
    listed: int
    connections: int
    parallel_connections: int
    idle: int
    million: int
    # Of transfers below a limit.
    limited_seconds: int
    users: int
    # Sessions that are open while pages are asked for.
    live: int
    # How often each page is asked for.
    page_views: int
    # Downloads that go on while somebody looks at them, and for how long.
    slow: int
    watched_seconds: int
    parallel_downloads: int = 8


FULL = Sizes(1024, 256, 10_000, 4096, 100_000, 200, 8, 100, 1_000_000, 8, 10_000, 2000, 20, 10, 30)
QUICK = Sizes(64, 16, 500, 4096, 5_000, 40, 8, 20, 20_000, 2, 500, 50, 3, 2, 5)


def roomy_directory(sizes):
    """/dev/shm if it holds everything, so that no disk is measured."""
    needed = (sizes.file_mib * 3 + sizes.parallel_file_mib + 1024) * 1024 * 1024
    shm = Path("/dev/shm")
    if shm.is_dir() and os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > needed:
        return shm
    temporary = Path(tempfile.gettempdir())
    if shutil.disk_usage(temporary).free < needed:
        sys.exit(f"scripts/bench: {temporary} lacks {needed >> 20} MiB; see --dir")
    print(f"scripts/bench: /dev/shm is too small, a disk may be measured: {temporary}", file=sys.stderr)
    return temporary


class Workloads:
    def __init__(self, bench, sizes, load, samples):
        self.bench = bench
        self.sizes = sizes
        self.load = load
        self.samples = samples
        self.local = bench.directory / "local"
        self.local.mkdir()

    # What is served and sent.

    def prepare(self, chosen):
        home = self.bench.home
        if "transfer" in chosen:
            write_random(home / "big.bin", self.sizes.file_mib)
            # The same file, for the client to send.
            os.link(home / "big.bin", self.local / "big.bin")
        if "parallel" in chosen:
            write_random(home / "part.bin", self.sizes.parallel_file_mib)
        if "small" in chosen:
            self.make_tree(home / "tree")
            self.make_tree(self.local / "tree")
        if "list" in chosen:
            make_empty_files(home / "listed", self.sizes.listed)
        if "million" in chosen:
            make_empty_files(home / "million", self.sizes.million)
        if os.getuid() == 0:
            # A server that is not root must be able to write here.
            home.chmod(0o777)

    def make_tree(self, top):
        content = os.urandom(self.sizes.small_bytes)
        per_directory = 100
        for first in range(0, self.sizes.small_files, per_directory):
            directory = top / f"d{first // per_directory:04}"
            directory.mkdir(parents=True)
            for number in range(first, min(first + per_directory, self.sizes.small_files)):
                (directory / f"f{number:06}").write_bytes(content)

    def measure(self, name, server):
        getattr(self, name)(server)
        server.settle()

    # The workloads.

    def transfer(self, server):
        for cipher, short in ((AES, "aes"), (CHACHA, "chacha")):
            self.moved(server, f"{short}.down", cipher, ["get big.bin /dev/null"], self.sizes.file_mib)
            if server.null_path:
                commands = [f"put {self.local}/big.bin {server.null_path}"]
                self.moved(server, f"{short}.up_null", cipher, commands, self.sizes.file_mib)
            target = f"up-{server.name}.bin"
            self.moved(server, f"{short}.up", cipher, [f"put {self.local}/big.bin {target}"], self.sizes.file_mib)
            uploaded = self.bench.home / target
            if uploaded.stat().st_size != self.sizes.file_mib << 20:
                sys.exit(f"scripts/bench: {server.name} did not store the upload whole")
            uploaded.unlink()

    def parallel(self, server):
        count = self.sizes.parallel_downloads

        def work():
            clients = [self.start_sftp(server, ["get part.bin /dev/null"]) for _ in range(count)]
            for client in clients:
                self.finish(client, server)

        cpu, wall = self.cost(server, work)
        mib = count * self.sizes.parallel_file_mib
        self.samples.add("parallel.cpu", server.name, cpu / (mib / 1024))
        self.samples.add("parallel.speed", server.name, mib * 1.048576 / wall)

    def small(self, server):
        fetched = self.local / "fetched"
        cpu, wall = self.cost(server, lambda: self.sftp(server, [f"get -r tree {fetched}"]))
        self.check_tree(fetched, server)
        self.samples.add("small.get.cpu", server.name, cpu)
        self.samples.add("small.get.wall", server.name, wall)
        shutil.rmtree(fetched)

        sent = self.bench.home / f"tree-{server.name}"
        cpu, wall = self.cost(server, lambda: self.sftp(server, [f"put -r {self.local}/tree {sent.name}"]))
        self.check_tree(sent, server)
        self.samples.add("small.put.cpu", server.name, cpu)
        self.samples.add("small.put.wall", server.name, wall)
        shutil.rmtree(sent)

    def check_tree(self, top, server):
        found = sum(len(files) for _, _, files in os.walk(top))
        if found != self.sizes.small_files:
            sys.exit(f"scripts/bench: {server.name} moved {found} of {self.sizes.small_files} files")

    def connections(self, server):
        count = self.sizes.connections
        # A first few, so that neither side starts cold.
        self.run_load(server, "connect", 5, 1)
        seconds = []
        cpu, _ = self.cost(
            server,
            lambda: seconds.append(float(self.run_load(server, "connect", count, self.sizes.parallel_connections))),
        )
        self.samples.add("connections.cpu", server.name, cpu / count * 1000)
        self.samples.add("connections.rate", server.name, count / seconds[0])

    def list(self, server):
        # -f: unsorted, so that the client does not spend its time sorting.
        cpu, wall = self.cost(server, lambda: self.sftp(server, ["ls -1f listed"], lines=self.sizes.listed))
        self.samples.add("list.cpu", server.name, cpu)
        self.samples.add("list.wall", server.name, wall)

    def million(self, server):
        """One huge directory: what counts is that memory does not grow with it."""
        with MemoryWatch(server) as watch:
            cpu, _ = self.cost(server, lambda: self.sftp(server, ["ls -1f million"], lines=self.sizes.million))
        self.samples.add("million.list.cpu", server.name, cpu)
        self.samples.add("million.list.memory", server.name, watch.growth_kib() / 1024)
        if not server.is_ours:
            return
        seen = []
        with MemoryWatch(server) as watch:
            cpu, _ = self.cost(server, lambda: seen.extend(server.scan()))
        self.samples.add("million.scan.cpu", server.name, cpu)
        self.samples.add("million.scan.memory", server.name, watch.growth_kib() / 1024)
        if not any(0 < files < self.sizes.million for files in seen):
            sys.exit("scripts/bench: the scan did not show its progress")

    def idle(self, server):
        count = self.sizes.idle
        self.run_load(server, "connect", 5, 1)
        server.settle()
        before = server.pss_kib()
        with self.open_sessions(server, count):
            server.settle()
            after = server.pss_kib()
        self.samples.add("idle.memory", server.name, (after - before) / count)

    def limits(self, server):
        if server.is_ours:
            limits.measure(self, server)

    def pages(self, server):
        if server.is_ours:
            pages.measure(self, server)

    # How.

    def moved(self, server, name, cipher, commands, mib):
        cpu, wall = self.cost(server, lambda: self.sftp(server, commands, cipher))
        self.samples.add(f"{name}.cpu", server.name, cpu / (mib / 1024))
        self.samples.add(f"{name}.speed", server.name, mib * 1.048576 / wall)

    @staticmethod
    def cost(server, work):
        """The server's CPU seconds and the seconds on the clock."""
        cpu, started = server.cpu_seconds(), time.monotonic()
        work()
        wall = time.monotonic() - started
        server.settle()
        return server.cpu_seconds() - cpu, wall

    def start_sftp(self, server, commands, cipher=AES):
        command = ["sftp", "-q", "-F", "none", "-b", "-", "-P", str(server.port), "-i", str(self.bench.key)]
        for option in (
            f"Ciphers={cipher}", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR", "PreferredAuthentications=publickey", "Compression=no",
        ):
            command += ["-o", option]
        # A file of its own for errors: ssh makes the standard error it shares with sftp
        # non-blocking, and with standard output on the same pipe sftp would lose lines.
        errors = tempfile.TemporaryFile("w+")
        client = subprocess.Popen(
            [*command, f"{server.user}@127.0.0.1"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        )
        client.errors = errors
        client.stdin.write("".join(line + "\n" for line in commands))
        return client

    @staticmethod
    def finish(client, server):
        output, _ = client.communicate()
        with client.errors as errors:
            if client.returncode:
                errors.seek(0)
                shown = output.strip()[-1000:] + errors.read()[-1000:]
                sys.exit(f"scripts/bench: {server.name}: sftp failed: {shown}")
        return output

    def sftp(self, server, commands, cipher=AES, lines=None):
        output = self.finish(self.start_sftp(server, commands, cipher), server)
        if lines is not None:
            listed = sum(1 for line in output.splitlines() if line.endswith(".dat"))
            if listed != lines:
                sys.exit(f"scripts/bench: {server.name} listed {listed} of {lines} entries")

    def load_command(self, server, mode, count, *more):
        return [str(word) for word in (self.load, mode, server.port, server.user, self.bench.key, count, *more)]

    @contextlib.contextmanager
    def open_sessions(self, server, count):
        """So many sessions that do nothing."""
        command = self.load_command(server, "idle", count)
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=raise_open_files,
        ) as sessions:
            try:
                if sessions.stdout.readline().strip() != "ready":
                    sys.exit(f"scripts/bench: {server.name} did not open {count} sessions")
                yield
            finally:
                sessions.stdin.close()
                sessions.wait()

    def run_load(self, server, mode, count, *more):
        done = subprocess.run(self.load_command(server, mode, count, *more), capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"scripts/bench: {server.name}: {mode} failed: {done.stderr.strip()}")
        return done.stdout


def raise_open_files():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class MemoryWatch:
    """The most memory that the server's processes have while something is done."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.server.settle()
        self.before = self.most = self.server.pss_kib()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.done.wait(0.02):
            self.most = max(self.most, self.server.pss_kib())

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def growth_kib(self):
        return self.most - self.before


def make_empty_files(directory, count):
    directory.mkdir()
    for number in range(count):
        os.close(os.open(directory / f"file-{number:07}.dat", os.O_CREAT | os.O_WRONLY, 0o644))


def write_random(path, mib):
    """Random, so that nothing on the way can compress or share it."""
    with open(path, "wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))
