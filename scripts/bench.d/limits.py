"""How exactly, and how evenly, a bandwidth limit is kept. Only our server has any."""

import json
import sys
import threading
import time
from pathlib import Path

# KiB per second: what `upload_bandwidth` and `download_bandwidth` count in.
LIMITS = [32, 1024, 20 * 1024, 100 * 1024, 400 * 1024, 1000 * 1000]

# What a machine cannot do without a limit, it is not asked to do exactly.
SPARE = 0.9

# While a transfer begins there is nothing to be even about.
BEGINNING = 0.5


def measure(work, server):
    seconds = work.sizes.limited_seconds
    for upload in (False, True):
        way = "up" if upload else "down"
        best, _ = transfer(work, server, upload, 0, work.sizes.file_mib << 10)
        worst_error = worst_burst = 0.0
        for limit in LIMITS:
            if limit * 1024 > best * SPARE:
                print(f"{way}: a limit of {limit} KiB/s is beyond this machine", file=sys.stderr)
                continue
            rate, burst = transfer(work, server, upload, limit, limit * seconds)
            error = (rate / 1024 / limit - 1) * 100
            print(f"{way}: {limit} KiB/s: {error:+.2f} %, bursts of {burst * 1000:.0f} ms", file=sys.stderr)
            worst_error = max(worst_error, abs(error))
            worst_burst = max(worst_burst, burst)
        work.samples.add(f"limits.{way}.error", server.name, worst_error)
        work.samples.add(f"limits.{way}.burst", server.name, worst_burst * 1000)


def transfer(work, server, upload, limit, kib):
    """Moves so much; the bytes per second from open to close as the server logs them, and
    by how many seconds of the limit the data was ever ahead of an even flow."""
    server.put_account(**{"upload_bandwidth" if upload else "download_bandwidth": limit})
    name = "limited.bin"
    here, there = work.local / name, work.bench.home / name
    source = here if upload else there
    with open(source, "wb") as file:
        file.truncate(kib << 10)
    command = f"put {here} {name}" if upload else f"get {name} /dev/null"
    log = server.directory / "sftpgo.log"
    logged = log.stat().st_size
    client = work.start_sftp(server, [command])
    client.stdin.flush()
    flow = Flow(client, server, upload)
    work.finish(client, server)
    samples = flow.stop()
    source.unlink()
    there.unlink(missing_ok=True)
    server.settle()
    with open(log, encoding="utf-8") as lines:
        lines.seek(logged)
        ended = [line for line in map(json.loads, lines) if line.get("sender") in ("Upload", "Download")]
    if len(ended) != 1 or ended[0]["size_bytes"] != kib << 10:
        sys.exit(f"scripts/bench: the log does not tell of the transfer: {ended}")
    return (kib << 10) / (ended[0]["elapsed_ms"] / 1000), lead(samples, limit * 1024, kib << 10)


def lead(samples, limit, size):
    """How many seconds of the limit the data was ever ahead, given (time, bytes) of a file of
    so many bytes."""
    if not limit or not samples:
        return 0.0
    began = next((at for at, moved in samples if moved > 0), 0)
    # What is read has headers and padding around the data, most of it when packets are
    # small; they would add up to a lead that there is not.
    limit *= max(1.0, (samples[-1][1] - samples[0][1]) / size)
    behind, most = None, 0.0
    for at, moved in samples:
        if at < began + BEGINNING:
            continue
        ahead = moved - limit * at
        behind = ahead if behind is None else min(behind, ahead)
        most = max(most, ahead - behind)
    return most / limit


class Flow:
    """Watches how much has moved: for downloads what the client's ssh has read, for uploads
    what the server has written."""

    def __init__(self, client, server, upload):
        self.client, self.server, self.upload = client, server, upload
        self.samples, self.ended = [], False
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.ended:
            try:
                moved = self.stored() if self.upload else self.read()
            except (OSError, StopIteration, IndexError):
                moved = None
            if moved is not None:
                self.samples.append((time.monotonic(), moved))
            time.sleep(0.02)

    def stored(self):
        sessions = self.server.get("/connections")
        return sessions[0]["active_transfers"][0]["size"] if sessions else None

    def read(self):
        """Bytes that ssh, the child of sftp, has read: a little more than the data."""
        children = Path(f"/proc/{self.client.pid}/task/{self.client.pid}/children").read_text().split()
        for line in Path(f"/proc/{children[0]}/io").read_text().splitlines():
            if line.startswith("rchar: "):
                return int(line.split()[1])
        return None

    def stop(self):
        self.ended = True
        self.thread.join()
        return self.samples
