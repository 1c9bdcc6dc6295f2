//! Filters on names, with real files and links.

use super::*;

async fn names(client: &Client, dir: &str, batch: usize) -> Vec<String> {
    let mut listing = client.list(&path(dir)).await.unwrap();
    let mut names = Vec::new();
    loop {
        let entries = listing.next_batch(batch).await.unwrap();
        if entries.is_empty() {
            break;
        }
        names.extend(entries.into_iter().map(|entry| String::from_utf8(entry.name).unwrap()));
    }
    names.sort();
    names
}

fn file_patterns(filters: serde_json::Value) -> serde_json::Value {
    json!({"filters": {"file_patterns": filters}})
}

#[test]
fn a_listing_goes_on_after_any_number_of_hidden_names() {
    run(async {
        let world = World::new(options());
        let all = world.login(json!({})).await;
        for n in 0..40 {
            put(&all, &format!("/{n}.tmp"), b"").await.unwrap();
        }
        put(&all, "/seen", b"").await.unwrap();
        all.create_dir(&path("/dir.TMP"), None).await.unwrap();
        put(&all, "/dir.TMP/inside", b"").await.unwrap();
        let hide = file_patterns(json!([
            {"path": "/", "denied_patterns": ["*.tmp"], "deny_policy": 1},
        ]));
        let client = world.login(hide).await;
        for batch in [1, 3, 1000] {
            assert_eq!(names(&client, "/", batch).await, ["seen"]);
        }
        let gone = [
            client.list(&path("/dir.TMP")).await.map(drop),
            client.stat(&path("/dir.TMP/inside")).await.map(drop),
        ];
        for result in gone {
            assert_eq!(kind(result), ErrorKind::NotFound);
        }
        let show = file_patterns(json!([{"path": "/", "denied_patterns": ["*.tmp"]}]));
        let client = world.login(show).await;
        assert_eq!(names(&client, "/", 7).await.len(), 42);
        assert_eq!(names(&client, "/dir.TMP", 7).await, ["inside"]);
    });
}

#[test]
fn no_link_leads_to_a_denied_name() {
    run(async {
        let world = World::new(options());
        let all = world.login(json!({})).await;
        for dir in ["/open", "/guarded", "/dark", "/a", "/a/b"] {
            all.create_dir(&path(dir), None).await.unwrap();
        }
        for name in ["/guarded/x.key", "/guarded/x.txt", "/dark/x.key", "/dark/x.txt"] {
            put(&all, name, b"content").await.unwrap();
        }
        // As an administrator, or an account without filters, made them.
        for (link, target) in [
            ("/open/key", "/guarded/x.key"),
            ("/open/text", "/guarded/x.txt"),
            ("/open/dir", "/guarded"),
            ("/open/dark", "/dark"),
            ("/open/unseen", "/dark/x.key"),
            ("/open/twice", "/open/key"),
            ("/open/new", "/guarded/new.key"),
            ("/guarded/name.key", "/guarded/x.txt"),
            // Leads to /guarded/x.key when it is moved to the root.
            ("/a/b/moved", "/a/guarded/x.key"),
        ] {
            all.symlink(target.as_bytes(), &path(link)).await.unwrap();
        }
        let client = world
            .login(file_patterns(json!([
                {"path": "/guarded", "denied_patterns": ["*.key"]},
                {"path": "/dark", "denied_patterns": ["*.key"], "deny_policy": 1},
            ])))
            .await;
        let read = async |name: &str| match client.begin_download(&path(name)).await {
            Ok(download) => {
                assert_eq!(download.read_at(0, 100).await.unwrap(), &b"content"[..]);
                None
            }
            Err(error) => Some(error.kind()),
        };
        let (denied, hidden) = (Some(ErrorKind::PermissionDenied), Some(ErrorKind::NotFound));
        for (name, want) in [
            ("/guarded/x.key", denied),
            ("/guarded/X.KEY", denied),
            ("/guarded/x.txt", None),
            ("/guarded/name.key", denied),
            ("/open/text", None),
            ("/open/key", denied),
            ("/open/twice", denied),
            ("/open/dir/x.key", denied),
            ("/open/dir/x.txt", None),
            ("/open/dir/../dir/x.key", denied),
            ("/open/unseen", hidden),
            ("/open/dark/x.key", hidden),
            ("/open/dark/x.txt", None),
        ] {
            assert_eq!(read(name).await, want, "{name}");
        }
        let write = async |name: &str| put(&client, name, b"changed").await.err().map(|e| e.kind());
        for (name, want) in [
            ("/open/key", denied),
            ("/open/new", denied),
            ("/open/dir/other.key", denied),
            ("/open/unseen", hidden),
            ("/open/dark/other.key", hidden),
            ("/open/dir/other.txt", None),
        ] {
            assert_eq!(write(name).await, want, "{name}");
        }
        let change = SetAttributes { mode: Some(0o600), ..Default::default() };
        for (name, want) in [
            ("/open/key", denied),
            ("/open/dir/x.key", denied),
            ("/open/unseen", hidden),
            ("/open/text", None),
        ] {
            let got = client.set_attributes(&path(name), change).await;
            assert_eq!(got.err().map(|error| error.kind()), want, "{name}");
        }
        assert_eq!(names(&client, "/open/dark", 10).await, ["x.txt"]);
        assert_eq!(names(&client, "/open/dir", 10).await.len(), 4);
        assert_eq!(client.stat(&path("/open/key")).await.unwrap().size, 7);
        assert_eq!(kind(client.stat(&path("/open/unseen")).await), ErrorKind::NotFound);
        assert_eq!(
            kind(client.remove_file(&path("/open/dir/x.key")).await),
            ErrorKind::PermissionDenied
        );
        for (from, to) in [
            ("/open/dir/x.key", "/open/x"),
            ("/guarded/x.key", "/open/x"),
            ("/guarded/x.txt", "/guarded/y.key"),
            ("/guarded/x.txt", "/open/dir/y.key"),
            ("/guarded", "/elsewhere"),
        ] {
            let got = client.rename(&path(from), &path(to)).await;
            assert_eq!(kind(got), ErrorKind::PermissionDenied, "{from} {to}");
        }
        for target in ["/guarded/x.key", "/guarded/none.key"] {
            let got = client.symlink(target.as_bytes(), &path("/open/own")).await;
            assert_eq!(kind(got), ErrorKind::PermissionDenied, "{target}");
        }
        // A link whose target changes with its place.
        client.rename(&path("/a/b/moved"), &path("/a/moved")).await.unwrap();
        assert_eq!(client.read_link(&path("/a/moved")).await.unwrap(), path("/guarded/x.key"));
        assert_eq!(read("/a/moved").await, denied);
        // Nothing of all that was done.
        assert_eq!(std::fs::read(world.home().join("guarded/x.key")).unwrap(), b"content");
        assert_eq!(std::fs::read(world.home().join("dark/x.key")).unwrap(), b"content");
        assert!(!world.home().join("guarded/new.key").exists());
    });
}

#[test]
fn no_directory_takes_denied_names_along() {
    run(async {
        let world = World::new(options());
        let all = world.login(json!({})).await;
        for dir in ["/www", "/www/sub", "/up", "/up/sub", "/www/real"] {
            all.create_dir(&path(dir), None).await.unwrap();
        }
        all.symlink(b"/www", &path("/alias")).await.unwrap();
        let client = world
            .login(file_patterns(json!([{"path": "/www", "denied_patterns": ["*.php"]}])))
            .await;
        put(&client, "/up/sub/shell.php", b"x").await.unwrap();
        for (from, to) in [
            ("/up/sub", "/www/new"),
            ("/up/sub", "/alias/new"),
            ("/www/sub", "/up/new"),
            ("/alias/sub", "/up/new"),
            ("/www", "/up/new"),
        ] {
            let got = client.rename(&path(from), &path(to)).await;
            assert_eq!(kind(got), ErrorKind::PermissionDenied, "{from} {to}");
        }
        // Within one filter it is free, and files go by their names.
        client.rename(&path("/www/sub"), &path("/www/other")).await.unwrap();
        client.rename(&path("/up/sub"), &path("/up/other")).await.unwrap();
        client.rename(&path("/alias/other"), &path("/alias/again")).await.unwrap();
        put(&client, "/up/page.html", b"x").await.unwrap();
        client.rename(&path("/up/page.html"), &path("/www/page.html")).await.unwrap();
        let got = client.rename(&path("/up/other/shell.php"), &path("/alias/shell.php")).await;
        assert_eq!(kind(got), ErrorKind::PermissionDenied);
        client.rename(&path("/up/other/shell.php"), &path("/www/shell.txt")).await.unwrap();
    });
}

#[test]
fn filters_hold_in_every_upload_mode() {
    for upload_mode in [Atomicity::Direct, Atomicity::Atomic, Atomicity::AtomicResumable] {
        run(async move {
            let world = World::new(VfsOptions { upload_mode, ..options() });
            let client = world
                .login(json!({"filters": {
                    "file_patterns": [{"path": "/", "allowed_patterns": ["*.jpg", "dir"]}],
                    "file_extensions": [{"path": "/", "denied_extensions": [".tar.jpg"]}],
                }}))
                .await;
            put(&client, "/a.JPG", b"first").await.unwrap();
            put(&client, "/a.JPG", b"second").await.unwrap();
            client.create_dir(&path("/dir"), None).await.unwrap();
            put(&client, "/dir/b.jpg", b"x").await.unwrap();
            client.symlink(b"a.JPG", &path("/l.jpg")).await.unwrap();
            put(&client, "/l.jpg", b"through the link").await.unwrap();
            for name in ["/a.png", "/a.jpg.png", "/dir/a", "/x.tar.jpg"] {
                assert_eq!(
                    kind(put(&client, name, b"x").await),
                    ErrorKind::PermissionDenied,
                    "{name}"
                );
            }
            let got = client.create_dir(&path("/other"), None).await;
            assert_eq!(kind(got), ErrorKind::PermissionDenied);
            assert_eq!(world.on_disk(), ["a.JPG", "dir", "l.jpg"]);
            assert_eq!(std::fs::read(world.home().join("a.JPG")).unwrap(), b"through the link");
        });
    }
}
