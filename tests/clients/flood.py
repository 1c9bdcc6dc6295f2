"""Asks for data without end and never reads a reply; prints when the server hangs up."""
import socket
import struct
import sys

import paramiko

host, port, user, password = sys.argv[1:5]


def string(value):
    return struct.pack(">I", len(value)) + value


transport = paramiko.Transport((host, int(port)))
transport.connect(username=user, password=password)
channel = transport.open_session(window_size=65536)
channel.settimeout(60)
channel.invoke_subsystem("sftp")


def frame(body):
    return struct.pack(">I", len(body)) + body


channel.sendall(frame(b"\x01" + struct.pack(">I", 3)))
channel.recv(1000)
channel.sendall(frame(b"\x03" + struct.pack(">I", 1) + string(b"/big") + struct.pack(">II", 1, 0)))
handle = channel.recv(1000)[13:21]
read = b"\x05" + struct.pack(">I", 2) + string(handle) + struct.pack(">QI", 0, 32768)
block = frame(read) * 1000
try:
    for _ in range(2000):
        channel.sendall(block)
    print("still connected")
except (OSError, EOFError, socket.timeout):
    print("disconnected")
