"""Medians, ratios, the table and the JSON."""

import os
import platform
import re
import statistics
import subprocess
from datetime import datetime, timezone
from pathlib import Path

CONTROL = "sshd"

# key: (what, unit, True if more is better, aim of the first milestone as ratio to the
# control, or None)
ROWS = {
    "aes.down.cpu": ("download, aes128-gcm", "CPU s/GiB", False, 0.80),
    "aes.up_null.cpu": ("upload, aes128-gcm, null sink", "CPU s/GiB", False, 0.60),
    "aes.up.cpu": ("upload, aes128-gcm, files", "CPU s/GiB", False, None),
    "chacha.down.cpu": ("download, chacha20-poly1305", "CPU s/GiB", False, 0.85),
    "chacha.up_null.cpu": ("upload, chacha20-poly1305, null sink", "CPU s/GiB", False, 0.70),
    "chacha.up.cpu": ("upload, chacha20-poly1305, files", "CPU s/GiB", False, None),
    "aes.down.speed": ("download, aes128-gcm", "MB/s", True, 1.2),
    "aes.up_null.speed": ("upload, aes128-gcm, null sink", "MB/s", True, 1.2),
    "aes.up.speed": ("upload, aes128-gcm, files", "MB/s", True, None),
    "chacha.down.speed": ("download, chacha20-poly1305", "MB/s", True, None),
    "chacha.up_null.speed": ("upload, chacha20-poly1305, null sink", "MB/s", True, None),
    "chacha.up.speed": ("upload, chacha20-poly1305, files", "MB/s", True, None),
    "parallel.cpu": ("parallel downloads, aes128-gcm", "CPU s/GiB", False, 0.6),
    "parallel.speed": ("parallel downloads, aes128-gcm", "MB/s", True, 1.3),
    "small.get.cpu": ("small files, get -r", "CPU s", False, 0.7),
    "small.get.wall": ("small files, get -r", "s", False, 0.9),
    "small.put.cpu": ("small files, put -r", "CPU s", False, 0.7),
    "small.put.wall": ("small files, put -r", "s", False, 0.9),
    "connections.cpu": ("connection, key and SFTP start", "CPU ms", False, 0.1),
    "connections.rate": ("connections", "per s", True, None),
    "list.cpu": ("list a large directory", "CPU s", False, 0.6),
    "list.wall": ("list a large directory", "s", False, 0.8),
    "idle.memory": ("memory of an idle session", "KiB", False, None),
    "million.list.cpu": ("list a million entries", "CPU s", False, None),
    "million.list.memory": ("list a million entries, memory", "MiB", False, None),
    "million.scan.cpu": ("count a million files", "CPU s", False, None),
    "million.scan.memory": ("count a million files, memory", "MiB", False, None),
    "limits.down.error": ("bandwidth limit of downloads, largest error", "%", False, None),
    "limits.down.burst": ("bandwidth limit of downloads, longest burst", "ms", False, None),
    "limits.up.error": ("bandwidth limit of uploads, largest error", "%", False, None),
    "limits.up.burst": ("bandwidth limit of uploads, longest burst", "ms", False, None),
    "pages.users.median": ("page of users, median", "ms", False, None),
    "pages.users.worst": ("page of users, slowest", "ms", False, None),
    "pages.connections.median": ("page of connections, median", "ms", False, None),
    "pages.connections.worst": ("page of connections, slowest", "ms", False, None),
    "pages.overview.median": ("overview, median", "ms", False, None),
    "pages.overview.worst": ("overview, slowest", "ms", False, None),
    "pages.live.cpu": ("live page of connections", "% of a core", False, None),
}


class Samples:
    """What was measured: by row and server, one value per run."""

    def __init__(self):
        self.values = {}

    def add(self, row, server, value):
        self.values.setdefault(row, {}).setdefault(server, []).append(value)

    def median(self, row, server):
        values = self.values.get(row, {}).get(server)
        return statistics.median(values) if values else None

    def ratio(self, row, server):
        ours, control = self.median(row, server), self.median(row, CONTROL)
        return ours / control if ours is not None and control else None


def table(samples, servers, machine):
    """Markdown, for docs/performance.md."""
    others = [name for name in servers if name != CONTROL]
    head = ["", "unit", CONTROL]
    for name in others:
        head += [name, "ratio"]
    if "sftpgo" in others:
        head.append("aim")
    rows = [head, ["---"] * 2 + ["--:"] * (len(head) - 2)]
    for key, (what, unit, is_more_better, aim) in ROWS.items():
        if key not in samples.values:
            continue
        row = [what, unit, shown(samples.median(key, CONTROL))]
        for name in others:
            row += [shown(samples.median(key, name)), shown(samples.ratio(key, name))]
        if "sftpgo" in others:
            row.append(aim_text(aim, is_more_better, samples.ratio(key, "sftpgo")))
        rows.append(row)
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    about = ", ".join(f"{name} {value}" for name, value in machine.items())
    return "\n".join([*lines, "", f"Medians. {about}.", ""])


def aim_text(aim, is_more_better, ratio):
    if aim is None:
        return ""
    text = f"{'≥' if is_more_better else '≤'} {aim:.2f}"
    if ratio is None:
        return text
    is_met = ratio >= aim if is_more_better else ratio <= aim
    return text + (" ✓" if is_met else " ✗")


def shown(value):
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 20 else f"{value:.2f}"


def as_json(samples, servers, machine):
    rows = []
    for key, (what, unit, is_more_better, aim) in ROWS.items():
        if key in samples.values:
            rows.append({
                "key": key, "what": what, "unit": unit, "more_is_better": is_more_better, "aim_ratio": aim,
                "servers": {
                    name: {
                        "median": samples.median(key, name),
                        "ratio": samples.ratio(key, name),
                        "runs": samples.values[key].get(name, []),
                    }
                    for name in servers
                },
            })
    return {"machine": machine, "control": CONTROL, "rows": rows}


def machine(root, options, directory, load_at_start):
    """What somebody needs to know to compare the figures."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", text_of("/proc/cpuinfo"), re.M)
    memory = re.search(r"^MemTotal:\s*(\d+)", text_of("/proc/meminfo"), re.M)
    openssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr.strip()
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True
    ).stdout.strip()
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "commit": commit or "unknown",
        "profile": "given binary" if options.binary else options.profile,
        "runs": str(options.runs) + (" (quick: not a measurement)" if options.quick else ""),
        "CPU": f"{cpu.group(1) if cpu else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{int(memory.group(1)) >> 20} GiB" if memory else "unknown",
        "kernel": platform.release(),
        "load at start": f"{load_at_start:.1f}",
        "control": openssh,
        "files on": filesystem(directory),
    }


def filesystem(directory):
    directory, best = str(Path(directory).resolve()), ("", "unknown")
    for line in text_of("/proc/mounts").splitlines():
        _, mount, kind, *_ = line.split()
        if (directory + "/").startswith(mount.rstrip("/") + "/") and len(mount) >= len(best[0]):
            best = (mount, kind)
    return best[1]


def text_of(path):
    try:
        return Path(path).read_text()
    except OSError:
        return ""
