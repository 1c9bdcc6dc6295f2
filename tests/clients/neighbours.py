"""Two channels of one connection: one uploads slowly, the other asks questions."""

import socket
import sys
import threading

import paramiko

host, port, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]

transport = paramiko.Transport(socket.create_connection((host, port)))
transport.connect(username=user, password=password)
slow = paramiko.SFTPClient.from_transport(transport)
quick = paramiko.SFTPClient.from_transport(transport)
begun = threading.Event()


def crawl():
    # 2 MiB at 16 KB/s: two minutes.
    try:
        with slow.open("slow", "w") as file:
            file.set_pipelined(True)
            for _ in range(64):
                file.write(b"x" * 32768)
            begun.set()
    except Exception:
        # The connection is closed long before it is done.
        pass


upload = threading.Thread(target=crawl, daemon=True)
upload.start()
assert begun.wait(60), "the upload is held up in the client"
# Held back by each block of the upload, these would outlast it.
for _ in range(100):
    quick.stat("/")
size = quick.stat("slow").st_size
assert size < 2 * 1024 * 1024, size
assert upload.is_alive(), "the upload is done"
transport.close()
