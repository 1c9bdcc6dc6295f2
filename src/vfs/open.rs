//! What a login finds: the home and the virtual folders, made where they are missing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mounts::{Mount, Mounts, QuotaOwner};
use super::patterns::Patterns;
use super::screen::screen;
use super::session::{SessionContext, owner_of_new_files};
use crate::config::TrackQuota;
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::Backend;
use crate::model::{User, VirtualFolder};
use crate::paths::VirtualPath;
use crate::storage::local::{LocalStorage, OnDemand};
use crate::storage::{FileTime, Storage};

/// Mode and owner of directories that a login makes.
type NewDirectory = (u32, Option<(u32, u32)>);

/// Finds everything that is mounted for the account. What is not there costs the
/// operations in it, and a line in the log; without a home and without folders there is
/// nothing to open.
pub(super) async fn open_mounts(
    context: &SessionContext,
    patterns: &Arc<Patterns>,
) -> Result<Mounts> {
    let SessionContext { user, services, .. } = context;
    let options = services.options();
    let create: Option<NewDirectory> = (!user.filters.disable_fs_checks)
        .then(|| (0o777 & !options.umask, owner_of_new_files(user)));
    let home = open_home(context, create).await?;
    let home = Mount {
        at: VirtualPath::root(),
        storage: screen(home, &VirtualPath::root(), patterns)?,
        backend: Backend::Local,
        quota: QuotaOwner::of_home(user, options.track_quota),
    };
    let folders = folder_mounts(user, options.temp_path.as_ref(), options.track_quota, patterns)?;
    let mounts = Mounts::new(home, folders, FileTime::now());
    if let Some(new) = create
        && !user.virtual_folders.is_empty()
    {
        create_missing(context, new).await;
        create_parents(context, &mounts, new).await;
    }
    Ok(mounts)
}

/// The home. Who has folders can use them without it: then what is in it fails, one
/// operation at a time.
async fn open_home(
    context: &SessionContext,
    create: Option<NewDirectory>,
) -> Result<Arc<dyn Storage>> {
    let SessionContext { user, services, .. } = context;
    let temp_path = &services.options().temp_path;
    let root = PathBuf::from(&user.home_dir);
    match LocalStorage::open_offloaded(root.clone(), temp_path.clone(), create).await {
        Ok(home) => Ok(Arc::new(home)),
        Err(error) if user.virtual_folders.is_empty() => Err(error),
        Err(error) => {
            let username = &user.username;
            slog::warn!(services.logger, "home of user {username} cannot be used: {error}");
            Ok(Arc::new(OnDemand::new(root, temp_path.clone())))
        }
    }
}

/// The account's folders; nothing on a disk is looked at.
pub(super) fn folder_mounts(
    user: &User,
    temp_path: Option<&PathBuf>,
    track_quota: TrackQuota,
    patterns: &Arc<Patterns>,
) -> Result<Vec<Mount>> {
    let mount = |folder: &VirtualFolder| {
        let at = VirtualPath::new(&folder.virtual_path);
        let root = PathBuf::from(&folder.folder.mapped_path);
        let storage = Arc::new(OnDemand::new(root, temp_path.cloned()));
        Ok(Mount {
            storage: screen(storage, &at, patterns)?,
            at,
            backend: Backend::Local,
            quota: QuotaOwner::of_folder(user, folder, track_quota),
        })
    };
    user.virtual_folders.iter().map(mount).collect()
}

/// The directories of the folders, in one hop to the blocking pool.
async fn create_missing(context: &SessionContext, (mode, owner): NewDirectory) {
    let folders = context.user.virtual_folders.clone();
    let create = move |folder: &VirtualFolder| {
        let path = Path::new(&folder.folder.mapped_path);
        LocalStorage::create_root(path, mode, owner)?;
        if !path.is_dir() {
            let context = format!("{} is not a directory", path.display());
            return Err(Error::new(ErrorKind::NotADirectory, context));
        }
        Ok(())
    };
    let work = move || {
        let failed = folders.iter().filter_map(|folder| {
            create(folder).err().map(|error| (folder.folder.name.clone(), error))
        });
        failed.collect::<Vec<_>>()
    };
    for (folder, error) in tokio::task::spawn_blocking(work).await.unwrap_or_default() {
        let user = &context.user.username;
        let logger = &context.services.logger;
        slog::warn!(logger, "virtual folder {folder} of user {user} cannot be used: {error}");
    }
}

/// The directories that lead to mount points, so that files can be stored in them.
async fn create_parents(context: &SessionContext, mounts: &Mounts, (mode, owner): NewDirectory) {
    for point in mounts.points() {
        let mut missing = Vec::new();
        let mut dir = point.parent();
        // Above the place of another mount its own line of parents goes on.
        while !mounts.resolve(&dir).path.is_root() {
            missing.push(dir.clone());
            dir = dir.parent();
        }
        for dir in missing.iter().rev() {
            let place = mounts.resolve(dir);
            let created = place.mount.storage.create_dir(&place.path, mode, owner).await;
            match created {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let user = &context.user.username;
                    let logger = &context.services.logger;
                    slog::warn!(logger, "the parents of {point} for user {user}: {error}");
                    break;
                }
            }
        }
    }
}
