"""Password login after a header in hexadecimal: exit status 0, or 10 when refused."""
import socket
import sys

import paramiko

host, port, user, password, header = sys.argv[1:6]
connection = socket.create_connection((host, int(port)), timeout=20)
connection.sendall(bytes.fromhex(header))
transport = paramiko.Transport(connection)
try:
    transport.start_client(timeout=20)
    transport.auth_password(user, password)
    transport.open_sftp_client().listdir(".")
except (paramiko.SSHException, EOFError, OSError):
    sys.exit(10)
finally:
    transport.close()
