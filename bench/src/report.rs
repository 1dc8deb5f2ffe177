//! What was measured, as text.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// One case's results.
pub(crate) struct Section {
    /// The heading.
    pub(crate) title: &'static str,
    /// What was done, in a few sentences.
    pub(crate) method: String,
    /// The target, and whether it is met.
    pub(crate) verdict: String,
    /// The table's head.
    pub(crate) columns: Vec<&'static str>,
    /// Its rows.
    pub(crate) rows: Vec<Vec<String>>,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\n{}\n", self.title, self.method)?;
        writeln!(f, "| {} |", self.columns.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.columns.len()))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))?;
        writeln!(f, "\n{}", self.verdict)
    }
}

/// What stands on the page about one case: what was measured, and behind it what a profile says of the distance.
pub(crate) fn told(section: &Section, profile: &str) -> String {
    match profile.trim_end() {
        "" => section.to_string(),
        profile => format!("{section}\nWhat the profile says. {profile}\n"),
    }
}

/// Writes the sections to the page. Those of cases that were not measured now stay as they are.
pub(crate) fn write(path: &Path, sections: Vec<String>) -> io::Result<()> {
    let page = fs::read_to_string(path).unwrap_or_default();
    fs::write(path, format!("{}\n{}", head(), merged(&page, sections).join("\n")))
}

fn merged(page: &str, sections: Vec<String>) -> Vec<String> {
    let known = page.split("\n## ").skip(1);
    let mut all: Vec<String> = known.map(|section| format!("## {}\n", section.trim_end())).collect();
    for section in sections {
        match all.iter_mut().find(|known| known.lines().next() == section.lines().next()) {
            Some(known) => *known = section,
            None => all.push(section),
        }
    }
    all
}

fn head() -> String {
    format!(
        "# Benchmarks\n\nMade by `cargo xtask bench`. Trust ratios: the servers of a pair were measured in turn on the \
         same core. CPU is the server's own, user and system, from `/proc`.\n\nMachine: {}, {} cores; the server on one, \
         the load on another.\n",
        cpu_model(),
        cores(),
    )
}

/// All of the machine's, not only the one that the load is pinned to.
fn cores() -> usize {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines().filter(|line| line.starts_with("processor")).count()
}

fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": "))
        .map_or_else(|| "unknown CPU".into(), |(_, name)| name.to_owned())
}

/// The middle value.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// `median [min–max]`, with so many digits.
pub(crate) fn spread(values: &[f64], digits: usize) -> String {
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.digits$} [{min:.digits$}–{max:.digits$}]", median(values))
}

/// Whether a target is met, in words.
pub(crate) fn verdict(target: &str, met: bool, figure: &str) -> String {
    let word = if met { "met" } else { "**missed**" };
    format!("Target: {target}. Measured: {figure}: {word}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_again_takes_its_place_and_the_rest_stays() {
        let page = "# Benchmarks\n\nhead\n\n## A (`a`)\n\nold\n\n## B (`b`)\n\nkept\n";
        let sections = vec!["## A (`a`)\n\nnew\n".to_owned(), "## C (`c`)\n\nfirst\n".to_owned()];
        assert_eq!(
            merged(page, sections),
            ["## A (`a`)\n\nnew\n", "## B (`b`)\n\nkept\n", "## C (`c`)\n\nfirst\n"]
        );
        assert_eq!(merged("", vec!["## A\n".to_owned()]), ["## A\n"]);
    }
}
