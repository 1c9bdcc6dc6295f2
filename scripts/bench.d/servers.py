"""Starting and stopping the servers, and reading what they cost."""

import base64
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
START_SECONDS = 60
STOP_SECONDS = 10
# Less than our server's tokens last.
TOKEN_SECONDS = 600


def find_tool(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def build(root, profile, what):
    """Builds with cargo and gives the directory of the products."""
    subprocess.run(["cargo", "build", "--locked", "--profile", profile, *what], cwd=root, check=True, stdout=sys.stderr)
    target = Path(os.environ.get("CARGO_TARGET_DIR") or root / "target")
    return root / target / ("debug" if profile == "dev" else profile)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Bench:
    """What all servers share: the directory, the served home and the user's key."""

    def __init__(self, directory):
        self.directory = directory
        self.home = directory / "home"
        self.home.mkdir()
        # Also a server that gives up its privileges must reach the home.
        directory.chmod(0o755)
        self.key = directory / "user_key"
        self.public_key = directory / "user_key.pub"
        self.make_key(self.key)
        self.cgroups = Cgroups()

    @staticmethod
    def make_key(path):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", path], check=True)

    def close(self):
        self.cgroups.remove()


class Cgroups:
    """A control group per server: the kernel then counts its CPU exactly, also that of
    processes that are gone. Without the right to make one, /proc has to do."""

    def __init__(self):
        self.made = []
        self.parent = None
        for mount in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
            if Path(mount, "cgroup.controllers").exists():
                self.parent = Path(mount)
                break

    def make(self, name):
        if self.parent is None:
            return None
        group = self.parent / f"sftpgo-bench-{os.getpid()}-{name}"
        try:
            group.mkdir()
            self.made.append(group)
            (group / "cpu.stat").read_text()
        except OSError:
            self.parent = None
            return None
        return group

    def remove(self):
        for group in self.made:
            for _ in range(50):
                try:
                    group.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:  # its last process is still being reaped
                    time.sleep(0.1)


class Server:
    """One server process with its descendants."""

    null_path = None
    is_ours = False

    def __init__(self, name, bench, user):
        self.name = name
        self.bench = bench
        self.user = user
        self.port = free_port()
        self.directory = bench.directory / name
        self.directory.mkdir()
        self.process = None
        self.group = None

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def start(self):
        command = [str(part) for part in self.command()]
        self.group = self.bench.cgroups.make(self.name)
        enter = None
        if self.group is not None:
            procs = str(self.group / "cgroup.procs")

            def enter():
                with open(procs, "w") as file:
                    file.write("0")

        log = open(self.directory / "output.log", "wb")
        with log:
            self.process = subprocess.Popen(
                command, cwd=self.directory, env=self.environment(), preexec_fn=enter,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                output = (self.directory / "output.log").read_text(errors="replace")[-2000:]
                sys.exit(f"scripts/bench: {self.name} does not start: {' '.join(command)}\n{output}")
            time.sleep(0.05)

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def stop(self):
        """Ends the processes that were started here, and no others."""
        if self.process is None:
            return
        family = self.family()
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid, started in family:
            if pid != self.process.pid and process_start(pid) == started:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.process = None

    def family(self):
        """(pid, start time) of the process and all its living descendants."""
        children = {}
        for entry in os.scandir("/proc"):
            if entry.name.isdigit() and (fields := stat_fields(int(entry.name))):
                children.setdefault(int(fields[1]), []).append((int(entry.name), fields[19]))
        found, queue = [], [(self.process.pid, process_start(self.process.pid))]
        while queue:
            member = queue.pop()
            found.append(member)
            queue += children.get(member[0], [])
        return found

    def cpu_seconds(self):
        """User and system time so far, of ended processes too."""
        if self.group is not None:
            for line in (self.group / "cpu.stat").read_text().splitlines():
                if line.startswith("usage_usec "):
                    return int(line.split()[1]) / 1e6
        ticks = 0
        for pid, _ in self.family():
            if fields := stat_fields(pid):
                ticks += sum(int(field) for field in fields[11:15])
        return ticks / TICKS_PER_SECOND

    def pss_kib(self):
        """Memory of all its processes, shared pages divided among their users."""
        total = 0
        for pid, _ in self.family():
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
        return total

    def settle(self):
        """Waits until the server has done with the clients that left: its processes for
        them are gone and it uses no more CPU."""
        used = self.cpu_seconds()
        for _ in range(40):
            time.sleep(0.05)
            now = self.cpu_seconds()
            if now - used < 0.001:
                return
            used = now


def stat_fields(pid):
    """The fields of /proc/PID/stat from the third on; None if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def process_start(pid):
    fields = stat_fields(pid)
    return fields[19] if fields else None


class Sshd(Server):
    """The control: sshd with sftp-server, started for this alone."""

    null_path = "/dev/null"

    def __init__(self, name, bench):
        super().__init__(name, bench, pwd.getpwuid(os.getuid()).pw_name)

    def command(self):
        sftp_server = next(
            (path for path in (
                "/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server",
                "/usr/libexec/sftp-server", "/usr/lib/ssh/sftp-server",
            ) if Path(path).exists()),
            None,
        )
        if sftp_server is None:
            sys.exit("scripts/bench: OpenSSH's sftp-server is missing")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        host_key = self.directory / "host_key"
        Bench.make_key(host_key)
        config = self.directory / "sshd_config"
        config.write_text(
            f"""\
AuthorizedKeysFile {self.bench.public_key}
HostKey {host_key}
ListenAddress 127.0.0.1
LogLevel ERROR
LoginGraceTime 0
MaxSessions 1000
MaxStartups 1000
PasswordAuthentication no
PermitRootLogin prohibit-password
PidFile none
Port {self.port}
PrintMotd no
StrictModes no
Subsystem sftp {sftp_server} -d {self.bench.home}
UseDNS no
UsePAM no
"""
        )
        return [*self.with_plain_shell(), find_tool("sshd"), "-D", "-e", "-f", config]

    def with_plain_shell(self):
        """sshd starts sftp-server through the user's login shell, and what that shell
        reads first can cost more than the connection. So this sshd alone sees an
        /etc/passwd in which the shell is /bin/sh."""
        if os.getuid() == 0 and shutil.which("unshare"):
            changed = self.directory / "passwd"
            lines = [line.split(":") for line in Path("/etc/passwd").read_text().splitlines()]
            changed.write_text("".join(
                ":".join([*fields[:-1], "/bin/sh"] if fields[0] == self.user else fields) + "\n" for fields in lines
            ))
            enter = [
                "unshare", "--mount", "--propagation", "private",
                "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', str(changed),
            ]
            if subprocess.run([*enter, "true"], capture_output=True).returncode == 0:
                return enter
        shell = pwd.getpwuid(os.getuid()).pw_shell
        print(f"scripts/bench: what {shell} does at its start counts for sshd", file=sys.stderr)
        return []


class Sftpgo(Server):
    """Our server with its defaults, an account from a dump, and its log in a file."""

    is_ours = True

    def __init__(self, name, bench, binary, environment):
        super().__init__(name, bench, "bench")
        self.binary = binary
        self.extra_environment = environment
        self.api_port = free_port()
        self.admin_password = secrets.token_hex(16)
        self.token, self.token_until = None, 0.0

    def environment(self):
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SFTPGO_")}
        return kept | {
            "SFTPGO_SFTPD__BINDINGS__0__ADDRESS": "127.0.0.1",
            "SFTPGO_SFTPD__BINDINGS__0__PORT": str(self.port),
            "SFTPGO_HTTPD__BINDINGS__0__ADDRESS": "127.0.0.1",
            "SFTPGO_HTTPD__BINDINGS__0__PORT": str(self.api_port),
            "SFTPGO_DATA_PROVIDER__CREATE_DEFAULT_ADMIN": "true",
            "SFTPGO_DEFAULT_ADMIN_USERNAME": "bench",
            "SFTPGO_DEFAULT_ADMIN_PASSWORD": self.admin_password,
            # All clients come from one address.
            "SFTPGO_COMMON__MAX_PER_HOST_CONNECTIONS": "0",
        } | self.extra_environment

    def command(self):
        dump = self.directory / "dump.json"
        dump.write_text(json.dumps({"version": 17, "users": [self.account()], "folders": [], "admins": []}))
        return [self.binary, "serve", "-c", self.directory, "--loaddata-from", dump]

    def account(self, **settings):
        return {
            "username": self.user,
            "status": 1,
            "home_dir": str(self.bench.home),
            "public_keys": [self.bench.public_key.read_text().strip()],
            "permissions": {"/": ["*"]},
        } | settings

    def put_account(self, **settings):
        """Changes the account to its defaults and these."""
        self.call("PUT", f"/users/{self.user}", self.account(**settings))

    def load_dump(self, dump):
        self.call("POST", "/loaddata", dump)

    def count_users(self):
        return len(self.get("/users?offset=0&limit=500"))

    def scan(self):
        """Scans the account's quota; the numbers of files seen on the way."""
        self.call("POST", f"/quotas/users/{self.user}/scan")
        seen = []
        while running := self.get("/quotas/users/scans"):
            seen.append(running[0]["files"])
            time.sleep(0.05)
        return seen

    def get(self, path):
        return self.call("GET", path)

    def call(self, method, path, body=None):
        """One call of the REST API, as its administrator."""
        if time.monotonic() > self.token_until:
            basic = base64.b64encode(f"bench:{self.admin_password}".encode()).decode()
            self.token = self.request("GET", "/token", f"Basic {basic}")["access_token"]
            self.token_until = time.monotonic() + TOKEN_SECONDS
        return self.request(method, path, f"Bearer {self.token}", body)

    def request(self, method, path, authorization, body=None):
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.api_port}/api/v2{path}"
        request = urllib.request.Request(url, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)


class Other(Server):
    """A server given on the command line."""

    def __init__(self, name, bench, user, words):
        super().__init__(name, bench, user)
        self.words = words

    def command(self):
        values = {
            "{port}": self.port, "{home}": self.bench.home, "{key}": self.bench.public_key,
            "{user}": self.user, "{dir}": self.directory,
        }
        words = list(self.words)
        for placeholder, value in values.items():
            words = [word.replace(placeholder, str(value)) for word in words]
        return words
