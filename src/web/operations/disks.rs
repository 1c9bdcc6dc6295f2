//! How full the file systems are on which the server keeps things.
//!
//! A file system of the network that does not answer must not hold up who asks: each is
//! looked at by a thread of its own, for which nobody waits long, and which is not
//! started again before it has come back.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::{Mutex, oneshot};
use utoipa::ToSchema;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long what was found out is good for everybody who asks.
const LASTS: Duration = Duration::from_secs(5);
/// Free space is warned of below so many percent, and urgently below so many.
const LOW_PERCENT: u64 = 10;
const VERY_LOW_PERCENT: u64 = 5;

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiskState {
    Ok,
    /// Less than a tenth is free.
    Low,
    /// Less than a twentieth is free.
    VeryLow,
    /// It does not answer, or cannot be asked.
    Unknown,
}

/// A file system on which the server keeps things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DiskStatus {
    /// What is kept there.
    pub places: Vec<DiskPlace>,
    /// Bytes; 0 if not known.
    pub total: u64,
    /// Bytes that the server may still write; 0 if not known.
    pub free: u64,
    pub state: DiskState,
    /// Why nothing is known; empty if something is.
    pub error: String,
}

/// A path and the setting it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DiskPlace {
    /// The configuration key, such as `data_provider.users_base_dir`.
    pub setting: String,
    pub path: String,
}

impl DiskStatus {
    /// Free space in percent, rounded down; 0 if not known.
    pub fn free_percent(&self) -> u64 {
        percent(self.free, self.total).unwrap_or(0)
    }
}

fn percent(free: u64, total: u64) -> Option<u64> {
    let percent = (u128::from(free) * 100).checked_div(u128::from(total))?;
    u64::try_from(percent).ok()
}

fn state_of(free: u64, total: u64) -> DiskState {
    match percent(free, total) {
        Some(..VERY_LOW_PERCENT) => DiskState::VeryLow,
        Some(..LOW_PERCENT) => DiskState::Low,
        Some(_) => DiskState::Ok,
        None => DiskState::Unknown,
    }
}

/// What a file system says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Room {
    /// The same for all paths on one file system.
    device: u64,
    free: u64,
    total: u64,
}

type Probe = Arc<dyn Fn(&Path) -> io::Result<Room> + Send + Sync>;

/// The paths to be looked at.
pub struct Disks {
    places: Vec<Place>,
    probe: Probe,
    patience: Duration,
    /// Held while somebody looks, so that others wait for the same answer.
    latest: Mutex<Option<(Instant, Vec<DiskStatus>)>>,
}

struct Place {
    setting: &'static str,
    path: PathBuf,
    /// Whether a thread has not come back yet.
    is_asked: Arc<AtomicBool>,
}

impl Disks {
    /// The paths with the settings they come from. What does not exist yet counts to the
    /// file system of the nearest directory above.
    pub fn new(places: Vec<(&'static str, PathBuf)>) -> Self {
        Self::with(places, Arc::new(room), PATIENCE)
    }

    fn with(places: Vec<(&'static str, PathBuf)>, probe: Probe, patience: Duration) -> Self {
        let place = |(setting, path)| Place { setting, path, is_asked: Arc::default() };
        let places = places.into_iter().map(place).collect();
        Self { places, probe, patience, latest: Mutex::default() }
    }

    /// The file systems, each once, in the order of the paths.
    pub async fn look(&self) -> Vec<DiskStatus> {
        let mut latest = self.latest.lock().await;
        if let Some((at, disks)) = &*latest
            && at.elapsed() < LASTS
        {
            return disks.clone();
        }
        let looks = self.places.iter().map(|place| place.look(&self.probe, self.patience));
        let rooms = futures_util::future::join_all(looks).await;
        let disks = together(self.places.iter().zip(rooms));
        *latest = Some((Instant::now(), disks.clone()));
        disks
    }
}

impl Place {
    async fn look(&self, probe: &Probe, patience: Duration) -> Result<Room, String> {
        if self.is_asked.swap(true, Ordering::AcqRel) {
            return Err("still does not answer".to_owned());
        }
        let (answer, answered) = oneshot::channel();
        let (probe, path, is_asked) = (probe.clone(), self.path.clone(), self.is_asked.clone());
        // Not on the pool for blocking work, whose threads are waited for at the end.
        let thread = std::thread::Builder::new().name("disk".to_owned()).spawn(move || {
            let room = probe(&path);
            is_asked.store(false, Ordering::Release);
            // Nobody waits any more if it has taken too long.
            let _ = answer.send(room);
        });
        if let Err(error) = thread {
            self.is_asked.store(false, Ordering::Release);
            return Err(error.to_string());
        }
        match tokio::time::timeout(patience, answered).await {
            Ok(Ok(room)) => room.map_err(|error| error.to_string()),
            Ok(Err(_)) => Err("cannot be asked".to_owned()),
            Err(_) => Err(format!("no answer within {} seconds", patience.as_secs_f32())),
        }
    }
}

fn together<'a>(found: impl Iterator<Item = (&'a Place, Result<Room, String>)>) -> Vec<DiskStatus> {
    let mut disks: Vec<DiskStatus> = Vec::new();
    let mut known: BTreeMap<u64, usize> = BTreeMap::new();
    for (place, room) in found {
        let setting = place.setting.to_owned();
        let shown = DiskPlace { setting, path: place.path.display().to_string() };
        let device = room.as_ref().ok().map(|room| room.device);
        let same = device.and_then(|device| known.get(&device)).and_then(|at| disks.get_mut(*at));
        if let Some(same) = same {
            same.places.push(shown);
            continue;
        }
        if let Some(device) = device {
            known.insert(device, disks.len());
        }
        let places = vec![shown];
        disks.push(match room {
            Ok(Room { free, total, .. }) => DiskStatus {
                places,
                total,
                free,
                state: state_of(free, total),
                error: String::new(),
            },
            Err(error) => {
                DiskStatus { places, total: 0, free: 0, state: DiskState::Unknown, error }
            }
        });
    }
    disks
}

#[cfg(unix)]
fn room(path: &Path) -> io::Result<Room> {
    let mut path = path;
    let device = loop {
        match (rustix::fs::stat(path), path.parent()) {
            (Ok(stat), _) => break stat.st_dev,
            (Err(rustix::io::Errno::NOENT), Some(above)) => path = above,
            (Err(error), _) => return Err(error.into()),
        }
    };
    let room = rustix::fs::statvfs(path)?;
    Ok(Room {
        device,
        free: room.f_bavail.saturating_mul(room.f_frsize),
        total: room.f_blocks.saturating_mul(room.f_frsize),
    })
}

#[cfg(not(unix))]
fn room(_path: &Path) -> io::Result<Room> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn little_room_is_told_of() {
        for (free, total, state) in [
            (10, 100, DiskState::Ok),
            (999, 10_000, DiskState::Low),
            (5, 100, DiskState::Low),
            (499, 10_000, DiskState::VeryLow),
            (0, 1, DiskState::VeryLow),
            (u64::MAX, u64::MAX, DiskState::Ok),
            (0, 0, DiskState::Unknown),
        ] {
            assert_eq!(state_of(free, total), state, "{free} of {total}");
        }
    }

    fn disks(paths: &[&str], probe: Probe) -> Disks {
        let places = paths.iter().map(|path| ("setting", PathBuf::from(path))).collect();
        Disks::with(places, probe, Duration::from_millis(50))
    }

    #[tokio::test]
    async fn paths_on_one_file_system_are_told_together() {
        let probe = |path: &Path| match path.to_str() {
            Some("/gone") => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
            Some("/b") => Ok(Room { device: 2, free: 1, total: 100 }),
            _ => Ok(Room { device: 1, free: 50, total: 100 }),
        };
        let found = disks(&["/a", "/b", "/gone", "/c"], Arc::new(probe)).look().await;
        let paths = |disk: &DiskStatus| {
            disk.places.iter().map(|place| place.path.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            found.iter().map(paths).collect::<Vec<_>>(),
            [vec!["/a", "/c"], vec!["/b"], vec!["/gone"]]
        );
        assert_eq!(found[1].state, DiskState::VeryLow);
        assert_eq!((found[2].state, found[2].error.is_empty()), (DiskState::Unknown, false));
    }

    #[tokio::test]
    async fn a_file_system_that_hangs_holds_up_nobody_and_is_asked_once() {
        let asked = Arc::new(AtomicUsize::new(0));
        let (gate, released) = std::sync::mpsc::channel::<()>();
        let released = std::sync::Mutex::new(released);
        let count = asked.clone();
        let probe = move |path: &Path| {
            if path == Path::new("/hung") {
                count.fetch_add(1, Ordering::SeqCst);
                // Until the story ends and drops the gate.
                let _ = released.lock().map(|released| released.recv());
            }
            Ok(Room { device: 1, free: 50, total: 100 })
        };
        let disks = disks(&["/hung", "/fine"], Arc::new(probe));
        let first = disks.look().await;
        assert!(first[0].error.contains("no answer within"), "{first:?}");
        assert_eq!(first[1].state, DiskState::Ok);
        *disks.latest.lock().await = None;
        let second = disks.look().await;
        assert_eq!(second[0].error, "still does not answer");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        drop(gate);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_does_not_exist_yet_counts_to_the_directory_above() {
        let dir = tempfile::tempdir().expect("a directory");
        let paths = vec![("a", dir.path().to_owned()), ("b", dir.path().join("not/there/yet"))];
        let found = Disks::new(paths).look().await;
        assert_eq!((found.len(), found[0].places.len()), (1, 2), "{found:?}");
        assert!(found[0].total > 0 && found[0].free <= found[0].total);
    }
}
