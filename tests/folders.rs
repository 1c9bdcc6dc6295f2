//! Folders as administrators manage them, and the accounts that mount them.

mod common;

use common::TestServer;
use serde_json::json;

#[test]
fn folders_and_their_mounts_survive_a_restart() {
    let mut server = TestServer::start();
    let data = server.dir().join("data");
    let api = server.api();
    let folder = json!({"name": "data", "mapped_path": data, "description": "shared"});
    let (status, created) = api.post("/folders", &folder);
    assert_eq!(status, 201, "{created}");
    server.add_user(
        "alice",
        json!({"virtual_folders": [
            {"name": "data", "virtual_path": "/data", "quota_size": 1000, "quota_files": 0},
            {"mapped_path": server.dir().join("inline"), "virtual_path": "/old"},
        ]}),
    );
    let (_, alice) = api.get("/users/alice");
    assert!(server.stop().success());
    server.launch();

    let api = server.api();
    assert_eq!(api.get("/users/alice").1["virtual_folders"], alice["virtual_folders"]);
    let mounts = alice["virtual_folders"].as_array().unwrap();
    assert_eq!(mounts.len(), 2, "{alice}");
    assert_eq!(mounts[0]["mapped_path"], json!(data));
    assert_eq!((&mounts[0]["quota_size"], &mounts[1]["quota_size"]), (&json!(1000), &json!(-1)));
    let (_, list) = api.get("/folders");
    assert_eq!(list.as_array().map(Vec::len), Some(2), "the folder without a name has one now");
    assert_eq!(api.get("/folders/data").1["users"], json!(["alice"]));

    assert_eq!(api.delete("/folders/data").0, 200);
    let (_, alice) = api.get("/users/alice");
    assert_eq!(alice["virtual_folders"].as_array().map(Vec::len), Some(1), "{alice}");
}
