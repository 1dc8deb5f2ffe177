//! Words of questions: splitting, stems, nearness.

/// The words in a text, lowercase; everything that is neither letter nor digit parts them.
pub(super) fn tokens(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_alphanumeric());
    parts.filter(|part| !part.is_empty()).map(str::to_lowercase).collect()
}

/// A word without the ending that only says "many": `deliveries` and `delivery` are one word.
pub(super) fn stem(word: &str) -> String {
    if let Some(root) = word.strip_suffix("ies").filter(|root| root.len() > 1) {
        return format!("{root}y");
    }
    let sibilant = ["sses", "ches", "shes", "xes", "zes"].iter().any(|ending| word.ends_with(ending));
    if let Some(root) = word.strip_suffix("es").filter(|_| sibilant) {
        return root.to_owned();
    }
    match word.strip_suffix('s') {
        Some(root) if root.len() > 2 && !root.ends_with(['s', 'u', 'i']) => root.to_owned(),
        _ => word.to_owned(),
    }
}

/// Whether two words differ by no more than a slip of the finger: one in five letters or more, two in nine or more.
pub(super) fn is_near(a: &str, b: &str) -> bool {
    let shorter = a.chars().count().min(b.chars().count());
    let allowed = match shorter {
        0..=4 => return a == b,
        5..=8 => 1,
        _ => 2,
    };
    distance(a, b) <= allowed
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// A number in digits or as a word up to twelve.
pub(super) fn number(word: &str) -> Option<u64> {
    const WORDS: [&str; 12] =
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    let at = WORDS.iter().position(|known| *known == word);
    at.map(|at| at as u64 + 1).or_else(|| word.parse().ok())
}

/// Words that a question is built of and that name nothing.
pub(super) fn is_filler(word: &str) -> bool {
    const FILLER: &[&str] = &[
        "a",
        "about",
        "all",
        "also",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "between",
        "by",
        "can",
        "could",
        "data",
        "describe",
        "detail",
        "details",
        "did",
        "display",
        "do",
        "does",
        "each",
        "every",
        "exactly",
        "explain",
        "find",
        "for",
        "from",
        "get",
        "give",
        "go",
        "has",
        "have",
        "hello",
        "hey",
        "hi",
        "how",
        "i",
        "in",
        "information",
        "into",
        "is",
        "it",
        "its",
        "know",
        "let",
        "like",
        "list",
        "look",
        "many",
        "me",
        "more",
        "much",
        "my",
        "need",
        "of",
        "on",
        "one",
        "or",
        "our",
        "out",
        "please",
        "row",
        "see",
        "show",
        "so",
        "some",
        "table",
        "tables",
        "tell",
        "that",
        "the",
        "their",
        "them",
        "there",
        "these",
        "they",
        "this",
        "to",
        "up",
        "us",
        "use",
        "view",
        "views",
        "want",
        "was",
        "we",
        "were",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "will",
        "with",
        "would",
        "you",
        "your",
    ];
    FILLER.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_join_singular_and_plural() {
        for (many, one) in [
            ("deliveries", "delivery"),
            ("orders", "order"),
            ("boxes", "box"),
            ("addresses", "address"),
            ("status", "status"),
            ("analysis", "analysis"),
            ("bus", "bus"),
        ] {
            assert_eq!(stem(many), stem(one), "{many}");
        }
    }

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        assert!(is_near("suplier", "supplier"));
        assert!(is_near("ordre", "order"));
        assert!(is_near("relatoinshisp", "relationships"));
        assert!(!is_near("plan", "plant"));
        assert!(!is_near("product", "project"));
    }

    #[test]
    fn numbers_are_digits_or_words() {
        assert_eq!(number("five"), Some(5));
        assert_eq!(number("42"), Some(42));
        assert_eq!(number("many"), None);
    }

    #[test]
    fn filler_is_sorted_for_the_search() {
        for word in ["a", "your", "tables", "between"] {
            assert!(is_filler(word), "{word}");
        }
        assert!(!is_filler("supplier"));
    }
}
