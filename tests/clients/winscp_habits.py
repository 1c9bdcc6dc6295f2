"""What WinSCP does: a .filepart name, attributes on the open handle, rename, setstat."""
import sys

import paramiko

host, port, user, password = sys.argv[1:5]
transport = paramiko.Transport((host, int(port)))
transport.connect(username=user, password=password)
sftp = paramiko.SFTPClient.from_transport(transport)
sftp.open("/report.txt", "w").close()
with sftp.open("/report.txt.filepart", "w") as file:
    file.write(b"the new report")
    file.chmod(0o640)
    file.utime((1_000_000_000, 1_200_000_000))
sftp.posix_rename("/report.txt.filepart", "/report.txt")
sftp.utime("/report.txt", (1_000_000_000, 1_200_000_000))
sftp.chmod("/report.txt", 0o600)
info = sftp.stat("/report.txt")
assert info.st_mtime == 1_200_000_000, info
assert info.st_mode & 0o777 == 0o600, oct(info.st_mode)
assert sftp.open("/report.txt").read() == b"the new report"
assert sftp.listdir("/") == ["report.txt"]
# The resume of an interrupted upload: open without truncation, write at the end.
with sftp.open("/report.txt", "r+") as file:
    file.seek(14)
    file.write(b", continued")
assert sftp.open("/report.txt").read() == b"the new report, continued"
transport.close()
