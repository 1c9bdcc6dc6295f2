"""SFTP packets over a raw channel, for what no client library would send."""
import struct
import sys

import paramiko


def connect():
    host, port, user, password = sys.argv[1:5]
    transport = paramiko.Transport((host, int(port)))
    transport.connect(username=user, password=password)
    return transport


def string(value):
    return struct.pack(">I", len(value)) + value


def frame(body):
    return struct.pack(">I", len(body)) + body


class Sftp:
    """One channel, initialised."""

    def __init__(self, transport):
        self.channel = transport.open_session(timeout=20)
        self.channel.settimeout(20)
        self.channel.invoke_subsystem("sftp")
        self.last = 0
        self.channel.sendall(frame(b"\x01" + struct.pack(">I", 3)))
        assert self.reply()[0] == 2

    def exact(self, count):
        data = b""
        while len(data) < count:
            more = self.channel.recv(count - len(data))
            assert more, "channel closed"
            data += more
        return data

    def reply(self):
        body = self.exact(struct.unpack(">I", self.exact(4))[0])
        return body[0], body[1:]

    def request(self, kind, fields=b""):
        self.last += 1
        return frame(bytes([kind]) + struct.pack(">I", self.last) + fields)

    def ask(self, kind, fields=b""):
        """The kind of the reply, and its status code or its fields."""
        self.channel.sendall(self.request(kind, fields))
        kind, body = self.reply()
        assert struct.unpack(">I", body[:4])[0] == self.last, body[:8]
        return kind, struct.unpack(">I", body[4:8])[0] if kind == 101 else body[4:]

    def open(self, path, flags):
        kind, body = self.ask(3, string(path) + struct.pack(">II", flags, 0))
        assert kind == 102, (kind, body)
        return string(body[4:])
