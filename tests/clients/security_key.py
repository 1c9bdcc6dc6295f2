"""A software authenticator: signs as a FIDO security key does (PROTOCOL.u2f).

  keys                      prints the public keys as authorized-keys lines
  login PORT KIND HOW       logs in; exit status 0, or 10 when refused
"""
import hashlib
import struct
import sys

import paramiko
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from paramiko.transport import ServiceRequestingTransport

APPLICATION = "ssh:"


class SecurityKey(paramiko.PKey):
    how = "right"
    counter = 7
    last = None

    def asbytes(self):
        message = paramiko.Message()
        message.add_string(self.name)
        self.add_point(message)
        message.add_string(APPLICATION)
        return message.asbytes()

    def get_name(self):
        return self.name

    def sign_ssh_data(self, data, algorithm=None):
        if self.how == "replayed":
            data = b"another session" + data
        application = "ssh:other" if self.how == "other-application" else APPLICATION
        flags = 1
        signed = (
            hashlib.sha256(application.encode()).digest()
            + struct.pack(">BI", flags, self.counter)
            + hashlib.sha256(data).digest()
        )
        counter = self.counter + 1 if self.how == "tampered" else self.counter
        message = paramiko.Message()
        message.add_string(self.name)
        message.add_string(self.raw_signature(signed))
        message.add_byte(bytes([flags]))
        message.add_int(counter)
        return message


class Ed25519(SecurityKey):
    name = "sk-ssh-ed25519@openssh.com"
    key = ed25519.Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)

    def add_point(self, message):
        message.add_string(self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def raw_signature(self, signed):
        return self.key.sign(signed)


class Ecdsa(SecurityKey):
    name = "sk-ecdsa-sha2-nistp256@openssh.com"
    key = ec.derive_private_key(0x1234567890ABCDEF, ec.SECP256R1())

    def add_point(self, message):
        message.add_string("nistp256")
        message.add_string(
            self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        )

    def raw_signature(self, signed):
        r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
        message = paramiko.Message()
        message.add_mpint(r)
        message.add_mpint(s)
        return message.asbytes()


if sys.argv[1] == "keys":
    for kind in (Ed25519, Ecdsa):
        print(kind.name, kind().get_base64(), "software")
    sys.exit()

key = {"ed25519": Ed25519, "ecdsa": Ecdsa}[sys.argv[3]]()
key.how = sys.argv[4]
transport = ServiceRequestingTransport(("127.0.0.1", int(sys.argv[2])))
try:
    transport.start_client(timeout=20)
    transport.auth_publickey("alice", key)
    transport.open_sftp_client().listdir(".")
except paramiko.AuthenticationException:
    sys.exit(10)
finally:
    transport.close()
