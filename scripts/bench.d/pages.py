"""How fast the web pages of administrators answer on a busy server, and what a page that
moves costs. Only our server has them."""

import http.cookiejar
import re
import statistics
import sys
import threading
import time
import urllib.parse
import urllib.request

# What is asked for, below the root of the pages.
PAGES = {
    "users": ["/users", "/users?sort=last_login&order=DESC", "/users?q=user-0042", "/users?page=150"],
    "connections": ["/connections", "/connections?q=bench"],
    "overview": [""],
}


def measure(work, server):
    fill(work, server)
    with work.open_sessions(server, work.sizes.live):
        browser = Browser(server)
        server.settle()
        if len(server.get("/connections")) < work.sizes.live:
            sys.exit(f"scripts/bench: {server.name} does not have the sessions that were opened")
        for name, paths in PAGES.items():
            took = [browser.time(path) for path in paths for _ in range(work.sizes.page_views)]
            work.samples.add(f"pages.{name}.median", server.name, statistics.median(took) * 1000)
            work.samples.add(f"pages.{name}.worst", server.name, max(took) * 1000)
        with Slow(work, server):
            quiet = share(work, server)
            with browser.follow("/live/connections"):
                watched = share(work, server)
        work.samples.add("pages.live.cpu", server.name, (watched - quiet) * 100)


def fill(work, server):
    """As many users as there are to be, once."""
    if server.count_users() >= work.sizes.users:
        return
    users = [
        {
            "username": f"user-{number:06}", "status": 1, "home_dir": str(work.bench.home),
            "public_keys": [work.bench.public_key.read_text().strip()], "permissions": {"/": ["*"]},
            "quota_size": 1 << 30, "email": f"user-{number}@example.com",
        }
        for number in range(work.sizes.users)
    ]
    server.load_dump({"version": 17, "users": users})


def share(work, server):
    """The part of a core that the server uses."""
    seconds = work.sizes.watched_seconds
    before, started = server.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (server.cpu_seconds() - before) / (time.monotonic() - started)


class Slow:
    """Downloads that go on for as long as they are looked at."""

    def __init__(self, work, server):
        self.work, self.server, self.clients = work, server, []

    def __enter__(self):
        self.server.put_account(download_bandwidth=32)
        file = self.work.bench.home / "slow.bin"
        with open(file, "wb") as content:
            content.truncate(1 << 30)
        for _ in range(self.work.sizes.slow):
            client = self.work.start_sftp(self.server, ["get slow.bin /dev/null"])
            client.stdin.flush()
            self.clients.append(client)
        deadline = time.monotonic() + 60
        while sum(len(one["active_transfers"] or []) for one in self.server.get("/connections")) < len(self.clients):
            if time.monotonic() > deadline:
                sys.exit("scripts/bench: the slow downloads do not begin")
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.kill()
            client.communicate()
            client.errors.close()
        self.server.put_account()
        self.server.settle()


class Browser:
    """Signed in, with its cookies."""

    def __init__(self, server):
        self.root = f"http://127.0.0.1:{server.api_port}/web/admin"
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        )
        login = self.get("/login")
        csrf = re.search(r'name="_csrf" value="([^"]+)"', login)
        fields = {"_csrf": csrf.group(1), "username": "bench", "password": server.admin_password}
        with self.opener.open(self.root + "/login", urllib.parse.urlencode(fields).encode(), timeout=60) as answer:
            if answer.geturl().endswith("/login"):
                sys.exit("scripts/bench: cannot sign in to the pages")

    def get(self, path):
        with self.opener.open(self.root + path, timeout=60) as answer:
            return answer.read().decode()

    def time(self, path):
        started = time.monotonic()
        self.get(path)
        return time.monotonic() - started

    def follow(self, path):
        return Follower(self.opener.open(self.root + path, timeout=60))


class Follower:
    """Reads a stream of events for as long as it is used."""

    def __init__(self, stream):
        self.stream, self.events, self.ended = stream, 0, False
        self.thread = threading.Thread(target=self.read)

    def __enter__(self):
        self.thread.start()
        return self

    def read(self):
        for line in self.stream:
            self.events += line.startswith(b"event:") or line.startswith(b"data:")
            if self.ended:
                return

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()
        self.stream.close()
        if not self.events:
            sys.exit("scripts/bench: the live page does not move")
