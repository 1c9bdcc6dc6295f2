"""Password login with paramiko: exit status 0 when it works, 10 when it is refused."""
import sys

import paramiko

host, port, user, password = sys.argv[1:5]
transport = paramiko.Transport((host, int(port)))
try:
    transport.start_client(timeout=20)
    transport.auth_password(user, password)
    sftp = transport.open_sftp_client()
    sftp.listdir(".")
except paramiko.AuthenticationException:
    sys.exit(10)
finally:
    transport.close()
