//! Running other programs, and remembering what was done.

use std::fmt::Display;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Instant, UNIX_EPOCH};

/// The result of a step; the error is one sentence that says what to do.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where downloads and environments are kept between runs: `TIDEWIRE_CACHE`, else the user's cache folder.
pub(crate) fn cache() -> PathBuf {
    let from_env = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    from_env("TIDEWIRE_CACHE")
        .or_else(|| from_env("XDG_CACHE_HOME").map(|dir| dir.join("tidewire")))
        .or_else(|| from_env("HOME").map(|dir| dir.join(".cache/tidewire")))
        .unwrap_or_else(|| root().join("target/cache"))
}

/// Where cargo builds to.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Does a step, saying so, and how long it took.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("── {what}");
    let begun = Instant::now();
    let result = work();
    let mark = if result.is_ok() { "done" } else { "FAILED" };
    eprintln!("   {what}: {mark} in {:.1} s", begun.elapsed().as_secs_f64());
    result
}

/// A program to be run in the repository's root.
pub(crate) fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs it to its end; its output is shown.
pub(crate) fn run(command: &mut Command) -> Result {
    let shown = shown(command);
    let status = command.status().map_err(|error| cannot_start(&shown, error))?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` failed ({status}); its output is above")) }
}

/// Whether a program can be started at all.
pub(crate) fn is_there(name: &str) -> bool {
    program(name)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// Does the work unless it was done before for the same input. The stamp lies beside the build output.
pub(crate) fn once(name: &str, input: u64, still_there: &Path, work: impl FnOnce() -> Result) -> Result {
    let stamp = target().join("xtask").join(name);
    let wanted = format!("{input:016x}");
    if still_there.exists() && fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    work()?;
    fs::create_dir_all(target().join("xtask")).map_err(|e| cannot_write(&stamp, e))?;
    fs::write(&stamp, wanted).map_err(|e| cannot_write(&stamp, e))
}

/// A fingerprint of files and folders: names, sizes and times of what lies in them, build output left out.
pub(crate) fn fingerprint(paths: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        visit(&root().join(path), &mut hasher);
    }
    hasher.finish()
}

fn visit(path: &Path, hasher: &mut DefaultHasher) {
    let name = path.file_name().unwrap_or_default();
    if ["node_modules", "dist", "target", ".git"].iter().any(|skipped| name == *skipped) {
        return;
    }
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.is_dir() {
        let mut children: Vec<_> =
            fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path()).collect();
        children.sort();
        children.iter().for_each(|child| visit(child, hasher));
        return;
    }
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    (path, metadata.len(), modified).hash(hasher);
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

fn cannot_start(shown: &str, error: impl Display) -> String {
    format!("cannot start `{shown}` ({error}); install it and run this again")
}

/// The sentence for a file that cannot be written.
pub(crate) fn cannot_write(path: &Path, error: impl Display) -> String {
    format!("cannot write {} ({error}); check the folder's rights and the disk's space", path.display())
}
