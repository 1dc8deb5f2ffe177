//! `tidewire ingest` as a process: what it reads, what it says of what it cannot read, and what it leaves alone.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tidewire_engine::query::{Body, Query};
use tidewire_engine::store::Store;
use tidewire_engine::store::sqlite::{Settings, Sqlite};

use crate::commands::{Serving, tidewire};

/// A folder with documents and a place for the data.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.dir.path().join("docs")).unwrap();
        place
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join("docs").join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Ingests the folder, without vectors: the tests need no model.
    fn ingest(&self) -> Output {
        self.command().output().unwrap()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = tidewire();
        command
            .current_dir(self.dir.path())
            .args(["ingest", "docs", "--words-only", "--data"])
            .arg(self.data());
        command
    }

    fn ingested(&self) -> String {
        let output = self.ingest();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn passages(&self) -> Vec<Body> {
        let store = Sqlite::open(Settings::new(self.data())).unwrap();
        let records = store.query(&Query::all("documents", 10_000)).await.unwrap();
        store.close().await.unwrap();
        records.into_iter().map(|record| record.body).collect()
    }
}

/// A PDF with a page for each content stream; `more` goes into its trailer.
pub(crate) fn pdf(pages: &[String], more: &str) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|page| format!("{} 0 R", 4 + 2 * page)).collect();
    let mut objects = vec![
        String::from("<< /Type /Catalog /Pages 2 0 R >>"),
        format!(
            "<< /Type /Pages /Kids [{}] /Count {} /MediaBox [0 0 612 792] >>",
            kids.join(" "),
            pages.len()
        ),
        String::from("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"),
    ];
    for (page, content) in pages.iter().enumerate() {
        let content_id = 5 + 2 * page;
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /Resources << /Font << /F1 3 0 R >> >> /Contents {content_id} 0 R >>"
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    let mut file = String::from("%PDF-1.4\n");
    let mut offsets = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file += &format!("{} 0 obj\n{object}\nendobj\n", number + 1);
    }
    let begin = file.len();
    file += &format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    offsets.iter().for_each(|offset| file += &format!("{offset:010} 00000 n \n"));
    file += &format!(
        "trailer\n<< /Size {} /Root 1 0 R {more} >>\nstartxref\n{begin}\n%%EOF\n",
        objects.len() + 1
    );
    file.into_bytes()
}

/// A heading and lines under it.
pub(crate) fn content(heading: &str, lines: &[&str]) -> String {
    let mut content = format!("BT /F1 18 Tf 72 700 Td ({heading}) Tj /F1 11 Tf 0 -30 Td ");
    lines.iter().for_each(|line| content += &format!("({line}) Tj 0 -13 Td "));
    content + "ET"
}

fn text<'a>(passage: &'a Body, member: &str) -> &'a str {
    passage.get(member).and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test]
async fn all_kinds_of_documents_become_passages_with_their_places() {
    let place = Place::new();
    place.file("guide.md", "# Guide\n\n## Keys\n\nA key opens doors.\n");
    place.file(
        "page.html",
        "<title>Page</title><h1>Tokens</h1><p>A token names its key.</p><script>no()</script>",
    );
    place.file("notes.txt", "Nobody knows\nthe trouble.\n");
    place.file("people.csv", "name,city\nAda,Rome\n");
    place.file("config.json", "{\"listen\": {\"port\": 8080}}");
    let first = content("1 Shells", &["A shell reads commands,", "one after the other."]);
    let second = content("2 Signals", &["A signal interrupts a process."]);
    place.file("manual.pdf", pdf(&[first, second], ""));
    let said = place.ingested();
    assert!(said.starts_with("documents: 6 documents, 7 passages written"), "{said}");
    let passages = place.passages().await;
    let mut seen: Vec<_> = passages
        .iter()
        .map(|passage| (text(passage, "document"), text(passage, "section"), text(passage, "text")))
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            ("docs/config.json", "", "listen: (port: 8080)"),
            ("docs/guide.md", "Guide › Keys", "A key opens doors."),
            ("docs/manual.pdf", "1 Shells", "A shell reads commands, one after the other."),
            ("docs/manual.pdf", "2 Signals", "A signal interrupts a process."),
            ("docs/notes.txt", "", "Nobody knows the trouble."),
            ("docs/page.html", "Tokens", "A token names its key."),
            ("docs/people.csv", "", "name: Ada; city: Rome"),
        ]
    );
    let signals = passages.iter().find(|passage| text(passage, "section") == "2 Signals").unwrap();
    assert_eq!((&signals["page"], text(signals, "title")), (&Value::from(2), "1 Shells"));
}

#[tokio::test]
async fn text_that_begins_its_line_itself_is_read() {
    let place = Place::new();
    let lines =
        "BT /F1 11 Tf 13 TL 72 700 Td (A shell) Tj (reads commands,) ' 2 0.5 (one by) \" <6F6E652E> ' ET";
    place.file("manual.pdf", pdf(&[lines.into(), content("Last", &["page."])], ""));
    place.ingested();
    let passages = place.passages().await;
    let texts: Vec<_> = passages.iter().map(|passage| text(passage, "text")).collect();
    assert_eq!(texts, ["A shell reads commands, one by one.", "page."]);
}

#[tokio::test]
async fn a_changed_document_replaces_its_passages_and_others_are_left_alone() {
    let place = Place::new();
    place.file("a.md", "# A\n\nOne.\n\n## B\n\nTwo.\n");
    place.file("b.md", "# Other\n\nThree.\n");
    assert!(place.ingested().contains("3 passages written"));
    assert!(place.ingested().contains("0 passages written (0 embedded), 3 unchanged, 0 removed"));
    place.file("a.md", "# A\n\nNew.\n");
    assert!(place.ingested().contains("1 passage written (0 embedded), 1 unchanged, 1 removed"));
    let passages = place.passages().await;
    let texts: Vec<_> = passages.iter().map(|passage| text(passage, "text")).collect();
    assert_eq!(texts, ["New.", "Three."]);
}

#[tokio::test]
async fn files_that_cannot_be_read_are_named_and_the_others_go_on() {
    let place = Place::new();
    place.file("good.md", "# Good\n\nThis one is fine.\n");
    place.file("broken.pdf", "%PDF-1.4\nthis is none");
    place.file("cut.pdf", &pdf(&[content("Cut", &["off"])], "")[..200]);
    place.file("scan.pdf", pdf(&[String::from("0 0 m 9 9 l S")], ""));
    let secret = "<5468697320697320746865206b65792e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e>";
    let encrypt = format!(
        "/ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>] \
         /Encrypt << /Filter /Standard /V 1 /R 2 /O {secret} /U {secret} /P -4 >>"
    );
    place.file("locked.pdf", pdf(&[content("Secret", &["text"])], &encrypt));
    place.file("picture.txt", b"\x89PNG\r\n\x1a\n\x00\xff");
    let output = place.ingest();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    for (name, why) in [
        ("broken.pdf", "is no PDF or is broken"),
        ("cut.pdf", "is no PDF or is broken"),
        ("scan.pdf", "has no text on its 1 pages"),
        ("locked.pdf", "is encrypted"),
        ("picture.txt", "is not UTF-8 text"),
    ] {
        let line = said.lines().find(|line| line.contains(name)).unwrap_or_default();
        assert!(line.contains(why), "{name}: {said}");
    }
    assert!(String::from_utf8(output.stdout).unwrap().contains("5 files left out"));
    assert_eq!(place.passages().await.len(), 1);
}

#[tokio::test]
async fn a_pdf_that_takes_too_much_is_left_out_and_the_others_go_on() {
    let place = Place::new();
    place.file("good.pdf", pdf(&[content("Good", &["This one is fine."])], ""));
    place.file("slow.pdf", pdf(&["BT /F1 11 Tf (x) Tj ET ".repeat(400_000)], ""));
    // It takes no room on the disk, and all of it in memory.
    let large = place.file("large.pdf", "%PDF-1.4\n");
    std::fs::File::options().write(true).open(large).unwrap().set_len(900 << 20).unwrap();
    let limits = ["--pdf-seconds", "2", "--pdf-memory", "700"];
    let output = place.command().args(limits).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    for name in ["slow.pdf", "large.pdf"] {
        let line = said.lines().find(|line| line.contains(name)).unwrap_or_default();
        assert!(line.contains("cannot be read within 700 MiB of memory and 2 s"), "{name}: {said}");
    }
    let passages = place.passages().await;
    assert_eq!(
        passages.iter().map(|passage| text(passage, "text")).collect::<Vec<_>>(),
        ["This one is fine."]
    );
}

#[tokio::test]
async fn an_ingest_that_is_killed_leaves_whole_documents_and_the_next_one_the_rest() {
    let place = Place::new();
    for number in 0..600 {
        place.file(
            &format!("{number:03}.md"),
            format!("# D {number}\n\nOne of {number}.\n\n## More\n\nTwo of {number}.\n"),
        );
    }
    let mut child = place.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // When a good part of it is in the folder: more than the empty tables.
    let log = place.data().join("records.db-wal");
    while std::fs::metadata(&log).map_or(0, |about| about.len()) < 1_500_000
        && child.try_wait().unwrap().is_none()
    {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = place.passages().await.len();
    assert!(before > 0 && before % 2 == 0, "{before}: documents are put as a whole");
    let said = place.ingested().replace(',', "");
    assert!(said.contains(&format!("{} passages written", 1_200 - before)), "{before} then {said}");
    let mut texts: Vec<String> =
        place.passages().await.iter().map(|passage| text(passage, "text").to_owned()).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 1_200, "all is there, and once");
}

#[tokio::test]
async fn documents_go_through_the_server_that_owns_the_folder() {
    let place = Place::new();
    place.file("a.md", "# A\n\nOne.\n");
    let server = Serving::start(&place.data());
    assert!(place.ingested().contains("1 passage written"));
    assert!(place.ingested().contains("1 unchanged"));
    drop(server);
    assert_eq!(place.passages().await.len(), 1);
}

#[test]
fn what_is_missing_is_said() {
    let place = Place::new();
    let output = place.ingest();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("there is no document"), "{said}");
    let mut command = tidewire();
    command.args(["ingest", "/nonexistent.md", "--words-only", "--data"]).arg(place.data());
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(said.contains("/nonexistent.md cannot be read") && said.contains("check the path"), "{said}");
}
