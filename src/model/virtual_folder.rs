//! Where folders are mounted in the tree of an account or of the members of a group.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::folder::Folder;
use super::rules::{MAX_NAME_LEN, NamingRules, Rules};
use super::text::clean_absolute_path;
use crate::error::{Error, Result};
use crate::paths::VirtualPath;

/// A folder mounted into an account.
///
/// What is written refers to a folder by its name. A folder that does not exist is
/// made from the definition that comes with it; one that does stays as it is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(from = "Form")]
pub struct VirtualFolder {
    #[serde(flatten)]
    pub folder: Folder,
    /// Where it is mounted: absolute virtual path.
    pub virtual_path: String,
    /// Bytes; 0 unlimited, -1 counted in the user's quota.
    pub quota_size: i64,
    /// Files; 0 unlimited, -1 counted in the user's quota.
    pub quota_files: i64,
}

/// As it is read: the oldest form has only `virtual_path` and `mapped_path`, and
/// counts in the user's quota.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Form {
    #[serde(flatten)]
    folder: Folder,
    virtual_path: String,
    quota_size: Option<i64>,
    quota_files: Option<i64>,
}

impl From<Form> for VirtualFolder {
    fn from(form: Form) -> Self {
        let has_quota = form.quota_size.is_some() || form.quota_files.is_some();
        let absent = if form.folder.name.is_empty() && !has_quota { -1 } else { 0 };
        Self {
            folder: form.folder,
            virtual_path: form.virtual_path,
            quota_size: form.quota_size.unwrap_or(absent),
            quota_files: form.quota_files.unwrap_or(absent),
        }
    }
}

/// Most folders in one account or group: an access looks through them.
const MAX_MOUNTS: usize = 1000;

/// Longest mount point, in bytes: what the key of a table can hold.
const MAX_VIRTUAL_PATH_LEN: usize = 512;

impl VirtualFolder {
    /// True if what it stores counts in the quota of who has it mounted.
    pub fn is_private(&self) -> bool {
        self.quota_size == -1
    }

    pub fn mount_point(&self) -> VirtualPath {
        VirtualPath::new(&self.virtual_path)
    }

    /// Keeps and validates the definition of a folder that is new, and drops that of
    /// one that exists: who reads an account and writes it back changes no folder.
    pub fn settle(&mut self, exists: bool, rules: &Rules) -> Result<()> {
        if self.folder.is_defined() && !exists {
            return self.folder.normalise(rules).map_err(|error| error.wrap("virtual_folders"));
        }
        let name = std::mem::take(&mut self.folder.name);
        self.folder = Folder { name, ..Folder::default() };
        Ok(())
    }

    fn normalise(&mut self, rules: &Rules) -> Result<()> {
        let folder = &mut self.folder;
        if folder.name.is_empty() && !folder.mapped_path.is_empty() {
            let path = clean_absolute_path(&folder.mapped_path)
                .map_err(|error| error.wrap("mapped_path"))?;
            folder.name = name_for_path(&path, rules.naming);
        }
        folder.name = rules.naming.apply(&folder.name).map_err(|error| error.wrap("name"))?;
        self.virtual_path =
            clean_virtual_path(&self.virtual_path).map_err(|error| error.wrap("virtual_path"))?;
        match (self.quota_size, self.quota_files) {
            (-1, -1) | (0.., 0..) => Ok(()),
            (size, files) => Err(Error::invalid(format!(
                "quota_size and quota_files: {size} and {files} are neither both -1 nor both from 0"
            ))),
        }
    }
}

fn clean_virtual_path(path: &str) -> Result<String> {
    if !path.starts_with('/') {
        return Err(Error::invalid(format!("{path:?} is not an absolute path")));
    }
    if path.chars().any(char::is_control) {
        return Err(Error::invalid(format!("{path:?} contains a control character")));
    }
    let clean = VirtualPath::new(path).to_string_lossy().into_owned();
    if clean.len() > MAX_VIRTUAL_PATH_LEN {
        return Err(Error::invalid(format!("is longer than {MAX_VIRTUAL_PATH_LEN} bytes")));
    }
    Ok(clean)
}

/// Validates the mounts of one account or group and sorts them by their mount
/// points. None may be inside another; only what is mounted on `/`, instead of the
/// home, may have others below it.
pub(super) fn normalise_mounts(mounts: &mut [VirtualFolder], rules: &Rules) -> Result<()> {
    if mounts.len() > MAX_MOUNTS {
        return Err(Error::invalid(format!("more than {MAX_MOUNTS} folders")));
    }
    for (index, mount) in mounts.iter_mut().enumerate() {
        mount.normalise(rules).map_err(|error| error.wrap(format!("[{index}]")))?;
    }
    mounts.sort_by(|a, b| a.virtual_path.cmp(&b.virtual_path));
    let mut points = BTreeSet::new();
    for mount in mounts.iter() {
        if !points.insert(mount.mount_point()) {
            let path = &mount.virtual_path;
            return Err(Error::invalid(format!("virtual_path {path:?} is given twice")));
        }
    }
    for point in &points {
        let mut above = point.parent();
        while !above.is_root() {
            if points.contains(&above) {
                let (inner, outer) = (point.to_string_lossy(), above.to_string_lossy());
                return Err(Error::invalid(format!("virtual_path {inner:?} is inside {outer:?}")));
            }
            above = above.parent();
        }
    }
    Ok(())
}

/// Whether two mount points cannot be in one tree.
pub(super) fn clash(a: &VirtualPath, b: &VirtualPath) -> bool {
    a == b || (!a.is_root() && !b.is_root() && (a.starts_with(b) || b.starts_with(a)))
}

/// The name of a folder that is known only by its path, as in dumps of older
/// versions: the path with `-` for `/`, and part of a hash where that could also be
/// another path. The same path always has the same name.
pub fn name_for_path(path: &str, naming: NamingRules) -> String {
    let readable: String = path
        .trim_matches('/')
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._~-".contains(c) { c } else { '-' })
        .collect();
    let name = naming.canonical(&readable);
    let is_unique = format!("/{}", name.replace('-', "/")) == path && name.len() <= MAX_NAME_LEN;
    if is_unique && naming.apply(&name).is_ok() {
        return name;
    }
    const HASH_BYTES: usize = 4;
    let hash: String =
        Sha256::digest(path).iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let kept: String = name.chars().take(MAX_NAME_LEN - 2 * HASH_BYTES - 1).collect();
    format!("{kept}-{hash}").trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(json: serde_json::Value) -> Vec<VirtualFolder> {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn mounts_are_cleaned_and_sorted() {
        let mut list = mounts(serde_json::json!([
            {"name": " b ", "virtual_path": "/z/../b//", "quota_size": -1, "quota_files": -1},
            {"name": "b", "virtual_path": "/ab", "quota_size": 0, "quota_files": 7},
            {"name": "all", "virtual_path": "/"},
            {"mapped_path": "/srv//old/", "virtual_path": "/c"},
        ]));
        normalise_mounts(&mut list, &Rules::default()).unwrap();
        let got: Vec<_> = list
            .iter()
            .map(|m| (m.virtual_path.as_str(), m.folder.name.as_str(), m.quota_size, m.quota_files))
            .collect();
        let want = [
            ("/", "all", 0, 0),
            ("/ab", "b", 0, 7),
            ("/b", "b", -1, -1),
            ("/c", "srv-old", -1, -1),
        ];
        assert_eq!(got, want);
        let mut again = list.clone();
        normalise_mounts(&mut again, &Rules::default()).unwrap();
        assert_eq!(again, list);
    }

    #[test]
    fn mounts_that_cannot_be_are_refused() {
        use serde_json::json;
        let table = [
            (json!([{"virtual_path": "/a"}]), "[0]: name: "),
            (json!([{"name": "a/b", "virtual_path": "/a"}]), "[0]: name: "),
            (json!([{"mapped_path": "srv", "virtual_path": "/a"}]), "[0]: mapped_path: "),
            (json!([{"name": "a"}]), "[0]: virtual_path: "),
            (json!([{"name": "a", "virtual_path": "a"}]), "[0]: virtual_path: "),
            (json!([{"name": "a", "virtual_path": "/a\n"}]), "[0]: virtual_path: "),
            (json!([{"name": "a", "virtual_path": "/".repeat(2) + &"a".repeat(512)}]), "512 bytes"),
            (json!([{"name": "a", "virtual_path": "/a", "quota_size": -1}]), "neither both"),
            (
                json!([{"name": "a", "virtual_path": "/a", "quota_size": -2, "quota_files": -2}]),
                "neither both",
            ),
            (
                json!([{"name": "a", "virtual_path": "/a"}, {"name": "b", "virtual_path": "/x/../a"}]),
                "\"/a\" is given twice",
            ),
            (
                json!([{"name": "a", "virtual_path": "/a/b"}, {"name": "b", "virtual_path": "/a"}]),
                "\"/a/b\" is inside \"/a\"",
            ),
            (
                json!([{"name": "a", "virtual_path": "/"}, {"name": "b", "virtual_path": "/"}]),
                "\"/\" is given twice",
            ),
        ];
        for (json, part) in table {
            let error = normalise_mounts(&mut mounts(json.clone()), &Rules::default()).unwrap_err();
            assert!(error.to_string().contains(part), "{json}: {error}");
        }
    }

    #[test]
    fn only_the_oldest_form_counts_in_the_users_quota_by_default() {
        let list = mounts(serde_json::json!([
            {"virtual_path": "/a", "mapped_path": "/srv/a"},
            {"virtual_path": "/b", "mapped_path": "/srv/b", "quota_size": 0, "quota_files": 0},
            {"virtual_path": "/c", "name": "c"},
            {"virtual_path": "/d", "name": "d", "quota_size": null, "users": null},
        ]));
        let private: Vec<_> = list.iter().map(VirtualFolder::is_private).collect();
        assert_eq!(private, [true, false, false, false]);
    }

    #[test]
    fn folders_without_a_name_are_named_after_their_path() {
        let naming = NamingRules::default();
        for (path, want) in [("/srv/data", "srv-data"), ("/data", "data"), ("/a.b/c_d", "a.b-c_d")]
        {
            assert_eq!(name_for_path(path, naming), want);
        }
        // What could be two paths is told apart by a hash.
        let long = format!("/{}", "x".repeat(400));
        let paths = ["/", "/srv-data", "/srv/da ta", "/srv/da\u{e4}ta", "/SRV/Data", "/..", &long];
        let mut names = std::collections::BTreeSet::new();
        for path in paths {
            for bits in [0, 7] {
                let naming = NamingRules::from_bits(bits);
                let name = name_for_path(path, naming);
                assert_eq!(naming.apply(&name).unwrap(), name, "{path}");
                assert_eq!(name_for_path(path, naming), name);
                names.insert(name);
            }
        }
        assert!(names.len() >= paths.len(), "{names:?}");
    }
}
