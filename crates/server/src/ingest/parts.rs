//! The parts of a passage that are embedded by themselves beside it: a passage is about several things, a sentence
//! about one.

use super::chunk::{BETWEEN, Chunk, sentences, tokens};

/// Shorter sentences and lines go with the next one: a term stands before its description.
const LEAST: usize = 10;
/// So many of a passage's headings stand before a part, the innermost ones.
const HEADINGS: usize = 2;

/// What is embedded of a passage's parts; nothing if it has but one.
pub(super) fn parts(title: &str, chunk: &Chunk) -> Vec<String> {
    let cut = cut(&chunk.text);
    if cut.len() < 2 {
        return Vec::new();
    }
    let place = place(chunk.section.as_deref().unwrap_or(title));
    cut.into_iter().map(|part| format!("{place}\n{part}")).collect()
}

/// Its sentences and lines.
fn cut(text: &str) -> Vec<String> {
    let (mut parts, mut open) = (Vec::<String>::new(), String::new());
    for sentence in text.lines().flat_map(sentences) {
        if !open.is_empty() {
            open.push(' ');
        }
        open.push_str(sentence.trim());
        if tokens(&open) >= LEAST {
            parts.push(std::mem::take(&mut open));
        }
    }
    match parts.last_mut() {
        Some(last) if !open.is_empty() => last.extend([" ", &open]),
        None if !open.is_empty() => parts.push(open),
        _ => {}
    }
    parts
}

/// The innermost headings without their numbers.
fn place(section: &str) -> String {
    let headings: Vec<&str> = section.split(BETWEEN).map(unnumbered).collect();
    headings[headings.len().saturating_sub(HEADINGS)..].join(BETWEEN)
}

fn unnumbered(heading: &str) -> &str {
    match heading.split_once(' ') {
        Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit() || b == b'.') => rest,
        _ => heading,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_and_lines_are_parts_under_their_headings() {
        let text = "A key opens doors that are closed to others who have none. It is shown once.\nTMOUT\n\
                    The shell logs you out when nothing was typed for so many seconds.\nEnd.";
        let chunk =
            Chunk {
                section: Some("1 Guide › 1.2 Keys › 1.2.3 Time".into()), page: None, text: text.into()
            };
        assert_eq!(
            parts("Manual", &chunk),
            [
                "Keys › Time\nA key opens doors that are closed to others who have none.",
                "Keys › Time\nIt is shown once. TMOUT The shell logs you out when nothing was typed for so many seconds. End.",
            ]
        );
        let short = Chunk { section: None, text: "A token names its key.".into(), ..chunk };
        assert_eq!(parts("Manual", &short), [""; 0]);
    }
}
