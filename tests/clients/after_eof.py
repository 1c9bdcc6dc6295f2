"""Goes on sending requests after its EOF and after the server has closed the channel."""
import sys
import time

import paramiko
import raw

transport = raw.connect()
for at in range(int(sys.argv[5])):
    sftp = raw.Sftp(transport)
    channel = sftp.channel
    # Leave the server's close unanswered, so that the channel stays known.
    channel._handle_close = lambda message: None
    channel.shutdown_write()
    for pause in (0, 0.05):
        time.sleep(pause)
        message = paramiko.Message()
        message.add_byte(b"\x5e")
        message.add_int(channel.remote_chanid)
        message.add_string(sftp.request(13, raw.string(b"/no-such-file")))
        transport._send_user_message(message)
    message = paramiko.Message()
    message.add_byte(b"\x61")
    message.add_int(channel.remote_chanid)
    transport._send_user_message(message)
# The server still answers.
assert raw.Sftp(transport).ask(17, raw.string(b"/"))[0] == 105
transport.close()
