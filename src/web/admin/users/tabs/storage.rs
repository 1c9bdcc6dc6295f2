//! Where the files of a user are.

use super::Fields;
use crate::model::{Folder, User, VirtualFolder};
use crate::web::admin::users::rows::{Filling, Section};
use crate::web::pages::amount;
use crate::web::pages::form::{FieldErrors, Form};

const FOLDERS: Section = Section {
    name: "virtual_folders",
    texts: &["name", "path", "size", "files"],
    choices: &["quota"],
    many: &[],
};

pub const FIELDS: Fields = Fields {
    single: &["home_dir", "start_directory", "uid", "gid", "disable_fs_checks"],
    many: &[],
    sections: &[FOLDERS],
};

pub fn fields(user: &User) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = [
        ("home_dir", user.home_dir.clone()),
        ("start_directory", user.filters.start_directory.clone()),
        ("uid", amount::whole_text(user.uid)),
        ("gid", amount::whole_text(user.gid)),
        ("disable_fs_checks", if user.filters.disable_fs_checks { "1" } else { "" }.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let mut rows = Filling::of(&FOLDERS, &mut fields);
    for mount in &user.virtual_folders {
        let limit = |text: String| if mount.is_private() { String::new() } else { text };
        rows.row(&[
            ("name", mount.folder.name.clone()),
            ("path", mount.virtual_path.clone()),
            ("quota", if mount.is_private() { "user" } else { "own" }.to_owned()),
            ("size", limit(amount::size_text(mount.quota_size))),
            ("files", limit(amount::whole_text(mount.quota_files))),
        ]);
    }
    fields
}

pub fn apply(form: &Form, user: &mut User, errors: &mut FieldErrors) {
    user.home_dir = form.trimmed("home_dir").to_owned();
    user.filters.start_directory = form.trimmed("start_directory").to_owned();
    user.uid = errors.take("uid", amount::whole(form.get("uid")));
    user.gid = errors.take("gid", amount::whole(form.get("gid")));
    user.filters.disable_fs_checks = form.get("disable_fs_checks") == "1";
    let mut mounts = Vec::new();
    for (index, row) in FOLDERS.rows(form).iter().enumerate() {
        let field = |name: &str| format!("virtual_folders.{index}.{name}");
        for (name, told) in [
            ("name", "Enter the name of a folder."),
            ("path", "Enter where it is mounted, such as /shared."),
        ] {
            if row.get(name).is_empty() {
                errors.add(field(name), told);
            }
        }
        let (quota_size, quota_files) = if row.get("quota") == "own" {
            let size = amount::size(row.get("size"), amount::BYTES);
            let files = amount::whole(row.get("files"));
            (errors.take(&field("size"), size), errors.take(&field("files"), files))
        } else {
            (-1, -1)
        };
        // A folder that is mounted already keeps what is known of it.
        let name = row.get("name");
        let known = user.virtual_folders.iter().find(|mount| mount.folder.name == name);
        let folder = known.map(|mount| mount.folder.clone());
        mounts.push(VirtualFolder {
            folder: folder.unwrap_or_else(|| Folder { name: name.to_owned(), ..Folder::default() }),
            virtual_path: row.get("path").to_owned(),
            quota_size,
            quota_files,
        });
    }
    user.virtual_folders = mounts;
}
