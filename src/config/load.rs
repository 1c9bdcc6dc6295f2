//! Loading: find the sources, lay them over one another, read them once into
//! the typed [`Config`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::alias::{self, Folded};
use super::environment::{self, Environment};
use super::lists::Lists;
use super::setting::{Report, Setting};
use super::tree::{Node, Origin};
use super::{Config, file, later};
use crate::error::{Error, ErrorKind, Result};

/// Everything that decides the configuration. Nothing else is consulted.
#[derive(Clone)]
pub struct Sources {
    /// Base of every relative path.
    pub config_dir: PathBuf,
    /// A path or a base name; `None` searches.
    pub config_file: Option<String>,
    /// Directories searched after `config_dir`.
    pub other_dirs: Vec<PathBuf>,
    pub environment: Environment,
}

impl Sources {
    /// The sources of this process, with what the command line says.
    pub fn of_process(config_dir: &str, config_file: &str) -> Self {
        let environment = environment::of_process();
        let home = environment.get("HOME").filter(|home| !home.is_empty());
        let other_dirs = home
            .map(|home| Path::new(home).join(".config/sftpgo"))
            .into_iter()
            .chain([PathBuf::from("/etc/sftpgo")])
            .collect();
        Self {
            config_dir: PathBuf::from(config_dir),
            config_file: Some(config_file.to_owned()).filter(|file| !file.is_empty()),
            other_dirs,
            environment,
        }
    }
}

/// The configuration and how it came about.
#[derive(Clone)]
pub struct Loaded {
    pub config: Config,
    pub config_dir: ConfigDir,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// Older names, unknown keys and the like, for the log.
    pub warnings: Vec<String>,
    /// The environment with the variables of `env.d`.
    pub environment: Environment,
}

/// Without the environment, which holds secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("config_dir", &self.config_dir)
            .field("config_file", &self.config_file)
            .field("other_dirs", &self.other_dirs)
            .finish_non_exhaustive()
    }
}

/// Without the environment, which holds secrets.
impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("config", &self.config)
            .field("config_dir", &self.config_dir)
            .field("file", &self.file)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// The configuration directory, as an absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigDir(PathBuf);

impl ConfigDir {
    /// # Errors
    /// The current directory is unknown, or the path is empty.
    pub fn new(path: &Path) -> Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        std::path::absolute(path)
            .map(Self)
            .map_err(|error| Error::from_io(format!("directory {}", path.display()), error))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The file that a setting means: absolute as it is, relative to this directory otherwise.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.join(path)
    }
}

/// Reads the configuration. Flags that patch single settings are applied by the
/// caller, on the result.
///
/// # Errors
/// A file that is missing or unparsable; every wrong value, with its key and origin.
pub fn load(sources: Sources) -> Result<Loaded> {
    let Sources { config_dir, config_file, other_dirs, mut environment } = sources;
    let config_dir = ConfigDir::new(&config_dir)?;
    environment::add_env_d(config_dir.path(), &mut environment)?;

    let (mut report, mut warnings) = (Report::default(), Vec::new());
    let lists = Lists::known()?;
    let built_in = Origin::built_in();
    let mut tree = Node::from_json(Config::default().to_json(), "", &|_| Rc::clone(&built_in));
    let file = file::find(config_dir.path(), config_file.as_deref(), &other_dirs)?;
    if let Some(path) = &file {
        let mut from_file = file::read(path, &environment)?;
        alias::rename(&mut from_file, &mut report, &mut warnings);
        lists.settle(&mut from_file, "", &mut report);
        tree.overlay(from_file);
    }
    let mut from_environment = environment::to_tree(&environment, &mut warnings);
    alias::rename(&mut from_environment, &mut report, &mut warnings);
    lists.settle(&mut from_environment, "", &mut report);
    tree.overlay(from_environment);

    let folded = Folded::take(&mut tree, &mut report, &mut warnings);
    let config = Config::read(&tree, "", &mut report);
    let verdict = later::judge(report.leftovers)?;
    warnings.extend(verdict.warnings);
    let errors = [report.errors, verdict.errors].concat();
    match config {
        Some(mut config) if errors.is_empty() => {
            folded.apply(&mut config);
            Ok(Loaded { config, config_dir, file, warnings, environment })
        }
        _ => Err(Error::new(ErrorKind::InvalidInput, errors.join("; "))),
    }
}
