//! PDF: text that is shown by the operators `'` and `"`, said by others.
//!
//! Both begin a line and show text. The library that reads the pages knows neither and would lose what they show, so
//! contents that have them are written anew: `'` is `T*` and `Tj`, `"` is `Tw`, `Tc`, `T*` and `Tj`. All other contents
//! stay as they are.

use pdf_extract::content::{Content, Operation};
use pdf_extract::{Document, Object, ObjectId, Stream};

/// Says both operators by others, on every page and in every form that pages show.
pub(super) fn spell_out(document: &mut Document) {
    let pages: Vec<ObjectId> = document.get_pages().into_values().collect();
    for page in pages {
        spell_out_page(document, page);
    }
    for object in document.objects.values_mut() {
        if let Object::Stream(stream) = object
            && is_form(stream)
            && let Some(content) = stream.get_plain_content().ok().and_then(|content| spelled_out(&content))
        {
            stream.set_plain_content(content);
        }
    }
}

/// The contents become one stream of this page alone: others may share theirs, or parts of it.
fn spell_out_page(document: &mut Document, page: ObjectId) {
    let content = document.get_page_content(page).ok();
    let Some(content) = content.and_then(|content| spelled_out(&content)) else { return };
    let stream = document.add_object(Stream::new(pdf_extract::Dictionary::new(), content));
    if let Ok(page) = document.get_dictionary_mut(page) {
        page.set("Contents", stream);
    }
}

fn is_form(stream: &Stream) -> bool {
    stream.dict.get(b"Subtype").and_then(Object::as_name).is_ok_and(|kind| kind == b"Form")
}

/// The content without the two operators; nothing if there is nothing to do.
fn spelled_out(content: &[u8]) -> Option<Vec<u8>> {
    if !may_have_quotes(content) {
        return None;
    }
    let operations = Content::decode(content).ok()?.operations;
    if !operations.iter().any(is_quote) {
        return None;
    }
    let operations: Vec<Operation> = operations.into_iter().flat_map(by_others).collect();
    Content { operations }.encode().ok()
}

/// Whether taking it apart is worth it: the operators stand behind the end of a string.
fn may_have_quotes(content: &[u8]) -> bool {
    let is_end =
        |at: usize| content[..at].trim_ascii_end().last().is_some_and(|byte| matches!(byte, b')' | b'>'));
    content.iter().enumerate().any(|(at, byte)| matches!(byte, b'\'' | b'"') && is_end(at))
}

fn is_quote(operation: &Operation) -> bool {
    matches!(operation.operator.as_str(), "'" | "\"")
}

fn by_others(mut operation: Operation) -> Vec<Operation> {
    let one = |operator: &str, operand: Object| Operation::new(operator, vec![operand]);
    let line = || Operation::new("T*", Vec::new());
    match (operation.operator.as_str(), operation.operands.as_mut_slice()) {
        ("'", [text @ Object::String(..)]) => vec![line(), one("Tj", std::mem::replace(text, Object::Null))],
        ("\"", [words, characters, text @ Object::String(..)])
            if words.as_float().is_ok() && characters.as_float().is_ok() =>
        {
            let [words, characters, text] =
                [words, characters, text].map(|operand| std::mem::replace(operand, Object::Null));
            vec![one("Tw", words), one("Tc", characters), line(), one("Tj", text)]
        }
        // A picture between the text: it says nothing, and cannot be written as it was read.
        ("BI", _) => Vec::new(),
        _ => vec![operation],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_operators_are_said_by_others_and_the_rest_stays() {
        for (content, expected) in [
            ("BT (a) Tj (b) ' ET", Some("BT\n(a) Tj\nT*\n(b) Tj\nET")),
            ("BT <62> ' ET", Some("BT\nT*\n<62> Tj\nET")),
            ("BT 1 2.5 (b) \" ET", Some("BT\n1 Tw\n2.5 Tc\nT*\n(b) Tj\nET")),
            ("BI /W 1 /H 1 /CS /G /BPC 8 ID x EI (b)'", Some("T*\n(b) Tj")),
            ("BT (don't) Tj (say \"it\") Tj ET", None),
            ("BT ((it's) 'so') Tj ET", None),
            ("((broken '", None),
            ("", None),
        ] {
            let said = spelled_out(content.as_bytes());
            assert_eq!(said.map(|said| String::from_utf8(said).unwrap()).as_deref(), expected, "{content}");
        }
    }

    #[test]
    fn operands_that_are_none_are_left_to_the_reader() {
        for content in ["(b) ' (a) (c) '", "(b) ' (x) 1 (c) \"", "(b) ' 4 '"] {
            let said = spelled_out(content.as_bytes()).unwrap();
            assert!(String::from_utf8(said).unwrap().ends_with(['\'', '"']), "{content}");
        }
    }
}
