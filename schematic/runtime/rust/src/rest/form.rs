//! Forms: `multipart/form-data` and `application/x-www-form-urlencoded`.
//!
//! A form is written out before it is sent, so that a repeated request says the same bytes.

use serde::Serialize;

use crate::{Error, ErrorKind, segment};

/// A file of a form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upload {
    /// Name of the file, as the server sees it
    pub file_name: String,
    /// Media type; empty for `application/octet-stream`
    pub content_type: String,
    /// What it holds
    pub bytes: Vec<u8>,
}

impl Upload {
    /// A file without a media type of its own.
    pub fn new(file_name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { file_name: file_name.into(), content_type: String::new(), bytes: bytes.into() }
    }
}

/// The fields of a form, in order. Those that are absent are not written.
#[derive(Debug, Default)]
pub struct Form {
    parts: Vec<Part>,
    pub(super) problem: Option<Error>,
}

#[derive(Debug)]
struct Part {
    name: String,
    file_name: Option<String>,
    content_type: Option<String>,
    bytes: Vec<u8>,
}

impl Form {
    /// A form without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// A field with text.
    pub fn text(self, name: &str, value: Option<&String>) -> Self {
        match value {
            Some(text) => self.part(name, None, None, text.clone().into_bytes()),
            None => self,
        }
    }

    /// A field with JSON.
    pub fn json<T: Serialize>(mut self, name: &str, value: Option<&T>) -> Self {
        let Some(value) = value else { return self };
        match serde_json::to_vec(value) {
            Ok(bytes) => self.part(name, None, Some("application/json".into()), bytes),
            Err(error) => {
                let message = format!("The form field `{name}` cannot be written as JSON: {error}");
                self.problem.get_or_insert(Error::new(ErrorKind::Shape, message));
                self
            }
        }
    }

    /// Files under one name.
    pub fn files<'a>(self, name: &str, files: impl IntoIterator<Item = &'a Upload>) -> Self {
        files.into_iter().fold(self, |form, file| form.file(name, file))
    }

    fn file(mut self, name: &str, file: &Upload) -> Self {
        let content_type = match file.content_type.as_str() {
            "" => "application/octet-stream",
            // It stands in a line of its own, which it may not end.
            given if given.bytes().all(|b| (0x20..0x7f).contains(&b)) => given,
            _ => {
                let message =
                    format!("The media type of a file in `{name}` is none; give one such as audio/mpeg");
                self.problem.get_or_insert(Error::new(ErrorKind::Shape, message));
                return self;
            }
        };
        self.part(name, Some(file.file_name.clone()), Some(content_type.into()), file.bytes.clone())
    }

    fn part(
        mut self,
        name: &str,
        file_name: Option<String>,
        content_type: Option<String>,
        bytes: Vec<u8>,
    ) -> Self {
        self.parts.push(Part { name: name.into(), file_name, content_type, bytes });
        self
    }

    /// The media type and bytes of `multipart/form-data`.
    pub(super) fn multipart(&self) -> (String, Vec<u8>) {
        // 128 bits of chance: it occurs in no file.
        let boundary = format!("schematic-{:032x}", rand::random::<u128>());
        let mut out = Vec::new();
        for part in &self.parts {
            out.extend_from_slice(part.head(&boundary).as_bytes());
            out.extend_from_slice(&part.bytes);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={boundary}"), out)
    }

    /// The bytes of `application/x-www-form-urlencoded`.
    pub(super) fn urlencoded(&self) -> Vec<u8> {
        let pair = |part: &Part| {
            format!("{}={}", segment(&part.name), segment(String::from_utf8_lossy(&part.bytes)))
        };
        self.parts.iter().map(pair).collect::<Vec<_>>().join("&").into_bytes()
    }
}

impl Part {
    fn head(&self, boundary: &str) -> String {
        let mut head =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(&self.name));
        if let Some(file_name) = &self.file_name {
            head += &format!("; filename=\"{}\"", quoted(file_name));
        }
        if let Some(content_type) = &self.content_type {
            head += &format!("\r\nContent-Type: {content_type}");
        }
        head + "\r\n\r\n"
    }
}

/// A name between quotes, as HTML says: UTF-8, with what would end the name or its line percent-encoded.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
