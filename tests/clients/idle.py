"""A transfer that crawls outlives the idle timeout; an open handle alone does not."""

import socket
import sys
import threading
import time

import paramiko

host, port, slow, password, idle = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]


def connect(user):
    transport = paramiko.Transport(socket.create_connection((host, port)))
    transport.connect(username=user, password=password)
    return transport, paramiko.SFTPClient.from_transport(transport)


idle_transport, idle_sftp = connect(idle)
slow_transport, slow_sftp = connect(slow)
handle = idle_sftp.open("f", "w")
started = time.monotonic()
failures = []


def crawl():
    try:
        # 1 KB/s: each reply comes half a minute after the last, the end after the idle timeout.
        with slow_sftp.open("up", "w") as file:
            file.write(b"x" * 72 * 1024)
    except Exception as error:
        failures.append(error)


upload = threading.Thread(target=crawl)
upload.start()
while idle_transport.is_active():
    assert time.monotonic() - started < 100, "an open handle counts as activity"
    time.sleep(0.5)
assert time.monotonic() - started >= 59, "too early"
upload.join(120)
assert not upload.is_alive() and not failures, failures
assert time.monotonic() - started >= 70, "the limit was not kept"
assert slow_sftp.stat("up").st_size == 72 * 1024
slow_transport.close()
