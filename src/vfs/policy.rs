//! What an account may do: pure decisions, no I/O.
//!
//! The permissions of the directory that holds an object decide about the
//! object; for listing it is the directory itself. The path asked for counts,
//! not what a link leads to.

use crate::error::{Error, ErrorKind, Result};
use crate::model::Permission::{
    Chmod, Chown, Chtimes, Copy, CreateDirs, CreateSymlinks, Delete, DeleteDirs, DeleteFiles,
    Download, List, Overwrite, Rename, RenameDirs, RenameFiles, Upload,
};
use crate::model::{Permission, PermissionSet, Permissions};
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
    /// A rename whose target exists, in addition to [`Operation::Rename`].
    ReplaceByRename(&'p VirtualPath),
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

/// Allows the operation or says why not, as `PermissionDenied`.
pub(super) fn decide(permissions: &Permissions, operation: Operation<'_>) -> Result<()> {
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
        Operation::Copy(from, to) => {
            rule.require(Copy, &from.parent())?;
            rule.require(Copy, &to.parent())
        }
        Operation::ReplaceByRename(to) => rule.require(Overwrite, &to.parent()),
        Operation::Symlink { target, link } => {
            rule.require(CreateSymlinks, &link.parent())?;
            rule.require(CreateSymlinks, &target.parent())
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
            self.refuse_to_shed_rules(from)?;
        }
        Ok(())
    }

    /// Entries are bound to paths: a renamed directory would leave its own behind.
    fn refuse_to_shed_rules(&self, dir: &VirtualPath) -> Result<()> {
        let grants =
            |set: PermissionSet| set.grants(Rename) || set.grants_all(&[RenameFiles, RenameDirs]);
        match self.permissions.within(dir).find(|(_, set)| !grants(*set)) {
            None => Ok(()),
            Some((path, _)) => {
                Err(denied(format!("{dir} may not be renamed: {path} has its own permissions")))
            }
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
        ];
        for (given, want) in table {
            let rules = permissions(given);
            let rename = |what| decide(&rules, Operation::Rename(what, &path("/d"), &path("/e")));
            assert_eq!(rename(Renamed::Directory).is_ok(), want, "{given}");
            assert!(rename(Renamed::File).is_ok(), "{given}: only directories have an inside");
        }
    }
}
