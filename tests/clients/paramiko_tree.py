"""Uploads a tree and downloads it again with paramiko, prefetching."""
import os
import sys

import paramiko

host, port, user, password, source, target = sys.argv[1:7]
transport = paramiko.Transport((host, int(port)))
transport.connect(username=user, password=password)
sftp = paramiko.SFTPClient.from_transport(transport)
remote = "/paramiko"
sftp.mkdir(remote)
for base, dirs, files in os.walk(source):
    below = os.path.relpath(base, source)
    for name in dirs:
        sftp.mkdir(os.path.normpath(f"{remote}/{below}/{name}"))
    for name in files:
        local = os.path.join(base, name)
        sent = sftp.put(local, os.path.normpath(f"{remote}/{below}/{name}"), confirm=True)
        assert sent.st_size == os.path.getsize(local), name


def fetch(path, into):
    os.mkdir(into)
    for entry in sftp.listdir_attr(path):
        if entry.st_mode & 0o040000:
            fetch(f"{path}/{entry.filename}", f"{into}/{entry.filename}")
        else:
            sftp.get(f"{path}/{entry.filename}", f"{into}/{entry.filename}", prefetch=True)


fetch(remote, target)

# Vectored and random reads, a pipelined write, and stat through the handle.
with sftp.open(f"{remote}/random", "w+") as file:
    file.set_pipelined(True)
    for block in range(200):
        file.seek((199 - block) * 1000)
        file.write(bytes([block % 256]) * 1000)
    file.flush()
    assert file.stat().st_size == 200_000
with sftp.open(f"{remote}/random", "r") as file:
    chunks = list(file.readv([(offset * 1000, 1000) for offset in range(200)]))
    assert chunks == [bytes([(199 - at) % 256]) * 1000 for at in range(200)]
with sftp.open(f"{remote}/random", "a") as file:
    file.write(b"tail")
assert sftp.stat(f"{remote}/random").st_size == 200_004
try:
    sftp.open(f"{remote}/random", "x")
    sys.exit("exclusive creation of an existing file succeeded")
except OSError:
    pass
sftp.truncate(f"{remote}/random", 10)
assert sftp.stat(f"{remote}/random").st_size == 10
sftp.utime(f"{remote}/random", (1_000_000_000, 1_100_000_000))
assert sftp.stat(f"{remote}/random").st_mtime == 1_100_000_000
sftp.symlink("random", f"{remote}/link")
assert sftp.readlink(f"{remote}/link") == f"{remote}/random", sftp.readlink(f"{remote}/link")
assert sftp.normalize(".") == "/"
assert sftp.normalize("a/../../b") == "/b"
sftp.posix_rename(f"{remote}/random", f"{remote}/one")
transport.close()
