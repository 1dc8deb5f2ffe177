//! Which files are meant, and what they are called.

use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use tidewire_engine::{Error, Result};

use super::Content;

/// A file to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What its document is called: the path from the folder in which the command runs, or the whole path.
    pub(crate) name: String,
    /// Its size in bytes.
    pub(crate) size: u64,
}

/// How the JSON begins that describes an API or a format to programs. It says in thousands of lines what its reference
/// page says in words, and would be found in the place of that.
const FOR_PROGRAMS: [&str; 4] = ["openapi", "asyncapi", "swagger", "$schema"];
/// So much of a file is looked at to know.
const LOOK: u64 = 256;

/// The files that the paths name: each file itself, and of each folder all that can be read. Hidden files and
/// descriptions for programs are left out there.
pub(crate) fn find(paths: &[PathBuf], here: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for path in paths {
        let about = fs::metadata(path).map_err(|cause| super::unreadable(path, cause))?;
        if about.is_dir() {
            walk(path, here, &mut found)?;
        } else {
            found.push(Found { path: path.clone(), name: name(path, here), size: about.len() });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    if found.is_empty() {
        return Err(Error::invalid(
            "there is no document in these folders; name files, or folders with text, Markdown, HTML, PDF, CSV or JSON",
        ));
    }
    Ok(found)
}

/// Links are not followed: they may lead in circles.
fn walk(folder: &Path, here: &Path, found: &mut Vec<Found>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|cause| super::unreadable(folder, cause))? {
        let entry = entry.map_err(|cause| super::unreadable(folder, cause))?;
        let (path, kind) =
            (entry.path(), entry.file_type().map_err(|cause| super::unreadable(folder, cause))?);
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            walk(&path, here, found)?;
        } else if kind.is_file() && Content::of(&path).is_some() && !is_for_programs(&path) {
            let size = entry.metadata().map_or(0, |about| about.len());
            found.push(Found { name: name(&path, here), path, size });
        }
    }
    Ok(())
}

fn is_for_programs(path: &Path) -> bool {
    if Content::of(path) != Some(Content::Json) {
        return false;
    }
    let mut begin = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(LOOK).read_to_end(&mut begin));
    let begin = String::from_utf8_lossy(&begin);
    let object = begin.trim_start_matches('\u{feff}').trim_start().strip_prefix('{');
    let first = object.and_then(|members| members.split('"').nth(1));
    read.is_ok() && first.is_some_and(|first| FOR_PROGRAMS.contains(&first))
}

/// The path without detours, from `here` if it lies there.
fn name(path: &Path, here: &Path) -> String {
    let mut straight = PathBuf::new();
    for component in here.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(straight.pop()),
            other => straight.push(other),
        }
    }
    let shown = straight.strip_prefix(here).unwrap_or(&straight);
    shown.to_string_lossy().replace('\\', "/").chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_searched_and_names_are_straight() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path();
        for file in ["docs/a.md", "docs/deep/b.PDF", "docs/.hidden/c.md", "docs/d.exe", "e.unknown"] {
            let path = here.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let paths = [here.join("docs/../docs"), here.join("e.unknown"), here.join("docs/a.md")];
        let names: Vec<_> = find(&paths, here).unwrap().into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["docs/a.md", "docs/deep/b.PDF", "e.unknown"]);
        assert!(find(&[here.join("docs/.hidden/x")], here).is_err());
        fs::write(here.join("docs/api.json"), "{\n  \"openapi\": \"3.1.0\"}").unwrap();
        fs::write(here.join("docs/data.json"), "{\"name\": \"openapi\"}").unwrap();
        let names = |paths: &[PathBuf]| -> Vec<String> {
            find(paths, here).unwrap().into_iter().map(|found| found.name).collect()
        };
        assert_eq!(names(&[here.join("docs")]), ["docs/a.md", "docs/data.json", "docs/deep/b.PDF"]);
        assert_eq!(names(&[here.join("docs/api.json")]), ["docs/api.json"], "who names it wants it");
        fs::create_dir(here.join("empty")).unwrap();
        assert!(find(&[here.join("empty")], here).unwrap_err().message.contains("no document"));
    }
}
