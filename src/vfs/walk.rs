//! Going through a tree of any size in bounded memory and with few open directories.
//!
//! Each level has its directory open, and at most one batch of sub-directories
//! waiting. That would cost a descriptor per level, and users make levels; so below
//! [`OPEN_LEVELS`] a directory is closed before the walk goes into it. Its
//! sub-directories are then taken in the order of their names, some at a time, and
//! the directory is read again for the next ones: slow where such a deep directory
//! has thousands of them, but never more than a batch in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::mounts::Mounts;
use crate::error::{Error, Result};
use crate::paths::{StoragePath, VirtualPath};
use crate::storage::{Entry, EntryStream, FileKind, Storage};

/// Levels whose directories stay open.
const OPEN_LEVELS: usize = 64;
/// Entries that are asked for at once.
const BATCH: usize = 1000;
/// Sub-directories of a closed level that wait at once. There can be a level for
/// every two bytes of the longest path.
const CLOSED_BATCH: usize = 128;

/// Something whose directories can be listed, by paths relative to its top.
#[async_trait]
pub(super) trait Tree: Send + Sync {
    async fn list(&self, dir: &StoragePath) -> Result<Box<dyn EntryStream>>;
}

/// A directory of a storage.
pub(super) struct StorageTree {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) top: StoragePath,
}

#[async_trait]
impl Tree for StorageTree {
    async fn list(&self, dir: &StoragePath) -> Result<Box<dyn EntryStream>> {
        self.storage.list(&self.top.below(dir)).await
    }
}

/// A directory as the client sees it.
pub(super) struct VirtualTree {
    pub(super) mounts: Arc<Mounts>,
    pub(super) top: VirtualPath,
}

#[async_trait]
impl Tree for VirtualTree {
    async fn list(&self, dir: &StoragePath) -> Result<Box<dyn EntryStream>> {
        self.mounts.list(&VirtualPath::resolve(&self.top, dir.as_bytes()), None).await
    }
}

/// What a walk comes to. Paths are relative to its top, which is the root.
#[derive(Debug)]
pub(super) enum Step {
    /// A directory that is open now.
    Entered(StoragePath),
    /// A directory could not be opened; what is in it is left out.
    Unreadable(StoragePath, Error),
    /// Some of the entries of a directory, without its sub-directories.
    Entries(StoragePath, Vec<Entry>),
    /// Everything in the directory has been seen.
    Left(StoragePath),
}

/// A walk in progress. What is added or removed meanwhile may be met or not.
pub(super) struct Walk<T> {
    tree: T,
    levels: Vec<Level>,
    /// To be entered.
    next: Option<StoragePath>,
}

struct Level {
    path: StoragePath,
    /// `None` once it is closed or at its end.
    entries: Option<Box<dyn EntryStream>>,
    /// Not entered yet; the last comes first.
    directories: Vec<Vec<u8>>,
    /// For levels that are closed before the walk goes deeper.
    passes: Option<Passes>,
}

/// Reading a directory several times, each time for its next sub-directories.
#[derive(Default)]
struct Passes {
    /// The first names after `after`.
    chosen: BTreeSet<Vec<u8>>,
    after: Option<Vec<u8>>,
    /// Whether there are names after the chosen ones.
    has_more: bool,
    /// The entries that are no directories have been told.
    is_repeated: bool,
}

impl Passes {
    fn choose(&mut self, name: Vec<u8>) {
        if self.after.as_ref().is_none_or(|after| name > *after) {
            self.chosen.insert(name);
        }
        if self.chosen.len() > CLOSED_BATCH {
            self.chosen.pop_last();
            self.has_more = true;
        }
    }

    /// At the end of a pass: the names to enter, the last first.
    fn take_chosen(&mut self) -> Vec<Vec<u8>> {
        self.is_repeated = true;
        self.after = self.chosen.last().cloned();
        std::mem::take(&mut self.chosen).into_iter().rev().collect()
    }
}

impl<T: Tree> Walk<T> {
    pub(super) fn new(tree: T) -> Self {
        Self { tree, levels: Vec::new(), next: Some(StoragePath::root()) }
    }

    #[cfg(test)]
    fn open_directories(&self) -> usize {
        self.levels.iter().filter(|level| level.entries.is_some()).count()
    }

    /// `None` at the end. An error is one of reading a directory that is open.
    pub(super) async fn next(&mut self) -> Result<Option<Step>> {
        loop {
            if let Some(path) = self.next.take() {
                return Ok(Some(match self.tree.list(&path).await {
                    Ok(entries) => self.enter(path, entries),
                    Err(error) => Step::Unreadable(path, error),
                }));
            }
            let Some(level) = self.levels.last_mut() else { return Ok(None) };
            // An open level reads on only when its batch is done, a closed one is read
            // to its end first.
            let goes_deeper = level.passes.is_none() || level.entries.is_none();
            if goes_deeper && let Some(name) = level.directories.pop() {
                self.next = Some(level.path.join(&name));
                continue;
            }
            if level.entries.is_none()
                && let Some(passes) = &mut level.passes
                && std::mem::take(&mut passes.has_more)
            {
                match self.tree.list(&level.path).await {
                    Ok(entries) => level.entries = Some(entries),
                    // What is left in it is left out.
                    Err(error) => {
                        return Ok(Some(Step::Unreadable(level.path.clone(), error)));
                    }
                }
            }
            let Some(entries) = &mut level.entries else {
                let path = std::mem::take(&mut level.path);
                self.levels.pop();
                return Ok(Some(Step::Left(path)));
            };
            let batch = entries.next_batch(BATCH).await?;
            if batch.is_empty() {
                level.entries = None;
                if let Some(passes) = &mut level.passes {
                    level.directories = passes.take_chosen();
                }
                continue;
            }
            let mut others = batch;
            let directories =
                others.extract_if(.., |entry| entry.metadata.kind == FileKind::Directory);
            let is_repeated = match &mut level.passes {
                None => {
                    level.directories.extend(directories.map(|entry| entry.name));
                    false
                }
                Some(passes) => {
                    directories.for_each(|entry| passes.choose(entry.name));
                    passes.is_repeated
                }
            };
            if !others.is_empty() && !is_repeated {
                return Ok(Some(Step::Entries(level.path.clone(), others)));
            }
        }
    }

    fn enter(&mut self, path: StoragePath, entries: Box<dyn EntryStream>) -> Step {
        self.levels.push(Level {
            path: path.clone(),
            entries: Some(entries),
            directories: Vec::new(),
            passes: (self.levels.len() >= OPEN_LEVELS).then(Passes::default),
        });
        Step::Entered(path)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::storage::{FileTime, Metadata};

    /// Directories to names; those that end with `/` are directories.
    struct Fake(BTreeMap<String, Vec<String>>);

    struct Names(Vec<String>);

    #[async_trait]
    impl EntryStream for Names {
        async fn next_batch(&mut self, max: usize) -> Result<Vec<Entry>> {
            let batch = self.0.drain(..max.min(self.0.len()));
            let entry = |name: String| {
                let kind = if name.ends_with('/') { FileKind::Directory } else { FileKind::File };
                let never = FileTime::default();
                let metadata = Metadata {
                    kind,
                    size: 1,
                    mode: 0,
                    uid: 0,
                    gid: 0,
                    links: 1,
                    modified: never,
                    accessed: never,
                    id: None,
                };
                Entry { name: name.trim_end_matches('/').into(), metadata }
            };
            Ok(batch.map(entry).collect())
        }
    }

    #[async_trait]
    impl Tree for Fake {
        async fn list(&self, dir: &StoragePath) -> Result<Box<dyn EntryStream>> {
            let names = self.0.get(&*dir.to_string_lossy()).cloned();
            Ok(Box::new(Names(names.ok_or_else(|| Error::internal("no such directory"))?)))
        }
    }

    /// Files seen, directories entered and left, and the most directories open.
    async fn walk(tree: Fake) -> (Vec<String>, usize, usize, usize) {
        let mut walk = Walk::new(tree);
        let (mut files, mut entered, mut left, mut open) = (Vec::new(), 0, 0, 0);
        while let Some(step) = walk.next().await.unwrap() {
            open = open.max(walk.open_directories());
            match step {
                Step::Entered(_) => entered += 1,
                Step::Left(_) => left += 1,
                Step::Unreadable(_, error) => panic!("{error}"),
                Step::Entries(dir, entries) => {
                    files.extend(entries.iter().map(|entry| dir.join(&entry.name).to_string()))
                }
            }
        }
        files.sort();
        (files, entered, left, open)
    }

    #[tokio::test]
    async fn a_deep_tree_is_seen_completely_with_few_directories_open() {
        let mut tree = BTreeMap::new();
        let (mut path, mut want) = (String::new(), Vec::new());
        for level in 0..300 {
            let join = |name: &str| match path.as_str() {
                "" => name.to_owned(),
                path => format!("{path}/{name}"),
            };
            // Directories before, between and behind files.
            let names = ["a/", "file", "deeper/", "other", "z/"].map(str::to_owned);
            tree.insert(path.clone(), names.to_vec());
            want.extend([join("file"), join("other"), join("a/in"), join("z/in")]);
            tree.insert(join("a"), vec!["in".to_owned()]);
            tree.insert(join("z"), vec!["in".to_owned()]);
            path = join("deeper");
            if level == 299 {
                tree.insert(path.clone(), Vec::new());
            }
        }
        let directories = tree.len();
        want.sort();
        let (files, entered, left, open) = walk(Fake(tree)).await;
        assert_eq!(files, want);
        assert_eq!((entered, left), (directories, directories));
        assert!(open <= OPEN_LEVELS + 1, "{open}");
    }

    #[tokio::test]
    async fn a_directory_with_more_entries_than_a_batch_is_seen_completely_at_any_depth() {
        for depth in [0, OPEN_LEVELS - 1, OPEN_LEVELS, OPEN_LEVELS + 5] {
            let path = vec!["d"; depth].join("/");
            let mut tree: BTreeMap<_, _> = (0..depth)
                .map(|level| (vec!["d"; level].join("/"), vec!["d/".to_owned()]))
                .collect();
            let join = |name: &str| StoragePath::new(&path).join(name.as_bytes()).to_string();
            let (mut names, mut want) = (Vec::new(), Vec::new());
            for n in 0..3 * BATCH {
                // In no order.
                let n = n * 7919 % (3 * BATCH);
                names.extend([format!("dir{n}/"), format!("file{n}")]);
                tree.insert(join(&format!("dir{n}")), vec!["in".to_owned()]);
                want.extend([join(&format!("dir{n}/in")), join(&format!("file{n}"))]);
            }
            tree.insert(path.clone(), names);
            want.sort();
            let (files, entered, left, _) = walk(Fake(tree)).await;
            assert_eq!(files.len(), want.len(), "depth {depth}");
            assert_eq!(files, want, "depth {depth}");
            assert_eq!((entered, left), (depth + 1 + 3 * BATCH, entered));
        }
    }
}
