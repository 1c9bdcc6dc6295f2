//! Folders that users get from their groups.

mod common;

use std::fs;

use common::TestServer;
use common::clients::{has, public_key, text};
use common::server::eventually;
use serde_json::json;

#[test]
fn folders_of_groups_are_mounted_for_every_member() {
    if !has("sftp") {
        return;
    }
    let server = TestServer::start();
    let api = server.api();
    let place = |name: &str| server.dir().join(name);
    for folder in [
        json!({"name": "shared", "mapped_path": place("shared")}),
        json!({"name": "private", "mapped_path": place("of/%username%")}),
    ] {
        let (status, body) = api.post("/folders", &folder);
        assert_eq!(status, 201, "{body}");
    }
    let group = json!({"name": "staff", "user_settings": {"permissions": {"/shared": ["list"]}},
    "virtual_folders": [
        {"name": "shared", "virtual_path": "/shared"},
        {"name": "private", "virtual_path": "/box-of-%username%", "quota_size": -1,
         "quota_files": -1},
    ]});
    let (status, body) = api.post("/groups", &group);
    assert_eq!(status, 201, "{body}");
    let local = tempfile::tempdir().unwrap();
    fs::write(local.path().join("f"), "12345").unwrap();
    let l = local.path().display();
    fs::create_dir(place("shared")).unwrap();
    fs::write(place("shared").join("notice"), "x").unwrap();
    for name in ["ann", "bob"] {
        let groups = json!([{"name": "staff", "type": 2}]);
        let member = json!({"public_keys": [public_key()], "groups": groups, "quota_files": 1});
        server.add_user(name, member);
        let shown =
            server.sftp_ok(name, &format!("ls -1 /\nls -1 /shared\nput {l}/f /box-of-{name}/f\n"));
        assert!(shown.contains("shared") && shown.contains("notice"), "{shown}");
        assert_eq!(fs::read(place("of").join(name).join("f")).unwrap(), b"12345");
        // The right of the group for its folder, and the user's own quota for the other.
        for refused in [format!("put {l}/f /shared/f\n"), format!("put {l}/f /box-of-{name}/g\n")] {
            let out = server.sftp(name, &refused);
            assert!(!out.status.success(), "{refused}: {}", text(&out));
        }
        eventually("the usage", || api.get(&format!("/users/{name}")).1["used_quota_files"] == 1);
        // A scan finds the same, in the folder.
        let (status, body) = api.put(
            &format!("/quotas/users/{name}/usage"),
            &json!({"used_quota_size": 99, "used_quota_files": 9}),
        );
        assert_eq!(status, 200, "{body}");
        assert_eq!(api.post(&format!("/quotas/users/{name}/scan"), &json!({})).0, 202);
        eventually("the scan", || api.get(&format!("/users/{name}")).1["used_quota_size"] == 5);
    }
}
