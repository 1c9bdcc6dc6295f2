//! What an account may do: pure decisions, no I/O.
//!
//! The permissions of the directory that holds an object decide about the
//! object; for listing it is the directory itself. The path asked for counts,
//! not what a link leads to. Names must pass the account's filters as well, and
//! [`super::screen`] sees to it that no link leads around these.

use std::sync::Arc;

use super::patterns::{Named, Patterns};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Permission::{
    Chmod, Chown, Chtimes, Copy, CreateDirs, CreateSymlinks, Delete, DeleteDirs, DeleteFiles,
    Download, List, Overwrite, Rename, RenameDirs, RenameFiles, Upload,
};
use crate::model::{Permission, PermissionSet, Permissions, User};
use crate::paths::VirtualPath;

/// What is renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renamed {
    File,
    Directory,
    Symlink,
}

/// Something that a client asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation<'p> {
    List(&'p VirtualPath),
    /// Metadata of an object, or what a link says.
    Stat(&'p VirtualPath),
    Space(&'p VirtualPath),
    Download(&'p VirtualPath),
    CreateFile(&'p VirtualPath),
    /// Writing to a file that exists: truncate, append, resume.
    OverwriteFile(&'p VirtualPath),
    CreateDir(&'p VirtualPath),
    RemoveFile(&'p VirtualPath),
    RemoveDir(&'p VirtualPath),
    Rename(Renamed, &'p VirtualPath, &'p VirtualPath),
    /// A rename or copy whose target exists, in addition to [`Operation::Rename`] or
    /// [`Operation::Copy`].
    ReplaceByRename(&'p VirtualPath),
    /// One file, link or directory, without what a directory holds.
    Copy(&'p VirtualPath, &'p VirtualPath),
    Symlink {
        target: &'p VirtualPath,
        link: &'p VirtualPath,
    },
    Chmod(&'p VirtualPath),
    Chown(&'p VirtualPath),
    Chtimes(&'p VirtualPath),
    Truncate(&'p VirtualPath),
}

/// What one account may do.
#[derive(Debug)]
pub(super) struct Policy {
    user: Arc<User>,
    patterns: Arc<Patterns>,
}

impl Policy {
    /// # Errors
    /// `InvalidInput` for a stored filter on names that is none.
    pub(super) fn of(user: Arc<User>) -> Result<Self> {
        let patterns = Arc::new(Patterns::compile(&user.filters)?);
        Ok(Self { user, patterns })
    }

    /// Allows the operation or says why not: both of the following.
    pub(super) fn decide(&self, operation: Operation<'_>) -> Result<()> {
        self.decide_permissions(operation)?;
        self.decide_names(operation)
    }

    /// The permissions allow the operation, or this says why not, as
    /// `PermissionDenied`. Who lacks the permission is not told which it is.
    pub(super) fn decide_permissions(&self, operation: Operation<'_>) -> Result<()> {
        decide(&self.user.permissions, operation)
    }

    /// The filters on names allow the operation, or this says why not:
    /// `PermissionDenied`, and `NotFound` for what is hidden.
    pub(super) fn decide_names(&self, operation: Operation<'_>) -> Result<()> {
        decide_names(&self.patterns, operation)
    }

    /// Whose policy it is.
    pub(super) fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// The filters on names.
    pub(super) fn patterns(&self) -> &Arc<Patterns> {
        &self.patterns
    }
}

/// The part of the filters on names. Denied is whatever gives the object another
/// content, name or place, or takes its content; a name that is not hidden can be
/// seen.
fn decide_names(patterns: &Patterns, operation: Operation<'_>) -> Result<()> {
    if patterns.is_empty() {
        return Ok(());
    }
    match operation {
        Operation::List(path) | Operation::Stat(path) | Operation::Space(path) => {
            patterns.require_visible(path)
        }
        Operation::Download(path)
        | Operation::CreateFile(path)
        | Operation::OverwriteFile(path)
        | Operation::RemoveFile(path)
        | Operation::Truncate(path)
        | Operation::ReplaceByRename(path) => patterns.require_allowed(path, Named::File),
        Operation::CreateDir(path)
        | Operation::RemoveDir(path)
        | Operation::Chmod(path)
        | Operation::Chown(path)
        | Operation::Chtimes(path) => patterns.require_allowed(path, Named::Object),
        // What it is was looked up by its name, and may be another thing by now.
        Operation::Rename(what, from, to) => {
            patterns.require_allowed(from, Named::File)?;
            patterns.require_allowed(to, Named::File)?;
            match what {
                Renamed::Directory => patterns.require_same_inside(from, to),
                Renamed::File | Renamed::Symlink => Ok(()),
            }
        }
        Operation::Copy(from, to) => {
            patterns.require_allowed(from, Named::Object)?;
            patterns.require_allowed(to, Named::Object)
        }
        Operation::Symlink { target, link } => {
            patterns.require_allowed(link, Named::Object)?;
            patterns.require_allowed(target, Named::Object)
        }
    }
}

/// The part of the permissions: allows the operation or says why not, as
/// `PermissionDenied`.
fn decide(permissions: &Permissions, operation: Operation<'_>) -> Result<()> {
    let rule = Rule { permissions };
    match operation {
        Operation::List(dir) | Operation::Space(dir) => rule.require(List, dir),
        Operation::Stat(path) if path.is_root() => Ok(()),
        Operation::Stat(path) => rule.require(List, &path.parent()),
        Operation::Download(path) => rule.require(Download, &path.parent()),
        Operation::CreateFile(path) => rule.require(Upload, &path.parent()),
        Operation::OverwriteFile(path) => {
            rule.require(Upload, &path.parent())?;
            rule.require(Overwrite, &path.parent())
        }
        Operation::CreateDir(path) => rule.require(CreateDirs, &path.parent()),
        Operation::RemoveFile(path) => {
            refuse_root(path)?;
            rule.require_any(&[Delete, DeleteFiles], &path.parent())
        }
        Operation::RemoveDir(path) => {
            refuse_root(path)?;
            rule.require_any(&[Delete, DeleteDirs], &path.parent())
        }
        Operation::Rename(what, from, to) => {
            refuse_root(from)?;
            refuse_root(to)?;
            rule.rename(what, from, to)
        }
        Operation::ReplaceByRename(to) => rule.require(Overwrite, &to.parent()),
        Operation::Copy(from, to) => {
            rule.require(Copy, &from.parent())?;
            rule.require(Copy, &to.parent())
        }
        Operation::Symlink { target, link } => {
            rule.require(CreateSymlinks, &link.parent())?;
            rule.require(CreateSymlinks, &target.parent())?;
            // By the link, what is inside the target would get the rules of another path.
            rule.require_within(target, |set| set.grants(CreateSymlinks))
        }
        Operation::Chmod(path) => rule.require(Chmod, &path.parent()),
        Operation::Chown(path) => rule.require(Chown, &path.parent()),
        Operation::Chtimes(path) => rule.require(Chtimes, &path.parent()),
        Operation::Truncate(path) => rule.require(Overwrite, &path.parent()),
    }
}

fn refuse_root(path: &VirtualPath) -> Result<()> {
    if path.is_root() {
        return Err(denied("the root directory cannot be removed or renamed".to_owned()));
    }
    Ok(())
}

fn denied(context: String) -> Error {
    Error::new(ErrorKind::PermissionDenied, context)
}

struct Rule<'p> {
    permissions: &'p Permissions,
}

impl Rule<'_> {
    fn require(&self, permission: Permission, dir: &VirtualPath) -> Result<()> {
        self.require_any(&[permission], dir)
    }

    fn require_any(&self, permissions: &[Permission], dir: &VirtualPath) -> Result<()> {
        if self.permissions.at(dir).grants_any(permissions) {
            return Ok(());
        }
        let names: Vec<_> = permissions.iter().map(|permission| permission.as_str()).collect();
        Err(denied(format!("permission {} is missing on {dir}", names.join(" or "))))
    }

    /// Renaming is a right of its own, or removing here and making there.
    fn rename(&self, what: Renamed, from: &VirtualPath, to: &VirtualPath) -> Result<()> {
        let (source, target) =
            (self.permissions.at(&from.parent()), self.permissions.at(&to.parent()));
        let (rename, delete, create) = match what {
            Renamed::File => ([Rename, RenameFiles], [Delete, DeleteFiles], Upload),
            Renamed::Symlink => ([Rename, RenameFiles], [Delete, DeleteFiles], CreateSymlinks),
            Renamed::Directory => ([Rename, RenameDirs], [Delete, DeleteDirs], CreateDirs),
        };
        let may_rename = source.grants_any(&rename) && target.grants_any(&rename);
        let may_replace = source.grants_any(&delete) && target.grants(create);
        if !may_rename && !may_replace {
            return Err(denied(format!("{from} may not be renamed to {to}")));
        }
        if what == Renamed::Directory {
            // Entries are bound to paths: a renamed directory would leave its own behind,
            // or bring what it holds under those of another.
            let grants = |set: PermissionSet| {
                set.grants(Rename) || set.grants_all(&[RenameFiles, RenameDirs])
            };
            self.require_within(from, grants)?;
            self.require_within(to, grants)?;
        }
        Ok(())
    }

    /// Every entry for `dir` itself and for what is inside must grant it.
    fn require_within(
        &self,
        dir: &VirtualPath,
        grants: impl Fn(PermissionSet) -> bool,
    ) -> Result<()> {
        match self.permissions.within(dir).find(|(_, set)| !grants(*set)) {
            None => Ok(()),
            Some((path, _)) => Err(denied(format!(
                "{dir} must keep its name, and have no other: {path} has its own permissions"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> VirtualPath {
        VirtualPath::new(text)
    }

    /// The permissions of `/`, separated by spaces; `dir:` starts another entry.
    fn permissions(text: &str) -> Permissions {
        let mut out = Permissions::default();
        let (mut dir, mut list) = ("/".to_owned(), Vec::new());
        for word in text.split_whitespace() {
            match word.strip_suffix(':') {
                Some(next) => {
                    out.set(std::mem::replace(&mut dir, next.to_owned()), std::mem::take(&mut list))
                }
                None => list.push(Permission::from_name(word).unwrap()),
            }
        }
        out.set(dir, list);
        out
    }

    #[test]
    fn each_operation_needs_its_permissions() {
        let (f, g, root) = (path("/d/f"), path("/d/g"), path("/"));
        use Operation as O;
        use Renamed as R;
        let table: &[(&str, O<'_>, bool)] = &[
            ("list", O::List(&f), true),
            ("download upload", O::List(&f), false),
            ("list", O::Stat(&f), true),
            ("download", O::Stat(&f), false),
            ("", O::Stat(&root), true),
            ("list", O::Space(&f), true),
            ("download", O::Space(&f), false),
            ("download", O::Download(&f), true),
            ("list upload", O::Download(&f), false),
            ("upload", O::CreateFile(&f), true),
            ("overwrite", O::CreateFile(&f), false),
            ("upload overwrite", O::OverwriteFile(&f), true),
            ("upload", O::OverwriteFile(&f), false),
            ("overwrite", O::OverwriteFile(&f), false),
            ("create_dirs", O::CreateDir(&f), true),
            ("upload", O::CreateDir(&f), false),
            ("delete", O::RemoveFile(&f), true),
            ("delete_files", O::RemoveFile(&f), true),
            ("delete_dirs", O::RemoveFile(&f), false),
            ("delete", O::RemoveDir(&f), true),
            ("delete_dirs", O::RemoveDir(&f), true),
            ("delete_files", O::RemoveDir(&f), false),
            ("*", O::RemoveDir(&root), false),
            ("*", O::RemoveFile(&root), false),
            ("rename", O::Rename(R::File, &f, &g), true),
            ("rename_files", O::Rename(R::File, &f, &g), true),
            ("rename_dirs", O::Rename(R::File, &f, &g), false),
            ("delete upload", O::Rename(R::File, &f, &g), true),
            ("delete_files upload", O::Rename(R::File, &f, &g), true),
            ("delete_dirs upload", O::Rename(R::File, &f, &g), false),
            ("delete create_dirs", O::Rename(R::File, &f, &g), false),
            ("rename", O::Rename(R::Directory, &f, &g), true),
            ("rename_dirs", O::Rename(R::Directory, &f, &g), true),
            ("rename_files", O::Rename(R::Directory, &f, &g), false),
            ("delete create_dirs", O::Rename(R::Directory, &f, &g), true),
            ("delete_dirs create_dirs", O::Rename(R::Directory, &f, &g), true),
            ("delete upload", O::Rename(R::Directory, &f, &g), false),
            ("rename", O::Rename(R::Symlink, &f, &g), true),
            ("rename_files", O::Rename(R::Symlink, &f, &g), true),
            ("delete create_symlinks", O::Rename(R::Symlink, &f, &g), true),
            ("delete upload", O::Rename(R::Symlink, &f, &g), false),
            ("*", O::Rename(R::Directory, &root, &g), false),
            ("*", O::Rename(R::File, &f, &root), false),
            ("overwrite", O::ReplaceByRename(&g), true),
            ("rename", O::ReplaceByRename(&g), false),
            ("copy", O::Copy(&f, &g), true),
            ("download upload create_dirs rename", O::Copy(&f, &g), false),
            ("create_symlinks", O::Symlink { target: &f, link: &g }, true),
            ("upload", O::Symlink { target: &f, link: &g }, false),
            ("chmod", O::Chmod(&f), true),
            ("chown chtimes", O::Chmod(&f), false),
            ("chown", O::Chown(&f), true),
            ("chmod chtimes", O::Chown(&f), false),
            ("chtimes", O::Chtimes(&f), true),
            ("chmod chown", O::Chtimes(&f), false),
            ("overwrite", O::Truncate(&f), true),
            ("upload", O::Truncate(&f), false),
        ];
        for (given, operation, want) in table {
            let got = decide(&permissions(given), *operation);
            assert_eq!(got.is_ok(), *want, "{operation:?} with {given:?}");
            if let Err(error) = got {
                assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            }
            let everything = decide(&permissions("*"), *operation).is_ok();
            assert!(everything || !want, "{operation:?} with everything");
        }
    }

    #[test]
    fn the_parent_decides_about_an_object_and_entries_replace_each_other() {
        use Operation as O;
        let rules = permissions("* /in: upload list /in/closed: /out: download list");
        let table: &[(O<'_>, bool)] = &[
            (O::List(&path("/in")), true),
            (O::Stat(&path("/in")), true),
            (O::CreateFile(&path("/in/x")), true),
            (O::CreateFile(&path("/in/deep/x")), true),
            (O::OverwriteFile(&path("/in/x")), false),
            (O::Download(&path("/in/x")), false),
            (O::RemoveDir(&path("/in")), true),
            (O::List(&path("/in/closed")), false),
            (O::Stat(&path("/in/closed")), true),
            (O::Stat(&path("/in/closed/x")), false),
            (O::Download(&path("/out/x")), true),
            (O::CreateFile(&path("/out/x")), false),
            (O::CreateFile(&path("/outside")), true),
            (O::Rename(Renamed::File, &path("/a"), &path("/b")), true),
            // Rights are needed on both sides.
            (O::Rename(Renamed::File, &path("/a"), &path("/in/a")), true),
            (O::Rename(Renamed::File, &path("/in/a"), &path("/a")), false),
            (O::Rename(Renamed::File, &path("/a"), &path("/out/a")), false),
            (O::Copy(&path("/a"), &path("/b")), true),
            (O::Copy(&path("/a"), &path("/in/a")), false),
            (O::Copy(&path("/out/a"), &path("/a")), false),
            (O::Symlink { target: &path("/a"), link: &path("/in/l") }, false),
            (O::Symlink { target: &path("/in/a"), link: &path("/l") }, false),
            (O::Symlink { target: &path("/a"), link: &path("/l") }, true),
        ];
        for (operation, want) in table {
            assert_eq!(decide(&rules, *operation).is_ok(), *want, "{operation:?}");
        }
    }

    /// One permission after the other, all pairs of them, and everything.
    fn sets() -> Vec<Vec<Permission>> {
        let all = Permission::ALL;
        let pairs = all.iter().flat_map(|one| all.iter().map(move |other| vec![*one, *other]));
        std::iter::once(Vec::new()).chain(pairs).collect()
    }

    fn has(set: &[Permission], wanted: Permission) -> bool {
        set.contains(&wanted) || set.contains(&Permission::Any)
    }

    #[test]
    fn no_other_permission_will_do() {
        use Operation as O;
        let (dir, f) = (path("/d"), path("/d/f"));
        // Each list of permissions is enough; nothing else is.
        let table: &[(O<'_>, &[&[Permission]])] = &[
            (O::List(&dir), &[&[List]]),
            (O::Space(&dir), &[&[List]]),
            (O::Stat(&f), &[&[List]]),
            (O::Download(&f), &[&[Download]]),
            (O::CreateFile(&f), &[&[Upload]]),
            (O::OverwriteFile(&f), &[&[Upload, Overwrite]]),
            (O::Truncate(&f), &[&[Overwrite]]),
            (O::CreateDir(&f), &[&[CreateDirs]]),
            (O::RemoveFile(&f), &[&[Delete], &[DeleteFiles]]),
            (O::RemoveDir(&f), &[&[Delete], &[DeleteDirs]]),
            (O::ReplaceByRename(&f), &[&[Overwrite]]),
            (O::Chmod(&f), &[&[Chmod]]),
            (O::Chown(&f), &[&[Chown]]),
            (O::Chtimes(&f), &[&[Chtimes]]),
        ];
        for set in sets() {
            // Rights elsewhere are of no use.
            let mut rules = Permissions::on_root([Permission::Any]);
            rules.set("/d", set.iter().copied());
            rules.set("/d/f/below", [Permission::Any]);
            for (operation, enough) in table {
                let want = enough.iter().any(|all| all.iter().all(|one| has(&set, *one)));
                let got = decide(&rules, *operation);
                assert_eq!(got.is_ok(), want, "{operation:?} with {set:?}");
            }
        }
    }

    #[test]
    fn both_directories_must_grant_their_part() {
        use Operation as O;
        use Renamed as R;
        let (from, to) = (path("/from/f"), path("/to/f"));
        // (operation, pairs of which one is enough: on the source, on the target)
        type Pairs<'p> = &'p [(&'p [Permission], &'p [Permission])];
        let table: &[(O<'_>, Pairs<'_>)] = &[
            (
                O::Rename(R::File, &from, &to),
                &[
                    (&[Rename, RenameFiles], &[Rename, RenameFiles]),
                    (&[Delete, DeleteFiles], &[Upload]),
                ],
            ),
            (
                O::Rename(R::Symlink, &from, &to),
                &[
                    (&[Rename, RenameFiles], &[Rename, RenameFiles]),
                    (&[Delete, DeleteFiles], &[CreateSymlinks]),
                ],
            ),
            (
                O::Rename(R::Directory, &from, &to),
                &[
                    (&[Rename, RenameDirs], &[Rename, RenameDirs]),
                    (&[Delete, DeleteDirs], &[CreateDirs]),
                ],
            ),
            (O::Copy(&from, &to), &[(&[Copy], &[Copy])]),
            (O::Symlink { target: &from, link: &to }, &[(&[CreateSymlinks], &[CreateSymlinks])]),
        ];
        let any =
            |set: &[Permission], wanted: &[Permission]| wanted.iter().any(|one| has(set, *one));
        let single = || std::iter::once(vec![]).chain(Permission::ALL.map(|one| vec![one]));
        for source in single() {
            for target in single() {
                let mut rules = Permissions::on_root([Permission::Any]);
                rules.set("/from", source.iter().copied());
                rules.set("/to", target.iter().copied());
                for (operation, pairs) in table {
                    let want = pairs.iter().any(|(s, t)| any(&source, s) && any(&target, t));
                    let got = decide(&rules, *operation);
                    assert_eq!(got.is_ok(), want, "{operation:?}: {source:?} and {target:?}");
                }
            }
        }
    }

    #[test]
    fn no_link_gives_rules_inside_its_target_the_slip() {
        let table = [
            ("*", "/d", true),
            ("* /d/sub: list", "/d", false),
            ("* /d/sub: list", "/", false),
            ("* /d: list", "/d", false),
            ("* /d: create_symlinks", "/d", true),
            ("* /d/sub: list", "/e", true),
            ("* /dd: list", "/d", true),
        ];
        for (given, target, want) in table {
            let (target, link) = (path(target), path("/l"));
            let got =
                decide(&permissions(given), Operation::Symlink { target: &target, link: &link });
            assert_eq!(got.is_ok(), want, "{given}: link to {target}");
        }
    }

    fn policy(given: &str, filters: serde_json::Value) -> Policy {
        let mut user = User { permissions: permissions(given), ..User::default() };
        user.filters = serde_json::from_value(filters).unwrap();
        user.filters.normalise().unwrap();
        Policy::of(Arc::new(user)).unwrap()
    }

    #[test]
    fn denied_names_are_seen_and_hidden_ones_are_not() {
        use ErrorKind::{NotFound, PermissionDenied};
        use Operation as O;
        use Renamed as R;
        let rules = policy(
            "* /closed:",
            serde_json::json!({"file_patterns": [
                {"path": "/", "denied_patterns": ["no*"]},
                {"path": "/dark", "denied_patterns": ["no*"], "deny_policy": 1},
            ]}),
        );
        let [yes, no, other] = ["/yes", "/no", "/other"].map(path);
        let [dark, dark_no, deep] = ["/dark/yes", "/dark/no", "/dark/no/yes"].map(path);
        let (closed_no, moved) = (path("/closed/no"), path("/moved"));
        let (allowed, denied, hidden) = (None, Some(PermissionDenied), Some(NotFound));
        let check = |operation: O<'_>, want: Option<ErrorKind>| {
            let got = rules.decide(operation).err().map(|error| error.kind());
            assert_eq!(got, want, "{operation:?}");
        };
        for (at, seen, changed) in [
            (&yes, allowed, allowed),
            (&no, allowed, denied),
            (&dark, allowed, allowed),
            (&dark_no, hidden, hidden),
            (&deep, hidden, hidden),
            // What may not be done anyway does not tell what is hidden.
            (&closed_no, denied, denied),
        ] {
            for operation in [O::List(at), O::Stat(at), O::Space(at)] {
                check(operation, seen);
            }
            for operation in [
                O::Download(at),
                O::CreateFile(at),
                O::OverwriteFile(at),
                O::CreateDir(at),
                O::RemoveFile(at),
                O::RemoveDir(at),
                O::ReplaceByRename(at),
                O::Chmod(at),
                O::Chown(at),
                O::Chtimes(at),
                O::Truncate(at),
            ] {
                check(operation, changed);
            }
        }
        for what in [R::File, R::Symlink, R::Directory] {
            check(O::Rename(what, &yes, &other), allowed);
            for (from, to, want) in [
                (&no, &yes, denied),
                (&yes, &no, denied),
                (&dark_no, &yes, hidden),
                (&yes, &dark_no, hidden),
                (&yes, &deep, hidden),
            ] {
                check(O::Rename(what, from, to), want);
            }
        }
        // A file moves between filters by its name; a directory would take names along.
        check(O::Rename(R::File, &dark, &moved), allowed);
        check(O::Rename(R::Directory, &dark, &moved), denied);
        check(O::Rename(R::Directory, &moved, &dark), denied);
        check(O::Rename(R::Directory, &path("/dark"), &moved), denied);
        for (from, to, want) in [
            (&yes, &other, allowed),
            (&no, &yes, denied),
            (&yes, &no, denied),
            (&dark_no, &yes, hidden),
            (&yes, &deep, hidden),
        ] {
            check(O::Copy(from, to), want);
        }
        for (target, link, want) in [
            (&yes, &other, allowed),
            (&no, &yes, denied),
            (&yes, &no, denied),
            (&dark_no, &yes, hidden),
            (&yes, &dark_no, hidden),
        ] {
            check(O::Symlink { target, link }, want);
        }
    }

    #[test]
    fn filters_by_extension_are_for_files() {
        use Operation as O;
        let filters = serde_json::json!({"file_extensions": [
            {"path": "/", "allowed_extensions": [".txt"]},
        ]});
        let rules = policy("*", filters);
        let (dir, text, other) = (path("/dir"), path("/a.txt"), path("/a.zip"));
        let table = [
            (O::CreateDir(&dir), true),
            (O::RemoveDir(&dir), true),
            (O::List(&dir), true),
            (O::Chmod(&dir), true),
            (O::Stat(&other), true),
            (O::CreateFile(&text), true),
            (O::CreateFile(&other), false),
            (O::Download(&other), false),
            (O::OverwriteFile(&other), false),
            (O::Truncate(&other), false),
            (O::RemoveFile(&other), false),
            (O::Rename(Renamed::File, &text, &other), false),
            (O::Rename(Renamed::File, &other, &text), false),
            // What is called a directory now can be a file a moment later.
            (O::Rename(Renamed::Directory, &dir, &other), false),
        ];
        for (operation, want) in table {
            assert_eq!(rules.decide(operation).is_ok(), want, "{operation:?}");
        }
    }

    #[test]
    fn a_directory_with_rules_inside_is_renamed_only_if_all_of_them_grant_it() {
        let table = [
            ("*", true),
            ("* /d/sub: list", false),
            ("* /d: list", false),
            ("* /d/sub: rename", true),
            ("* /d/sub: rename_files rename_dirs", true),
            ("* /d/sub: rename_dirs", false),
            ("* /d/sub: rename /d/other: list", false),
            ("* /dd: list", true),
            // The same for the place it goes to.
            ("* /e: list", false),
            ("* /e/sub: list", false),
            ("* /e/sub: rename", true),
        ];
        for (given, want) in table {
            let rules = permissions(given);
            let rename = |what| decide(&rules, Operation::Rename(what, &path("/d"), &path("/e")));
            assert_eq!(rename(Renamed::Directory).is_ok(), want, "{given}");
            assert!(rename(Renamed::File).is_ok(), "{given}: only directories have an inside");
        }
    }
}
