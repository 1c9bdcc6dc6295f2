"""Guesses passwords on one connection; the server ends it when it has seen enough."""
import asyncio
import sys

import asyncssh

host, port, user, _password, tries = sys.argv[1:6]
asked = 0


class Guesser(asyncssh.SSHClient):
    def password_auth_requested(self):
        global asked
        asked += 1
        return f"guess-{asked}" if asked <= int(tries) else None


async def main():
    try:
        await asyncssh.connect(
            host, int(port), username=user, known_hosts=None, client_keys=None, config=None,
            client_factory=Guesser, preferred_auth="password",
        )
        sys.exit("a guess was accepted")
    except (asyncssh.Error, OSError):
        pass


asyncio.run(main())
