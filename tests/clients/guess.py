"""Guesses passwords on one connection; prints how many the server looked at."""
import sys

import paramiko

host, port, user, _password, tries = sys.argv[1:6]
transport = paramiko.Transport((host, int(port)))
transport.start_client(timeout=20)
refused = 0
for attempt in range(int(tries)):
    try:
        transport.auth_password(user, f"guess-{attempt}", fallback=False)
        sys.exit("a guess was accepted")
    except paramiko.AuthenticationException:
        # A closed connection raises the same class: only an answer counts.
        if not transport.is_active():
            break
        refused += 1
    except (paramiko.SSHException, EOFError):
        break
print(refused)
transport.close()
