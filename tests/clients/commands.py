"""Leaves in the middle of commands, sends what nobody reads, reads nothing."""
import sys
import time

import paramiko

host, port, user, password = sys.argv[1:5]


def connect():
    transport = paramiko.Transport((host, int(port)))
    transport.connect(username=user, password=password)
    return transport


def run(transport, command):
    channel = transport.open_session(timeout=20)
    channel.settimeout(20)
    channel.exec_command(command)
    return channel


# A long digest is given up when its channel is closed: the ten places of a connection
# are free again, and the connection works.
transport = connect()
for _ in range(25):
    channel = run(transport, "sha512sum big")
    channel.close()
    time.sleep(0.05)
channel = run(transport, "pwd")
assert channel.recv(100) == b"/\n"
assert channel.recv_exit_status() == 0

# Input that a command does not read holds up nobody.
channel = run(transport, "sha512sum big")
for _ in range(64):
    channel.sendall(b"x" * 32768)
other = run(transport, "pwd")
assert other.recv(100) == b"/\n"
channel.close()

# Two channels at once: one whose output nobody reads does not hold up the other.
stuck = transport.open_session(window_size=32768, timeout=20)
stuck.exec_command("scp -f big")
stuck.sendall(b"\0\0")
time.sleep(0.5)
for _ in range(3):
    channel = run(transport, "pwd")
    assert channel.recv(100) == b"/\n", "held up by another channel"
    channel.close()
stuck.close()

# Input in plenty, digested while it arrives.
channel = run(transport, "sha256sum")
for _ in range(600):
    channel.sendall(b"\0" * 32768)
channel.shutdown_write()
digest = channel.recv(200)
assert digest.endswith(b"  -\n") and len(digest) == 64 + 4, digest
transport.close()

# Gone without a word.
transport = connect()
run(transport, "sha512sum big")
transport.sock.close()
