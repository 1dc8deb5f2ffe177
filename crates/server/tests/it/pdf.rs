//! PDFs that are broken in ways nobody thought of: each is read in a process of its own, so whatever it holds, the
//! child ends, `tidewire ingest` goes on, and one sentence says what is wrong with that file.

use std::io::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, FileFailurePersistence};

use crate::ingest::{Place, content, pdf};

/// Nothing here is large, so a child that needs more than this hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the file is wrong, and what is to be said of it.
const WRONG: [&str; 4] =
    ["is no PDF or is broken", "is encrypted", "has no text", "cannot be read within 512 MiB"];

/// Objects that stand in real files: a nested tree of pages, compressed contents, a font with widths and one of two
/// bytes a character with a table of what they mean, a form inside the page, a picture, a title.
fn rich() -> Vec<u8> {
    let packed = |text: &str| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let stream = |dictionary: &str, data: &[u8]| {
        let head = format!("<< {dictionary} /Length {} >>\nstream\n", data.len());
        [head.as_bytes(), data, b"\nendstream"].concat()
    };
    let meanings = "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def \
        1 begincodespacerange <0000> <FFFF> endcodespacerange 2 beginbfchar <0001> <0054> <0002> <00650061> endbfchar \
        1 beginbfrange <0010> <0020> <0041> endbfrange endcmap end end";
    let text = "q 1 0 0 1 10 20 cm BT /F1 12 Tf 72 700 Td [(Green) -250 (tea)] TJ T* (and more) ' ET \
        BT /F2 11 Tf 1 0 0 1 72 600 Tm <000100020010> Tj ET /X1 Do Q";
    let form = "BT /F1 9 Tf 72 500 Td (in a form) Tj ET";
    let object = |text: &str| text.as_bytes().to_vec();
    written(&[
        object("<< /Type /Catalog /Pages 2 0 R >>"),
        object("<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 612 792] >>"),
        object("<< /Type /Pages /Parent 2 0 R /Kids [4 0 R] /Count 1 /Resources 5 0 R >>"),
        object("<< /Type /Page /Parent 3 0 R /Contents [6 0 R] /Rotate 90 >>"),
        object("<< /Font << /F1 7 0 R /F2 8 0 R >> /XObject << /X1 11 0 R /I1 12 0 R >> >>"),
        stream("/Filter /FlateDecode", &packed(text)),
        object(
            "<< /Type /Font /Subtype /TrueType /BaseFont /Tea /FirstChar 32 /LastChar 34 /Widths [250 300 400] \
             /Encoding << /Type /Encoding /BaseEncoding /WinAnsiEncoding /Differences [39 /quotesingle 96 /grave] >> >>",
        ),
        object(
            "<< /Type /Font /Subtype /Type0 /BaseFont /Tea2 /Encoding /Identity-H /DescendantFonts [9 0 R] /ToUnicode 10 0 R >>",
        ),
        object(
            "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Tea2 /FontDescriptor << /Type /FontDescriptor /FontName /Tea2 /Flags 4 >> \
             /DW 600 /W [1 [500 600] 16 32 700] \
             /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
        ),
        stream("/Filter /FlateDecode", &packed(meanings)),
        stream("/Type /XObject /Subtype /Form /BBox [0 0 99 99] /Resources 5 0 R", form.as_bytes()),
        stream(
            "/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8",
            &[7],
        ),
        object("<< /Title <FEFF00540065> /Producer (test) >>"),
    ])
}

fn written(objects: &[Vec<u8>]) -> Vec<u8> {
    let (mut file, mut offsets) = (b"%PDF-1.5\n".to_vec(), Vec::new());
    for (number, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file.extend(format!("{} 0 obj\n", number + 1).bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let (begin, size) = (file.len(), objects.len() + 1);
    file.extend(format!("xref\n0 {size}\n0000000000 65535 f \n").bytes());
    offsets.iter().for_each(|offset| file.extend(format!("{offset:010} 00000 n \n").bytes()));
    file.extend(
        format!(
            "trailer\n<< /Size {size} /Root 1 0 R /Info {} 0 R >>\nstartxref\n{begin}\n%%EOF\n",
            size - 1
        )
        .bytes(),
    );
    file
}

fn plain() -> Vec<u8> {
    pdf(&[content("Tea", &["Green tea is made", "of leaves."]), content("More", &["Of it."])], "")
}

/// Ingests a folder of these files and looks at what is said of them.
#[track_caller]
fn check(files: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let place = Place::new();
    for (number, file) in files.iter().enumerate() {
        place.file(&format!("file-{number}.pdf"), file);
    }
    let began = Instant::now();
    let output = place.command().args(["--pdf-seconds", "2", "--pdf-memory", "512"]).output().unwrap();
    let (out, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    prop_assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
    prop_assert!(matches!(output.status.code(), Some(0 | 1)), "{}: {out}{said}", output.status);
    prop_assert!(!said.contains("panicked"), "{said}");
    let mut left_out = 0;
    for number in 0..files.len() {
        let name = format!("file-{number}.pdf");
        let lines: Vec<&str> = said.lines().filter(|line| line.contains(&name)).collect();
        let wrong = |line: &&str| WRONG.iter().any(|wrong| line.contains(wrong));
        let failed = lines.iter().copied().filter(wrong).count();
        prop_assert!(failed <= 1, "{name} has more than one sentence: {said}");
        // What can be read in part has a note.
        prop_assert!(
            lines.iter().all(|line| wrong(line) || line.contains("cannot be read:")),
            "{name}: {said}"
        );
        left_out += failed;
    }
    let whole = files.len() - left_out;
    let s = if whole == 1 { "" } else { "s" };
    prop_assert!(out.contains(&format!(": {whole} document{s},")), "{whole} were to be taken: {out}{said}");
    prop_assert_eq!(output.status.success(), left_out == 0);
    Ok(())
}

/// What befalls a file.
#[derive(Debug, Clone)]
enum Harm {
    /// These bytes are others.
    Bytes(Vec<(Index, u8)>),
    /// A number is another one.
    Number(Index, i64),
    /// A word is another one that means something.
    Word(Index, &'static str),
    /// What lies between two places is gone, or there twice.
    Gone(Index, Index),
    Twice(Index, Index),
}

impl Harm {
    fn befall(&self, file: &mut Vec<u8>) {
        match self {
            Self::Bytes(bytes) => bytes.iter().for_each(|(at, byte)| *at.get_mut(file) = *byte),
            Self::Number(which, number) => {
                replace(file, which, &number.to_string(), |byte| byte.is_ascii_digit());
            }
            Self::Word(which, word) => replace(file, which, word, |byte| byte.is_ascii_alphabetic()),
            Self::Gone(one, other) => drop(file.drain(between(file, one, other))),
            Self::Twice(one, other) => {
                let span = between(file, one, other);
                let (end, again) = (span.end, file[span].to_vec());
                file.splice(end..end, again);
            }
        }
    }
}

fn between(file: &[u8], one: &Index, other: &Index) -> Range<usize> {
    let (one, other) = (one.index(file.len()), other.index(file.len()));
    one.min(other)..one.max(other)
}

/// Another text in the place of one of the stretches of such bytes.
fn replace(file: &mut Vec<u8>, which: &Index, with: &str, belongs: fn(&u8) -> bool) {
    let begins = (0..file.len()).filter(|at| belongs(&file[*at]) && (*at == 0 || !belongs(&file[at - 1])));
    let begins: Vec<usize> = begins.collect();
    if !begins.is_empty() {
        let begin = *which.get(&begins);
        let end = begin + file[begin..].iter().take_while(|byte| belongs(byte)).count();
        file.splice(begin..end, with.bytes());
    }
}

fn harm() -> impl Strategy<Value = Harm> {
    let words = [
        "Kids",
        "Parent",
        "Pages",
        "Page",
        "Length",
        "Filter",
        "FlateDecode",
        "LZWDecode",
        "ASCII85Decode",
        "Encrypt",
        "ObjStm",
        "XRef",
        "Prev",
        "Type0",
        "Type3",
        "Contents",
        "Widths",
        "obj",
        "endobj",
        "stream",
        "R",
        "Do",
        "Tf",
    ];
    let number =
        prop_oneof![-2..14_i64, Just(i64::MAX), Just(i64::MIN), Just(i64::from(i32::MAX) + 1), any::<i64>()];
    prop_oneof![
        prop::collection::vec(any::<(Index, u8)>(), 1..20).prop_map(Harm::Bytes),
        (any::<Index>(), number).prop_map(|(which, number)| Harm::Number(which, number)),
        (any::<Index>(), prop::sample::select(words.to_vec()))
            .prop_map(|(which, word)| Harm::Word(which, word)),
        any::<(Index, Index)>().prop_map(|(one, other)| Harm::Gone(one, other)),
        any::<(Index, Index)>().prop_map(|(one, other)| Harm::Twice(one, other)),
    ]
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    let real = prop_oneof![1 => Just(plain()), 3 => Just(rich())];
    let harmed = (real, prop::collection::vec(harm(), 1..4)).prop_map(|(mut file, harms)| {
        for harm in harms {
            if !file.is_empty() {
                harm.befall(&mut file);
            }
        }
        file
    });
    let noise = prop::collection::vec(any::<u8>(), 0..400);
    let begun = noise.clone().prop_map(|noise| [b"%PDF-1.7\n".as_slice(), &noise].concat());
    prop_oneof![8 => harmed, 1 => noise, 1 => begun]
}

#[test]
fn the_files_that_are_harmed_are_whole() {
    let place = Place::new();
    place.file("rich.pdf", rich());
    place.file("plain.pdf", plain());
    let output = place.command().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("2 documents"), "{output:?}");
    assert_eq!(output.stderr, b"");
}

#[test]
fn a_pdf_that_ends_too_early_is_named_or_read_in_part() {
    let (rich, plain) = (rich(), plain());
    let cut =
        |file: &[u8]| (0..file.len()).step_by(file.len() / 25).map(|end| file[..end].to_vec()).collect();
    let files: [Vec<Vec<u8>>; 2] = [cut(&rich), cut(&plain)];
    check(&files.concat()).unwrap();
}

proptest! {
    #![proptest_config(Config {
        cases: 3,
        max_shrink_iters: 40,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..Config::default()
    })]

    #[test]
    fn whatever_is_in_a_pdf_one_sentence_says_what_is_wrong(files in prop::collection::vec(file(), 40)) {
        check(&files)?;
    }
}
