"""Asks for a file by SCP and then reads nothing more, neither channel nor socket."""
import sys
import time

import paramiko

host, port, user, password = sys.argv[1:5]
transport = paramiko.Transport((host, int(port)))
transport.connect(username=user, password=password)
channel = transport.open_session(window_size=4 * 1024 * 1024, timeout=20)
channel.exec_command("scp -f big")
channel.sendall(b"\0\0")
# The window fills, and is never enlarged.
time.sleep(120)
