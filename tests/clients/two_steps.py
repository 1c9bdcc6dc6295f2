"""A key for one name does not let the password of another name in."""
import sys

import paramiko
from paramiko.transport import ServiceRequestingTransport

host, port, user, password, key_file, other = sys.argv[1:7]
key = paramiko.Ed25519Key.from_private_key_file(key_file)


def connect():
    transport = ServiceRequestingTransport((host, int(port)))
    transport.start_client(timeout=20)
    return transport


def refused(attempt):
    try:
        attempt()
    except paramiko.AuthenticationException as error:
        return getattr(error, "allowed_types", None)
    raise SystemExit("got in")


transport = connect()
assert transport.auth_publickey(user, key) == ["password", "keyboard-interactive"]
refused(lambda: transport.auth_password(other, password))
# And going back does not bring the first step back.
refused(lambda: transport.auth_password(user, password))
assert transport.auth_publickey(user, key) == ["password", "keyboard-interactive"]
# A wrong second step can be tried again, and the list stays that of the second step.
refused(lambda: transport.auth_password(user, "wrong"))
assert transport.auth_password(user, password) == []
transport.open_sftp_client().listdir(".")
transport.close()
