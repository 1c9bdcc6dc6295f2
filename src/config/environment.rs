//! Settings from environment variables: `SFTPGO_SECTION__KEY=value`, with an
//! index for a list of tables (`SFTPGO_SFTPD__BINDINGS__0__PORT`), and the files
//! in `env.d` that add variables.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use super::alias::bracketed;
use super::tree::{Node, Origin, Source};
use super::{dotenv, file, later};
use crate::error::{Error, Result};

/// Environment variables by name.
pub type Environment = BTreeMap<String, String>;

const PREFIX: &str = "SFTPGO_";

/// The variables of this process; names or values that are not UTF-8 are skipped.
pub fn of_process() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Adds the variables of every file in `config_dir/env.d`, in the order of the
/// file names. A variable that is already set keeps its value.
///
/// # Errors
/// A file that cannot be read or parsed, with its name.
pub fn add_env_d(config_dir: &Path, environment: &mut Environment) -> Result<()> {
    let dir = config_dir.join("env.d");
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(());
        }
        Err(error) => {
            return Err(Error::from_io(format!("environment directory {}", dir.display()), error));
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| {
            Error::from_io(format!("environment directory {}", dir.display()), error)
        })?;
        // Links to files are files here: mounted secrets are links.
        if entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    for path in files {
        let text = file::read_text(&path)?;
        let pairs = dotenv::parse(&text, environment)
            .map_err(|error| error.wrap(format!("environment file {}", path.display())))?;
        for (name, value) in pairs {
            environment.entry(name).or_insert(value);
        }
    }
    Ok(())
}

/// The tree that the variables describe. Variables without `__` belong to
/// something else, e.g. to a flag; a section nobody knows is a warning.
pub fn to_tree(environment: &Environment, warnings: &mut Vec<String>) -> Node {
    let mut tree = Node::empty_table(Origin::built_in());
    for (name, value) in environment {
        let Some(path) = name.strip_prefix(PREFIX).filter(|path| path.contains("__")) else {
            continue;
        };
        let path = path.to_lowercase().split("__").collect::<Vec<_>>().join(".");
        let section = path.split('.').next().unwrap_or_default();
        if !later::section_names().any(|known| known == section) {
            warnings.push(format!("environment variable {name}: unknown section, ignored"));
            continue;
        }
        let origin = Origin {
            key: bracketed(&path),
            source: Source::Environment(Rc::from(name.as_str())),
            is_text: true,
        };
        if !tree.put(&path, Node::text(value, Rc::new(origin))) {
            warnings.push(format!(
                "environment variable {name}: ignored because a shorter name sets a value"
            ));
        }
    }
    tree
}
