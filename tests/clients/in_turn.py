"""Many sessions on one connection, each after the end of the one before, as OpenSSH's
connection sharing has them: the client says that it is done, the server closes."""
import raw

transport = raw.connect()
for _ in range(25):
    sftp = raw.Sftp(transport)
    assert sftp.ask(17, raw.string(b"/"))[0] == 105
    sftp.channel.shutdown_write()
    assert sftp.channel.recv(1) == b"", "data after the end"
    assert sftp.channel.recv_exit_status() == 0
transport.close()
