"""Pipelines requests that wait with others that do not; replies keep their order."""
import struct
import sys

import paramiko

host, port, user, password = sys.argv[1:5]
transport = paramiko.Transport((host, int(port)))
transport.connect(username=user, password=password)
channel = transport.open_session(timeout=20)
channel.settimeout(30)
channel.invoke_subsystem("sftp")


def string(value):
    return struct.pack(">I", len(value)) + value


def frame(body):
    return struct.pack(">I", len(body)) + body


def exact(count):
    data = b""
    while len(data) < count:
        more = channel.recv(count - len(data))
        assert more, "channel closed"
        data += more
    return data


def reply():
    body = exact(struct.unpack(">I", exact(4))[0])
    return body[0], struct.unpack(">I", body[1:5])[0], body[5:]


channel.sendall(frame(b"\x01" + struct.pack(">I", 3)))
exact(struct.unpack(">I", exact(4))[0])
channel.sendall(frame(b"\x03" + struct.pack(">I", 1) + string(b"/f") + struct.pack(">II", 0x1B, 0)))
kind, _, body = reply()
assert kind == 102, kind
handle = string(body[4:])
for batch in range(3):
    sent, out = [], b""
    for at in range(40):
        number = 100 * (batch + 1) + at
        sent.append(number)
        head = struct.pack(">I", number)
        if at % 4 == 0:
            # The account's bandwidth makes these wait.
            out += frame(b"\x06" + head + handle + struct.pack(">Q", at * 8192) + string(b"x" * 8192))
        elif at % 4 == 1:
            out += frame(b"\x10" + head + string(b"."))
        elif at % 4 == 2:
            out += frame(b"\x05" + head + handle + struct.pack(">QI", 0, 8192))
        else:
            out += frame(b"\x11" + head + string(b"/f"))
    channel.sendall(out)
    got = [reply()[1] for _ in sent]
    assert got == sent, got
# And when nothing waits any more, requests that are answered on the spot.
sent = list(range(900, 960))
channel.sendall(b"".join(frame(b"\x10" + struct.pack(">I", n) + string(b".")) for n in sent))
assert [reply()[1] for _ in sent] == sent
channel.sendall(frame(b"\x04" + struct.pack(">I", 1000) + handle))
assert reply()[1:] == (1000, struct.pack(">I", 0) + string(b"") + string(b""))
transport.close()
