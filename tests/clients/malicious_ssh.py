"""What no SSH client does. HOST PORT USER PASSWORD CASE; exit status 0 if the server
behaved, and a message otherwise."""
import os
import resource
import socket
import struct
import sys
import threading
import time

import paramiko
from paramiko.common import cMSG_CHANNEL_OPEN
from paramiko.transport import ServiceRequestingTransport

host, port, user, password, case = sys.argv[1:6]
port = int(port)

KEX = b"curve25519-sha256,kex-strict-c-v00@openssh.com"
LISTS = [
    KEX,
    b"ssh-ed25519",
    b"aes128-ctr",
    b"aes128-ctr",
    b"hmac-sha2-256-etm@openssh.com",
    b"hmac-sha2-256-etm@openssh.com",
    b"none",
    b"none",
    b"",
    b"",
]


def string(value):
    return struct.pack(">I", len(value)) + value


def packet(payload):
    """A packet of the time before encryption."""
    padding = 8 - (len(payload) + 5) % 8
    padding += 8 if padding < 4 else 0
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def kexinit(lists=LISTS):
    return packet(b"\x14" + os.urandom(16) + b"".join(map(string, lists)) + bytes(5))


def raw(greeting=True):
    connection = socket.create_connection((host, port), timeout=20)
    if greeting:
        connection.sendall(b"SSH-2.0-malicious\r\n")
    return connection


def must_close(connection, what):
    """Whatever the server still says, it has to hang up."""
    connection.settimeout(20)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        sys.exit(f"{what}: still open")


def closes(what, data, greeting=True):
    connection = raw(greeting)
    try:
        connection.sendall(data)
    except ConnectionError:
        pass
    must_close(connection, what)


def transport():
    """A connection that is encrypted and not authenticated."""
    made = ServiceRequestingTransport((host, port))
    made.start_client(timeout=20)
    return made


def logged_in():
    made = transport()
    made.auth_password(user, password)
    return made


def message(kind, *parts):
    made = paramiko.Message()
    made.add_byte(bytes([kind]))
    for part in parts:
        if isinstance(part, int):
            made.add_int(part)
        else:
            made.add_string(part)
    return made


def lengths():
    for length in (0, 1, 4, 0x7FFFFFFF, 0xFFFFFFFF, 300_000):
        closes(f"length {length}", struct.pack(">I", length) + bytes(64))
    closes("more padding than packet", struct.pack(">IB", 12, 200) + bytes(11))


def greetings():
    closes("no SSH", b"GET / HTTP/1.0\r\n\r\n", greeting=False)
    closes("an old version", b"SSH-1.0-old\r\n", greeting=False)
    closes("an endless greeting", b"SSH-2.0-" + b"x" * 1_000_000, greeting=False)
    closes("endless lines", b"x\r\n" * 300_000, greeting=False)


def key_exchanges():
    closes("no common algorithm", kexinit([b"nothing"] + LISTS[1:]))
    closes("a broken point", kexinit() + packet(b"\x1e" + string(b"\0" * 31)))
    closes("a point of order 1", kexinit() + packet(b"\x1e" + string(b"\0" * 32)))
    closes("a reply of a server", kexinit() + packet(b"\x1f" + string(b"x")))
    closes("new keys too early", kexinit() + packet(b"\x15"))


def strict():
    """Terrapin: with strict key exchange, nothing else may come before the new keys."""
    ignore = packet(b"\x02" + string(b"hidden"))
    closes("IGNORE before KEXINIT", ignore + kexinit())
    closes("IGNORE after KEXINIT", kexinit() + ignore)
    closes("DEBUG after KEXINIT", kexinit() + packet(b"\x04\0" + string(b"x") + string(b"")))
    closes("UNIMPLEMENTED after KEXINIT", kexinit() + packet(b"\x03" + bytes(4)))


def unauthenticated():
    """Requests of somebody who has not logged in lead nowhere."""
    made = transport()
    made._send_message(message(52))
    made._send_message(message(cMSG_CHANNEL_OPEN[0], b"session", 0, 1 << 20, 1 << 15))
    made._send_message(message(98, 0, b"subsystem", b"sftp"))
    made._send_message(message(94, 0, b"data"))
    try:
        made.open_session(timeout=2)
        sys.exit("a channel without a login")
    except paramiko.SSHException:
        pass
    # The connection may be closed by then; if it is not, the login still counts.
    if made.is_active():
        made.auth_password(user, password)
        made.open_sftp_client().listdir(".")


class TwoFaced(paramiko.PKey):
    """Shows one key and signs with another."""

    def __init__(self):
        from cryptography.hazmat.primitives.asymmetric import ed25519
        self.signer = ed25519.Ed25519PrivateKey.generate()
        self.shown = paramiko.Ed25519Key.from_private_key_file(sys.argv[6])

    def get_name(self):
        return "ssh-ed25519"

    def asbytes(self):
        return self.shown.asbytes()

    def sign_ssh_data(self, data, algorithm=None):
        made = paramiko.Message()
        made.add_string("ssh-ed25519")
        made.add_string(self.signer.sign(data))
        return made


def two_faced():
    made = transport()
    made.auth_timeout = 20
    try:
        made.auth_publickey(user, TwoFaced())
        sys.exit("a signature of another key was good")
    except paramiko.AuthenticationException:
        pass
    made.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(sys.argv[6]))


def channels():
    """Only so many channels; the others are refused and the connection lives."""
    made = logged_in()
    opened = []
    for _ in range(200):
        try:
            opened.append(made.open_session(timeout=20))
        except paramiko.ChannelException:
            pass
    assert len(opened) == 10, len(opened)
    for channel in opened:
        channel.close()
    for _ in range(50):
        made.open_session(timeout=20).close()
    made.open_sftp_client().listdir(".")


def floods():
    """Nothing that a client repeats is kept."""
    made = logged_in()
    sftp = made.open_sftp_client()
    for _ in range(20_000):
        made._send_message(message(2, b"x" * 100))
    for _ in range(5_000):
        asked = message(80, b"keepalive@openssh.com")
        asked.add_boolean(False)
        made._send_message(asked)
    # PING, which only some servers know (ping@openssh.com).
    for _ in range(5_000):
        made._send_message(message(192, b"x" * 100))
    sftp.listdir(".")


def silent_reader():
    """Asks for answers and reads none of them."""
    made = logged_in()
    channel = made.open_session(timeout=20)
    # No more is read from the socket.
    made.packetizer.read_message = lambda: time.sleep(3600)
    # Nor is anything more sent, once both sides' buffers are full.
    threading.Timer(5, lambda: os._exit(0)).start()
    try:
        for _ in range(200_000):
            asked = message(80, b"what is this")
            asked.add_boolean(True)
            made._send_message(asked)
    except (OSError, EOFError, paramiko.SSHException):
        pass
    channel.close()


def window():
    """More data than the window allows, to a channel nobody reads."""
    made = logged_in()
    channel = made.open_session(timeout=20)
    try:
        for _ in range(400):
            made._send_message(message(94, channel.remote_chanid, b"x" * 32768))
        for wrong in (channel.remote_chanid + 1, 0xFFFFFFFF):
            made._send_message(message(94, wrong, b"x"))
            made._send_message(message(93, wrong, 0xFFFFFFFF))
            made._send_message(message(97, wrong))
        made._send_message(message(93, channel.remote_chanid, 0xFFFFFFFF))
        made._send_message(message(93, channel.remote_chanid, 0xFFFFFFFF))
        made.open_sftp_client().listdir(".")
    except (OSError, EOFError, paramiko.SSHException):
        pass  # to be hung up on is fine as well


def half_open():
    """A thousand that never log in, of all kinds, while somebody else does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    held = []
    for number in range(1000):
        connection = raw(greeting=number % 3 > 0)
        if number % 3 == 2:
            connection.sendall(kexinit())
        held.append(connection)
    made = logged_in()
    made.open_sftp_client().listdir(".")
    open_still = 0
    for connection in held:
        connection.setblocking(False)
        try:
            while connection.recv(65536):
                pass
        except BlockingIOError:
            open_still += 1
        except ConnectionError:
            pass
    assert open_still <= 512, f"{open_still} half-open connections are kept"
    assert made.is_active()


globals()[case]()
