"""An account that may list and download: both work, everything else is refused."""
import asyncio
import sys

import asyncssh

host, port, user, password = sys.argv[1:5]


async def refused(what, attempt):
    try:
        await attempt
    except asyncssh.SFTPPermissionDenied:
        return
    sys.exit(f"{what} was not refused")


async def main():
    connection = await asyncssh.connect(
        host, int(port), username=user, password=password, known_hosts=None, client_keys=None,
        config=None,
    )
    async with connection, connection.start_sftp_client() as sftp:
        names = sorted(set(await sftp.listdir(".")) - {".", ".."})
        assert names == ["notes.txt", "sub"], names
        async with sftp.open("/notes.txt", "rb") as file:
            assert await file.read() == b"read me\n"
        await refused("an upload", sftp.open("/new.txt", "wb"))
        await refused("an overwrite", sftp.open("/notes.txt", "r+b"))
        await refused("a directory", sftp.mkdir("/made"))
        await refused("a removal", sftp.remove("/notes.txt"))
        await refused("a removal of a directory", sftp.rmdir("/sub"))
        await refused("a rename", sftp.rename("/notes.txt", "/moved.txt"))
        await refused("a link", sftp.symlink("/notes.txt", "/link"))
        await refused("a change of mode", sftp.chmod("/notes.txt", 0o777))


asyncio.run(main())
