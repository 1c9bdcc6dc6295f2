//! What the tester says is what a session does.

use super::*;
use crate::vfs::{Asked, Explainer};

fn at(path: &str) -> VirtualPath {
    VirtualPath::new(path)
}

/// Does it for real; the file system is made anew before each.
async fn really(client: &Session, asked: Asked, path: &str, target: &str) -> Option<ErrorKind> {
    let (from, to) = (at(path), at(target));
    let upload = async |create: bool| {
        let options = UploadOptions { create, truncate: true, ..UploadOptions::default() };
        client.begin_upload(&from, options).await?.finish().await
    };
    let set = async |attributes| client.set_attributes(&from, attributes).await;
    let none = SetAttributes::default();
    let done = match asked {
        Asked::List => client.list(&from).await.map(drop),
        Asked::Stat => client.lstat(&from).await.map(drop),
        Asked::Download => match client.begin_download(&from).await {
            Ok(download) => download.finish().await,
            Err(error) => Err(error),
        },
        Asked::Upload => upload(true).await,
        Asked::Overwrite => upload(false).await,
        Asked::CreateDir => client.create_dir(&from, None).await,
        Asked::DeleteFile => client.remove_file(&from).await,
        Asked::DeleteDir => client.remove_dir(&from).await,
        Asked::RenameFile | Asked::RenameDir => client.rename(&from, &to).await,
        Asked::Copy => client.copy(&from, &to).await,
        Asked::Symlink => client.symlink(from.as_bytes(), &to).await,
        Asked::Chmod => set(SetAttributes { mode: Some(0o600), ..none }).await,
        Asked::Truncate => set(SetAttributes { size: Some(0), ..none }).await,
        Asked::Space => client.space(&from).await.map(drop),
        Asked::RenameSymlink | Asked::Replace | Asked::Chown | Asked::Chtimes => {
            unreachable!("not in the table")
        }
    };
    done.err().map(|error| error.kind())
}

fn fill(world: &World) {
    // The session holds the directory itself.
    for entry in std::fs::read_dir(world.home()).unwrap() {
        let path = entry.unwrap().path();
        let is_dir = path.symlink_metadata().unwrap().is_dir();
        let removed =
            if is_dir { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        removed.unwrap();
    }
    for dir in ["in/dir", "out", "secret"] {
        std::fs::create_dir_all(world.home().join(dir)).unwrap();
    }
    for file in ["f", "in/f", "in/x.exe", "out/f", "secret/f"] {
        std::fs::write(world.home().join(file), "content").unwrap();
    }
}

#[test]
fn the_tester_says_what_a_session_does() {
    run(async {
        let permission_sets = [
            json!({"/": ["*"]}),
            json!({"/": ["list", "download"]}),
            json!({"/": ["list", "upload", "create_dirs"], "/in": ["*"]}),
            json!({"/": ["*"], "/in": ["list", "upload", "overwrite"], "/out": []}),
            json!({"/": ["list", "rename_files", "delete_dirs", "copy", "chmod"]}),
            json!({"/": ["list", "delete", "create_symlinks"], "/in": ["list", "rename"]}),
        ];
        let filters = json!({"file_patterns": [
            {"path": "/", "denied_patterns": ["*.exe"], "deny_policy": 0},
            {"path": "/secret", "denied_patterns": ["*"], "deny_policy": 1},
        ]});
        let files = ["/f", "/in/f", "/in/x.exe", "/out/f", "/secret/f"];
        let dirs = ["/in/dir", "/out", "/in"];
        let (mut allowed, mut denied) = (0, 0);
        for permissions in permission_sets {
            let world = World::new(options());
            let changes = json!({"permissions": permissions, "filters": filters.clone()});
            let user = Arc::new(world.user(changes.clone()));
            let tester = Explainer::of(user, TrackQuota::Always).unwrap();
            let client = world.login(changes).await;
            let cases = Asked::ALL.iter().flat_map(|asked| {
                let paths: &[&str] = match asked {
                    Asked::List | Asked::DeleteDir | Asked::RenameDir => &dirs,
                    Asked::Upload => &["/new", "/in/new", "/out/new.exe", "/secret/new"],
                    Asked::CreateDir => &["/new", "/in/new", "/in/new.exe"],
                    Asked::Space => &["/in", "/out"],
                    Asked::RenameSymlink | Asked::Replace | Asked::Chown | Asked::Chtimes => &[],
                    _ => &files,
                };
                paths.iter().map(move |path| (*asked, *path))
            });
            for (asked, path) in cases {
                for target in ["/to", "/in/to", "/out/to.exe"] {
                    fill(&world);
                    let told = tester.denied(asked, &at(path), Some(&at(target)));
                    let did = really(&client, asked, path, target).await;
                    let case = format!("{asked:?} {path} {target} {permissions} {filters}");
                    match &told {
                        // What is allowed may fail for another reason, but not for that.
                        None => {
                            let refused = Some(ErrorKind::PermissionDenied);
                            assert_ne!(did, refused, "{case}");
                            assert_ne!(did, Some(ErrorKind::NotFound), "{case}");
                            allowed += 1;
                        }
                        Some((_, refusal)) => {
                            let want = match refusal.looks_absent {
                                true => ErrorKind::NotFound,
                                false => ErrorKind::PermissionDenied,
                            };
                            // These look for what is there before they decide, so one
                            // refusal may come before the other.
                            let looks_first = asked.has_target() || asked == Asked::Overwrite;
                            let other = [ErrorKind::NotFound, ErrorKind::PermissionDenied];
                            let fits = did == Some(want)
                                || looks_first && did.is_some_and(|did| other.contains(&did));
                            assert!(fits, "{case}: {told:?}, but {did:?}");
                            denied += 1;
                        }
                    }
                    if !asked.has_target() {
                        break;
                    }
                }
            }
        }
        assert!(allowed > 100 && denied > 100, "{allowed} allowed, {denied} denied");
    });
}
