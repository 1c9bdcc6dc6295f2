"""A client of the SCP protocol that breaks its rules: nothing leaves its place."""
import sys

import paramiko

host, port, user, password = sys.argv[1:5]
transport = paramiko.Transport((host, int(port)))
transport.connect(username=user, password=password)


class Talk:
    def __init__(self, command):
        self.channel = transport.open_session(timeout=20)
        self.channel.settimeout(20)
        self.channel.exec_command(command)

    def read(self, count=1):
        data = b""
        while len(data) < count:
            more = self.channel.recv(count - len(data))
            if not more:
                break
            data += more
        return data

    def ok(self):
        answer = self.read()
        assert answer == b"\0", answer + self.rest()

    def send(self, data):
        self.channel.sendall(data)

    def rest(self):
        data = b""
        while True:
            more = self.channel.recv(65536)
            if not more:
                return data
            data += more

    def status(self):
        return self.channel.recv_exit_status()


# Names that lead elsewhere, and lines that are none.
for line in [
    b"C0644 4 ../escaped\n",
    b"C0644 4 /escaped\n",
    b"C0644 4 ..\n",
    b"C0644 4 .\n",
    b"C0644 4 \n",
    b"C0644 4 a\0b\n",
    b"D0755 0 ..\n",
    b"D0755 0 ../escaped\n",
    b"C0644 99999999999999999999 a\n",
    b"C0644 -1 a\n",
    b"C9999 1 a\n",
    b"T1 2 3\n",
    b"E\n",
    b"\n",
    b"garbage\n",
    b"C" + b"a" * 100_000,
]:
    talk = Talk("scp -r -t /")
    talk.ok()
    talk.send(line)
    answer = talk.rest()
    assert answer.startswith(b"\x01scp: protocol error"), (line[:40], answer)
    assert talk.status() == 1, line[:40]

# A directory without -r.
talk = Talk("scp -t /")
talk.ok()
talk.send(b"D0755 0 dir\n")
assert talk.rest().startswith(b"\x01"), "a directory without -r"

# A file, cut short by the end of the channel, is not kept in place of a whole one.
talk = Talk("scp -r -t /")
talk.ok()
talk.send(b"D0700 0 dir\n")
talk.ok()
talk.send(b"C0600 4 good\n")
talk.ok()
talk.send(b"good\0")
talk.ok()
talk.send(b"E\n")
talk.ok()
# More ends than beginnings.
talk.send(b"E\n")
assert b"never began" in talk.rest()

# A file in small pieces.
talk = Talk("scp -t good")
talk.ok()
for byte in b"C0644 5 name\n":
    talk.send(bytes([byte]))
talk.ok()
for byte in b"12345\0":
    talk.send(bytes([byte]))
talk.ok()
talk.channel.shutdown_write()
assert talk.status() == 0

# What the client reports is believed: the file is not kept.
talk = Talk("scp -t bad")
talk.ok()
talk.send(b"C0644 5 bad\n")
talk.ok()
talk.send(b"12345\x01read error\n")
talk.ok()
talk.channel.shutdown_write()
assert talk.status() == 1

# The source: an answer that is none ends it.
talk = Talk("scp -f good")
talk.send(b"\0")
assert talk.read(13) == b"C0644 5 good\n"
talk.send(b"X")
assert b"protocol error" in talk.rest()
assert talk.status() == 1

# A client that gives up.
talk = Talk("scp -f good")
talk.send(b"\x02no more\n")
assert talk.rest() == b""
assert talk.status() == 1

# Several at once on one connection.
talks = [Talk("scp -f good") for _ in range(5)]
for talk in talks:
    talk.send(b"\0\0\0")
for talk in talks:
    assert talk.rest() == b"C0644 5 good\n12345\0", "several at once"
    assert talk.status() == 0
    talk.channel.close()
transport.close()
