"""copy-data from a file to its own end: once what it held, not for ever."""
import struct

import raw

transport = raw.connect()
sftp = raw.Sftp(transport)
write, read, create = 2, 1, 8
target = sftp.open(b"/f", write | create)
assert sftp.ask(6, target + struct.pack(">Q", 0) + raw.string(b"x" * 100)) == (101, 0)
source = sftp.open(b"/f", read)
fields = source + struct.pack(">QQ", 0, 0) + target + struct.pack(">Q", 100)
assert sftp.ask(200, raw.string(b"copy-data") + fields) == (101, 0)
# More than there is, and over itself by one handle.
fields = source + struct.pack(">QQ", 150, 100) + target + struct.pack(">Q", 0)
assert sftp.ask(200, raw.string(b"copy-data") + fields) == (101, 4)
both = sftp.open(b"/g", read | write | create)
assert sftp.ask(6, both + struct.pack(">Q", 0) + raw.string(b"x" * 100)) == (101, 0)
fields = both + struct.pack(">QQ", 0, 0) + both + struct.pack(">Q", 50)
assert sftp.ask(200, raw.string(b"copy-data") + fields) == (101, 4)
transport.close()
