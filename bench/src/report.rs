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

/// Writes all sections to one page.
pub(crate) fn write(path: &Path, sections: &[Section]) -> io::Result<()> {
    let body: Vec<_> = sections.iter().map(ToString::to_string).collect();
    fs::write(path, format!("{}\n{}", head(), body.join("\n")))
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
