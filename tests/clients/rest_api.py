#!/usr/bin/env python3
"""Drives a running server through the published API client, PyPI's `sftpgo-client`.

The client was generated from the description of the API that this server
promises to be compatible with, and it parses every answer into typed objects, so
a field of the wrong shape fails here.

Usage: rest_api.py URL ADMIN PASSWORD SFTP_HOST SFTP_PORT WORK_DIR
"""

import pathlib
import subprocess
import sys
import time

from sftpgo_client import Client
from sftpgo_client.base import models
from sftpgo_client.base.api.admins import (
    add_admin,
    change_admin_password,
    delete_admin,
    get_admin_by_username,
    get_admins,
    update_admin,
)
from sftpgo_client.base.api.connections import close_connection, get_connections
from sftpgo_client.base.api.folders import (
    add_folder,
    delete_folder,
    get_folder_by_name,
    get_folders,
    update_folder,
)
from sftpgo_client.base.api.maintenance import get_status, get_version
from sftpgo_client.base.api.quota import (
    folder_quota_update_usage,
    get_folders_quota_scans,
    get_users_quota_scans,
    start_folder_quota_scan,
    start_user_quota_scan,
    user_quota_update_usage,
)
from sftpgo_client.base.api.token import logout
from sftpgo_client.base.api.users import (
    add_user,
    delete_user,
    get_user_by_username,
    get_users,
    update_user,
)

PATIENCE_SECS = 30


def step(text):
    print(f"- {text}", flush=True)


def expect(status, response):
    """The parsed body of a response that must have this status."""
    if response.status_code != status:
        raise SystemExit(
            f"expected {status}, got {response.status_code}: {response.content.decode()}"
        )
    return response.parsed


def eventually(what, attempt):
    """What `attempt` returns once it is true."""
    deadline = time.monotonic() + PATIENCE_SECS
    while time.monotonic() < deadline:
        if result := attempt():
            return result
        time.sleep(0.05)
    raise SystemExit(f"did not happen within {PATIENCE_SECS} seconds: {what}")


def permissions(**by_path):
    result = models.UserPermissions()
    result.additional_properties = {"/" + path: held for path, held in by_path.items()} or {
        "/": ["*"]
    }
    return result


class Story:
    def __init__(self, url, admin, password, sftp_host, sftp_port, work_dir):
        self.url = f"{url.rstrip('/')}/api/v2"
        self.sftp_host = sftp_host
        self.sftp_port = sftp_port
        self.work_dir = pathlib.Path(work_dir)
        self.client = self.login(admin, password)

    def login(self, username, password):
        client = Client(base_url=self.url, user=username, password=password, timeout=30)
        client._set_token(client.get_token())
        return client

    def version_and_status(self):
        step("version and status")
        version = expect(200, get_version.sync_detailed(client=self.client))
        assert version.version and "+sqlite" in version.features, version
        status = expect(200, get_status.sync_detailed(client=self.client))
        assert status.ssh.is_active and status.ssh.host_keys, status
        assert all(key.fingerprint.startswith("SHA256:") for key in status.ssh.host_keys)
        assert status.data_provider.is_active and not status.data_provider.error, status

    def users(self):
        step("create, read, list, update a user")
        home = self.work_dir / "home"
        key = self.work_dir / "key"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True
        )
        user = models.User(
            username="clara",
            status=models.UserStatus.VALUE_1,
            password="a pass phrase",
            public_keys=[key.with_suffix(".pub").read_text().strip()],
            home_dir=str(home),
            permissions=permissions(),
            filters=models.UserFilters(denied_protocols=[models.SupportedProtocols.FTP]),
        )
        created = expect(201, add_user.sync_detailed(client=self.client, json_body=user))
        assert created.id > 0 and created.username == "clara", created
        assert not created.password, "a password was returned"
        assert add_user.sync_detailed(client=self.client, json_body=user).status_code == 409

        listed = expect(
            200,
            get_users.sync_detailed(
                client=self.client, limit=1, offset=0, order=models.GetUsersOrder.DESC
            ),
        )
        assert [user.username for user in listed] == ["clara"], listed

        # What was read can be written back: this is how scripts change one field.
        created.description = "through the client"
        created.max_sessions = 2
        expect(
            200,
            update_user.sync_detailed(
                client=self.client,
                username="clara",
                json_body=created,
                disconnect=models.UpdateUserDisconnect.VALUE_0,
            ),
        )
        read = expect(
            200, get_user_by_username.sync_detailed(client=self.client, username="clara")
        )
        assert (read.description, read.max_sessions) == ("through the client", 2), read
        assert read.filters.denied_protocols == [models.SupportedProtocols.FTP], read
        assert read.permissions["/"] == ["*"], read

        bad = models.User(username="dora", home_dir="relative", permissions=permissions())
        assert add_user.sync_detailed(client=self.client, json_body=bad).status_code == 400
        missing = get_user_by_username.sync_detailed(client=self.client, username="nobody")
        assert missing.status_code == 404

    def sftp(self):
        """A session of the user that stays open until its input is closed."""
        return subprocess.Popen(
            [
                "sftp",
                "-q",
                "-P",
                self.sftp_port,
                "-i",
                str(self.work_dir / "key"),
                "-o",
                "IdentitiesOnly=yes",
                "-o",
                "BatchMode=yes",
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
                f"clara@{self.sftp_host}",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def connections(self):
        step("list a live connection and close it")
        assert expect(200, get_connections.sync_detailed(client=self.client)) == []
        session = self.sftp()
        try:
            session.stdin.write(f"put {__file__} uploaded.py\n")
            session.stdin.flush()

            def one():
                return expect(200, get_connections.sync_detailed(client=self.client))

            # Before it has asked for SFTP it is just a connection.
            def sessions():
                sftp = models.ConnectionStatusProtocol.SFTP
                return [connection for connection in one() if connection.protocol == sftp]

            [connection] = eventually("the session is listed", sessions)
            assert connection.username == "clara", connection
            assert connection.connection_id.startswith("SFTP_"), connection
            assert "OpenSSH" in connection.client_version, connection
            uploaded = self.work_dir / "home" / "uploaded.py"
            size = pathlib.Path(__file__).stat().st_size
            eventually("the upload", lambda: uploaded.exists() and uploaded.stat().st_size == size)

            closing = close_connection.sync_detailed(
                client=self.client, connection_id=connection.connection_id
            )
            expect(200, closing)
            # sftp looks at its connection only when it has something to send.
            shown, _ = session.communicate("ls\n", timeout=PATIENCE_SECS)
            assert session.returncode != 0, shown
            eventually("the list is empty", lambda: not one())
            again = close_connection.sync_detailed(
                client=self.client, connection_id=connection.connection_id
            )
            assert again.status_code == 404
        finally:
            session.kill()
            session.wait()

    def quotas(self):
        step("set the used quota, and correct it by a scan")
        update = user_quota_update_usage.sync_detailed(
            client=self.client,
            username="clara",
            json_body=models.QuotaUsage(used_quota_size=100, used_quota_files=7),
            mode=models.UserQuotaUpdateUsageMode.RESET,
        )
        expect(200, update)
        update = user_quota_update_usage.sync_detailed(
            client=self.client,
            username="clara",
            json_body=models.QuotaUsage(used_quota_size=1, used_quota_files=1),
            mode=models.UserQuotaUpdateUsageMode.ADD,
        )
        expect(200, update)

        def used():
            user = expect(
                200, get_user_by_username.sync_detailed(client=self.client, username="clara")
            )
            return user.used_quota_size, user.used_quota_files

        assert used() == (101, 8), used()
        expect(202, start_user_quota_scan.sync_detailed(client=self.client, username="clara"))
        eventually(
            "the scan ends",
            lambda: expect(200, get_users_quota_scans.sync_detailed(client=self.client)) == [],
        )
        size = pathlib.Path(__file__).stat().st_size
        assert used() == (size, 1), used()

    def folders(self):
        step("create, list, update, scan and delete a folder")
        mapped = self.work_dir / "archive"
        mapped.mkdir()
        (mapped / "one").write_bytes(b"12345")
        folder = models.BaseVirtualFolder(name="archive", mapped_path=str(mapped))
        created = expect(201, add_folder.sync_detailed(client=self.client, json_body=folder))
        created.description = "changed"
        expect(
            200, update_folder.sync_detailed(client=self.client, name="archive", json_body=created)
        )
        listed = expect(200, get_folders.sync_detailed(client=self.client))
        assert [folder.description for folder in listed] == ["changed"], listed
        expect(
            200,
            folder_quota_update_usage.sync_detailed(
                client=self.client,
                name="archive",
                json_body=models.QuotaUsage(used_quota_size=99, used_quota_files=9),
            ),
        )
        expect(202, start_folder_quota_scan.sync_detailed(client=self.client, name="archive"))
        eventually(
            "the scan ends",
            lambda: expect(200, get_folders_quota_scans.sync_detailed(client=self.client)) == [],
        )
        folder = expect(
            200, get_folder_by_name.sync_detailed(client=self.client, name="archive")
        )
        assert (folder.used_quota_size, folder.used_quota_files) == (5, 1), folder

        step("mount the folder into the user")
        clara = expect(
            200, get_user_by_username.sync_detailed(client=self.client, username="clara")
        )
        clara.virtual_folders = [
            models.VirtualFolder(
                name="archive", virtual_path="/archive", quota_size=-1, quota_files=-1
            )
        ]
        expect(
            200, update_user.sync_detailed(client=self.client, username="clara", json_body=clara)
        )
        clara = expect(
            200, get_user_by_username.sync_detailed(client=self.client, username="clara")
        )
        [mount] = clara.virtual_folders
        assert (mount.virtual_path, mount.quota_size) == ("/archive", -1), mount
        assert (mount.mapped_path, mount.used_quota_files) == (str(mapped), 1), mount
        folder = expect(
            200, get_folder_by_name.sync_detailed(client=self.client, name="archive")
        )
        assert folder.users == ["clara"], folder
        expect(200, delete_folder.sync_detailed(client=self.client, name="archive"))
        assert (mapped / "one").exists(), "files stay"
        clara = expect(
            200, get_user_by_username.sync_detailed(client=self.client, username="clara")
        )
        assert not clara.virtual_folders, clara

    def admins(self):
        step("create, update and delete an admin, who changes its password")
        admin = models.Admin(
            username="helper",
            password="helper's phrase",
            status=models.AdminStatus.VALUE_1,
            permissions=[models.AdminPermissions.VIEW_USERS],
        )
        created = expect(201, add_admin.sync_detailed(client=self.client, json_body=admin))
        created.description = "changed"
        expect(
            200,
            update_admin.sync_detailed(client=self.client, username="helper", json_body=created),
        )
        helper = self.login("helper", "helper's phrase")
        expect(200, get_users.sync_detailed(client=helper))
        assert get_admins.sync_detailed(client=helper).status_code == 403
        change = models.PwdChange(
            current_password="helper's phrase", new_password="another phrase"
        )
        expect(200, change_admin_password.sync_detailed(client=helper, json_body=change))
        helper = self.login("helper", "another phrase")
        read = expect(
            200, get_admin_by_username.sync_detailed(client=self.client, username="helper")
        )
        assert read.description == "changed", read
        expect(200, delete_admin.sync_detailed(client=self.client, username="helper"))
        assert get_users.sync_detailed(client=helper).status_code == 401

    def end(self):
        step("delete the user, log out")
        expect(200, delete_user.sync_detailed(client=self.client, username="clara"))
        gone = get_user_by_username.sync_detailed(client=self.client, username="clara")
        assert gone.status_code == 404
        assert (self.work_dir / "home" / "uploaded.py").exists(), "files stay"
        expect(200, logout.sync_detailed(client=self.client))
        assert get_version.sync_detailed(client=self.client).status_code == 401


def main():
    if len(sys.argv) != 7:
        raise SystemExit(__doc__)
    story = Story(*sys.argv[1:])
    story.version_and_status()
    story.users()
    story.connections()
    story.quotas()
    story.folders()
    story.admins()
    story.end()
    print("all steps passed")


if __name__ == "__main__":
    main()
