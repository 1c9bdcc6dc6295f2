"""Uploads a tree and downloads it again with asyncssh; copies on the server."""
import asyncio
import sys

import asyncssh

host, port, user, password, source, target = sys.argv[1:7]


async def main():
    connection = await asyncssh.connect(
        host, int(port), username=user, password=password, known_hosts=None, client_keys=None,
        config=None,
    )
    async with connection, connection.start_sftp_client() as sftp:
        await sftp.put(source, "/asyncssh", recurse=True, preserve=True)
        await sftp.get("/asyncssh", target, recurse=True, preserve=True)
        await asyncio.gather(
            *(sftp.put(f"{source}/five megabytes", f"/parallel-{at}") for at in range(6))
        )
        sizes = await asyncio.gather(*(sftp.getsize(f"/parallel-{at}") for at in range(6)))
        assert len(set(sizes)) == 1 and sizes[0] > 5_000_000, sizes
        if sftp.supports_remote_copy:
            await sftp.remote_copy("/parallel-0", "/copied")
            assert await sftp.getsize("/copied") == sizes[0]
        else:
            sys.exit("copy-data is not offered")
        limits = sftp.limits
        assert limits.max_read_len >= 32768, limits
        volume = await sftp.statvfs("/")
        assert volume.blocks > 0
        async with sftp.open("/copied", "rb+") as file:
            await file.fsync()


asyncio.run(main())
