//! The documentation names what is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page for people, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let dirs = [root().to_owned(), root().join("docs")];
    let files = dirs.iter().flat_map(|dir| fs::read_dir(dir).unwrap());
    files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// All of our Rust source in one text.
fn source() -> String {
    fn add(dir: &Path, text: &mut String) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    add(&root().join("src"), &mut text);
    add(&root().join("actors/src"), &mut text);
    text
}

/// What stands between backticks, outside of blocks of code.
fn quoted(text: &str) -> BTreeSet<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    for (page, text) in pages() {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let path = page.parent().unwrap().join(link.split('#').next().unwrap());
            assert!(path.exists(), "{}: {link} does not exist", page.display());
        }
    }
}

#[test]
fn the_map_of_the_architecture_names_files_that_exist() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let roots = ["src/", "actors/", "tests/", "fuzz/", "examples/", "etc/", "scripts/", ".ci/"];
    let mut checked = 0;
    for path in quoted(&text).into_iter().filter(|word| roots.iter().any(|r| word.starts_with(r))) {
        // A pattern, not a path.
        if !path.contains('<') {
            assert!(root().join(path).exists(), "{path} does not exist");
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} paths were recognised");
    // And the other way round: nothing on the first floor is missing.
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        if module != "lib" {
            assert!(text.contains(&format!("`src/{module}")), "src/{name} is not on the map");
        }
    }
}

#[test]
fn the_story_of_the_architecture_names_functions_that_exist() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let source = source();
    let mut checked = 0;
    for path in quoted(&text).into_iter().filter(|word| word.contains("::")) {
        let name = path.rsplit("::").next().unwrap();
        if path.chars().any(|c| !(c.is_alphanumeric() || "_:".contains(c))) {
            continue;
        }
        let is_there = ["fn ", "struct ", "enum ", "trait ", "mod "].iter().any(|kind| {
            let after = |at: usize| source[at + kind.len() + name.len()..].chars().next();
            source
                .match_indices(&format!("{kind}{name}"))
                .any(|(at, _)| after(at).is_none_or(|c| !(c.is_alphanumeric() || c == '_')))
        });
        let is_room = ["protocol::ftp", "protocol::webdav"].contains(&path);
        assert!(is_there || is_room, "{path} does not exist");
        checked += 1;
    }
    assert!(checked > 25, "only {checked} names were recognised");
}
