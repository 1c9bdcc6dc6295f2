"""Asks for everything that is not SFTP: each is refused, and nobody waits."""
import sys
import threading

import paramiko

host, port, user, password = sys.argv[1:5]
transport = paramiko.Transport((host, int(port)))
transport.connect(username=user, password=password)


def refused(what, ask):
    channel = transport.open_session(timeout=20)
    channel.settimeout(20)
    timer = threading.Timer(20, channel.close)
    timer.start()
    try:
        ask(channel)
    except paramiko.SSHException:
        assert timer.is_alive(), f"{what} was never answered"
        return
    finally:
        timer.cancel()
        channel.close()
    sys.exit(f"{what} was not refused")


refused("a shell", lambda channel: channel.invoke_shell())
refused("a terminal", lambda channel: channel.get_pty())
refused("a command", lambda channel: channel.exec_command("id"))
refused("a subsystem", lambda channel: channel.invoke_subsystem("netconf"))
refused("X11", lambda channel: channel.request_x11(handler=lambda *_: None))


def refused_at_once(what, ask):
    try:
        ask()
    except paramiko.SSHException:
        return
    sys.exit(f"{what} was not refused")


forward = ("127.0.0.1", int(port)), ("127.0.0.1", 1)
refused_at_once("a tunnel", lambda: transport.open_channel("direct-tcpip", *forward, timeout=20))
refused_at_once("a listener", lambda: transport.request_port_forward("127.0.0.1", 0))
# What needs no answer is ignored, and the connection still works.
channel = transport.open_session(timeout=20)
channel.set_environment_variable("LANG", "C")
sftp = paramiko.SFTPClient(channel if channel.invoke_subsystem("sftp") is None else None)
sftp.listdir("/")
transport.close()
