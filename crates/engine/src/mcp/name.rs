//! What a server's tools are called here: `server__tool`, in the characters and the length that models take.

use sha2::{Digest, Sha256};

use crate::agent::toolbox::NAME_MAX;

/// The longest name of a server.
const SERVER_MAX: usize = 24;
/// So many hex digits tell tools apart whose names had to be changed.
const MARK: usize = 8;

/// Whether a server may be called so: 1 to 24 of `a-z`, `0-9` and `-`. The error says this.
///
/// There is no `_` in it, so the first `__` of a tool's name ends the server's.
pub fn check(name: &str) -> Result<(), String> {
    let clean = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if clean && (1..=SERVER_MAX).contains(&name.len()) {
        return Ok(());
    }
    Err(format!("{name:?} cannot be a server's name; use 1 to {SERVER_MAX} of the characters a-z 0-9 -"))
}

/// The name of a tool for models. A name that models would not take is changed, and marked by a digest of what it was.
pub(super) fn of_tool(server: &str, tool: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let whole = format!("{server}__{tool}");
    if whole.len() <= NAME_MAX && !tool.is_empty() && tool.chars().all(fits) {
        return whole;
    }
    let mut name: String = whole.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    name.truncate(NAME_MAX - MARK - 1);
    let digest = Sha256::digest(tool.as_bytes());
    let mark: String = digest.iter().take(MARK / 2).map(|byte| format!("{byte:02x}")).collect();
    format!("{name}-{mark}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_short_plain_names() {
        for good in ["git", "time-2", "0"] {
            assert_eq!(check(good), Ok(()));
        }
        for bad in ["", "Git", "a_b", "a b", "ü", "a.b", "abcdefghijklmnopqrstuvwxyz"] {
            assert!(check(bad).unwrap_err().contains("a-z 0-9 -"), "{bad}");
        }
    }

    #[test]
    fn every_tool_gets_a_name_that_models_take_and_no_two_the_same() {
        assert_eq!(of_tool("git", "git_status"), "git__git_status");
        let long = "x".repeat(200);
        let longer = "x".repeat(201);
        let odd = ["a.b", "a/b", "a b", "ä", "", &long, &longer, "a__b"];
        let names: Vec<_> = odd.iter().map(|tool| of_tool("files", tool)).collect();
        for name in &names {
            assert!(name.starts_with("files__") && name.len() <= NAME_MAX, "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)), "{name}");
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
    }
}
