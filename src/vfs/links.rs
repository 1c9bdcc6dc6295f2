//! Symbolic links: stored relative, and never out of the root.

use std::time::Instant;

use super::effects::Command;
use super::policy::Operation;
use super::session::Session;
use crate::error::{Error, ErrorKind, Result};
use crate::logging;
use crate::metrics::Backend;
use crate::paths::{StoragePath, VirtualPath};

impl Session {
    /// Creates `link`, which leads to `target`: an absolute virtual path, or one
    /// relative to the link's directory. The target need not exist.
    ///
    /// # Errors
    /// `Unsupported` where `common.symlink_mode` or the storage has no links;
    /// `PermissionDenied` for a target above the root.
    pub async fn symlink(&self, target: &[u8], link: &VirtualPath) -> Result<()> {
        let started = Instant::now();
        self.origin.require_alive()?;
        let place = self.mounts.resolve(link);
        let bit = match place.mount.backend {
            Backend::Local => 1,
            Backend::Sftp => 2,
            Backend::S3 | Backend::Gcs | Backend::AzureBlob | Backend::Http => 0,
        };
        let is_on = self.origin.services.options().symlink_mode & bit != 0;
        if !is_on || !place.mount.storage.capabilities().symlinks {
            return Err(Error::new(ErrorKind::Unsupported, "symbolic links are switched off here"));
        }
        let parent = link.parent();
        let wanted = target_beneath_root(&parent, target, true).ok_or_else(|| escapes(link))?;
        self.decide(Operation::Symlink { target: &wanted, link })?;
        let wanted_place = self.mounts.resolve(&wanted);
        if !wanted_place.is_in_same_mount(&place) {
            let context = format!("link {link} to {wanted}: they are in different storages");
            return Err(Error::new(ErrorKind::Unsupported, context));
        }
        place.mount.storage.symlink(&relative(&parent, &wanted), &place.path).await?;
        let command = Command::new(logging::Operation::Symlink, started, &wanted, &wanted_place);
        self.origin.command_done(Command { target: Some((link, &place)), ..command }).await;
        Ok(())
    }

    /// Where a link leads, as a virtual path.
    ///
    /// # Errors
    /// `PermissionDenied` when that is outside the storage: the root, or the virtual
    /// folder that the link is in.
    pub async fn read_link(&self, path: &VirtualPath) -> Result<VirtualPath> {
        let place = self.enter(Operation::Stat(path), path)?;
        let stored = place.mount.storage.read_link(&place.path).await?;
        // To the storage its own root is the root of everything.
        let parent = VirtualPath::new(place.path.parent().as_bytes());
        let target = target_beneath_root(&parent, &stored, false).ok_or_else(|| escapes(path))?;
        let target = place.virtual_path_of(&StoragePath::new(target.as_bytes()));
        if self.mounts.resolve(&target).is_in_same_mount(&place) {
            return Ok(target);
        }
        Err(escapes(path))
    }
}

fn escapes(link: &VirtualPath) -> Error {
    Error::new(ErrorKind::PermissionDenied, format!("the link {link} leads outside"))
}

/// The virtual path that a link in `dir` leads to; `None` if it climbs above
/// the root. An absolute target is virtual in a client's mouth, but on the disk
/// it is one of the machine, and outside.
fn target_beneath_root(
    dir: &VirtualPath,
    target: &[u8],
    absolute_is_virtual: bool,
) -> Option<VirtualPath> {
    if target.starts_with(b"/") {
        return absolute_is_virtual.then(|| VirtualPath::new(target));
    }
    let mut depth = dir.components().count();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => depth = depth.checked_sub(1)?,
            _ => depth += 1,
        }
    }
    Some(VirtualPath::resolve(dir, target))
}

/// How `target` is called from within `dir`.
fn relative(dir: &VirtualPath, target: &VirtualPath) -> Vec<u8> {
    let (from, to): (Vec<_>, Vec<_>) = (dir.components().collect(), target.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(&b".."[..], from.len() - shared);
    let steps: Vec<&[u8]> = up.chain(to[shared..].iter().copied()).collect();
    if steps.is_empty() { b".".to_vec() } else { steps.join(&b'/') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_stay_beneath_the_root() {
        // (directory of the link, target, what a client means, what the disk means)
        let table = [
            ("/", "a", Some("/a"), Some("/a")),
            ("/d", "a", Some("/d/a"), Some("/d/a")),
            ("/d", "../a", Some("/a"), Some("/a")),
            ("/d", "..", Some("/"), Some("/")),
            ("/d", "../..", None, None),
            ("/", "..", None, None),
            ("/d", "x/../../..", None, None),
            ("/d", "x/../../y", Some("/y"), Some("/y")),
            ("/d", "../../d/a", None, None),
            ("/d", "/etc/passwd", Some("/etc/passwd"), None),
            ("/d", "/../x", Some("/x"), None),
            ("/d", "./a//b/", Some("/d/a/b"), Some("/d/a/b")),
        ];
        for (dir, target, client, disk) in table {
            let dir = VirtualPath::new(dir);
            for (is_client, want) in [(true, client), (false, disk)] {
                let got = target_beneath_root(&dir, target.as_bytes(), is_client);
                assert_eq!(got.map(|path| path.to_string()).as_deref(), want, "{dir} {target}");
            }
        }
    }

    #[test]
    fn links_are_stored_relative_and_lead_to_their_target() {
        let table = [
            ("/", "/a", "a"),
            ("/", "/", "."),
            ("/d", "/d", "."),
            ("/d", "/", ".."),
            ("/d", "/a", "../a"),
            ("/d", "/d/a", "a"),
            ("/d/e/f", "/d/x/y", "../../x/y"),
            ("/dd", "/d", "../d"),
        ];
        for (dir, target, want) in table {
            let (dir, target) = (VirtualPath::new(dir), VirtualPath::new(target));
            let stored = relative(&dir, &target);
            assert_eq!(String::from_utf8_lossy(&stored), want);
            assert_eq!(target_beneath_root(&dir, &stored, false), Some(target));
        }
    }
}
