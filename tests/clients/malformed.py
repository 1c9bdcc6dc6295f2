"""Sends hostile SFTP packets over raw channels and checks what comes back."""
import struct
import sys

import paramiko

host, port, user, password = sys.argv[1:5]
transport = paramiko.Transport((host, int(port)))
transport.connect(username=user, password=password)


def string(value):
    return struct.pack(">I", len(value)) + value


def frame(body):
    return struct.pack(">I", len(body)) + body


INIT = frame(b"\x01" + struct.pack(">I", 3))


class Channel:
    def __init__(self, init=True):
        self.channel = transport.open_session(timeout=20)
        self.channel.settimeout(20)
        self.channel.invoke_subsystem("sftp")
        self.next = 0
        if init:
            self.channel.sendall(INIT)
            kind, _ = self.reply()
            assert kind == 2, kind

    def exact(self, count):
        data = b""
        while len(data) < count:
            more = self.channel.recv(count - len(data))
            if not more:
                return None
            data += more
        return data

    def reply(self):
        head = self.exact(4)
        if head is None:
            return None, None
        body = self.exact(struct.unpack(">I", head)[0])
        return body[0], body[1:]

    def ask(self, kind, fields=b""):
        self.next += 1
        self.channel.sendall(frame(bytes([kind]) + struct.pack(">I", self.next) + fields))
        return self.answer(self.next)

    def answer(self, wanted):
        kind, body = self.reply()
        assert kind is not None, "channel closed"
        assert struct.unpack(">I", body[:4])[0] == wanted, (wanted, body[:8])
        code = struct.unpack(">I", body[4:8])[0] if kind == 101 else None
        return kind, code, body[4:]

    def closed(self):
        return self.reply() == (None, None)

    def open(self, path, flags):
        return self.ask(3, string(path) + struct.pack(">II", flags, 0))


# Lengths that cannot be: the channel closes, the connection and other channels live.
bystander = Channel()
for length in (0, 262145, 0xFFFFFFFF):
    bad = Channel()
    bad.channel.sendall(struct.pack(">I", length) + b"\0" * 16)
    assert bad.closed(), length
bad = Channel(init=False)
bad.channel.sendall(frame(b"\x11" + struct.pack(">I", 1) + string(b"/")))
assert bad.closed(), "a request before INIT was answered"
assert bystander.ask(17, string(b"/"))[0] == 105

# Truncated packets and unknown types get a status, and the session goes on.
c = Channel()
assert c.ask(5, string(b"12345678"))[:2] == (101, 5)
assert c.ask(17, struct.pack(">I", 1000) + b"x")[:2] == (101, 5)
assert c.ask(99)[:2] == (101, 8)
assert c.ask(200, string(b"no-such@example.com"))[:2] == (101, 8)
assert c.ask(21)[:2] == (101, 8)
assert c.ask(17, string(b"/"))[0] == 105

# Handles: unknown, foreign, closed twice, used after close.
assert c.ask(4, string(b"\0" * 8))[:2] == (101, 4)
assert c.ask(5, string(b"nonsense handle") + struct.pack(">QI", 0, 10))[:2] == (101, 4)
kind, _, body = c.open(b"/victim", 0x1A)
assert kind == 102
handle = body[4:]
assert c.ask(6, string(handle) + struct.pack(">Q", 0) + string(b"data"))[:2] == (101, 0)
assert bystander.ask(5, string(handle) + struct.pack(">QI", 0, 10))[:2] == (101, 4)
assert c.ask(4, string(handle))[:2] == (101, 0)
assert c.ask(4, string(handle))[:2] == (101, 4)
assert c.ask(6, string(handle) + struct.pack(">Q", 0) + string(b"data"))[:2] == (101, 4)

# Odd paths and numbers.
assert c.ask(17, string(b"/a\0b"))[0] == 101
assert c.ask(17, string(b"/" + b"n" * 5000))[0] == 101
kind, _, body = c.open(b"/victim", 1)
reader = body[4:]
assert c.ask(5, string(reader) + struct.pack(">QI", 2**63, 10))[0] == 101
assert c.ask(5, string(reader) + struct.pack(">QI", 2**64 - 1, 0xFFFFFFFF))[0] == 101
kind, _, data = c.ask(5, string(reader) + struct.pack(">QI", 0, 0xFFFFFFFF))
assert kind == 103 and data[4:] == b"data", data
assert c.ask(6, string(reader) + struct.pack(">Q", 0) + string(b"x"))[:2] == (101, 3)
kind, _, body = c.open(b"/far", 0x1A)
far = body[4:]
assert c.ask(6, string(far) + struct.pack(">Q", 2**64 - 2) + string(b"data"))[:2] == (101, 4)
assert c.ask(4, string(far))[0] == 101
assert c.open(b"/", 0x1A)[:2] == (101, 4)

# More handles than anyone needs: refused at the advertised limit, and usable after.
many = Channel()
handles = []
for _ in range(10_000):
    kind, code, body = many.open(b"/victim", 1)
    if kind == 102:
        handles.append(body[4:])
    else:
        assert code == 4, code
assert len(handles) == 1024, len(handles)
assert many.ask(4, string(handles[0]))[:2] == (101, 0)
assert many.open(b"/victim", 1)[0] == 102

# Pipelined without waiting: write, close, rename, stat are carried out in order.
p = Channel()
kind, _, body = p.open(b"/pipelined", 0x1A)
h = body[4:]
out = b""
for at in range(64):
    fields = string(h) + struct.pack(">Q", at * 32768) + string(bytes([at]) * 32768)
    out += frame(b"\x06" + struct.pack(">I", 100 + at) + fields)
out += frame(b"\x04" + struct.pack(">I", 200) + string(h))
out += frame(b"\x12" + struct.pack(">I", 201) + string(b"/pipelined") + string(b"/moved"))
out += frame(b"\x11" + struct.pack(">I", 202) + string(b"/moved"))
p.channel.sendall(out)
seen = {}
for _ in range(67):
    kind, body = p.reply()
    seen[struct.unpack(">I", body[:4])[0]] = (kind, body[4:])
assert all(seen[100 + at][1][:4] == b"\0\0\0\0" for at in range(64))
assert seen[200][1][:4] == b"\0\0\0\0" and seen[201][1][:4] == b"\0\0\0\0", seen[201]
assert seen[202][0] == 105
assert struct.unpack(">Q", seen[202][1][4:12])[0] == 64 * 32768
transport.close()
