//! MessagePack frames, as the same shapes in JSON and back.
//!
//! Neither direction builds a tree: values are written as they are read. What goes out has named members and never
//! `bin`, which clients do not take; what comes in may have it: sixteen bytes are a UUID, others a list of numbers, and so
//! is text that is not UTF-8.

use std::fmt;
use std::io::Cursor;

use serde::de::{DeserializeSeed, Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};

/// How deep values nest at most, in either format.
pub const MAX_DEPTH: usize = 100;

/// Why a MessagePack frame could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong and what to do, in a sentence.
    pub message: String,
    /// The value as JSON, if one was read and only what follows it is wrong.
    pub json: Option<String>,
}

/// One MessagePack value as JSON text. Members named by numbers are named by their digits.
///
/// # Errors
/// When it is not MessagePack, nests too deep, has an extension type or a number that JSON has not, or something follows it.
pub fn to_json(bytes: &[u8]) -> Result<String, Unreadable> {
    let mut json = Vec::with_capacity(bytes.len() * 2);
    let mut reader = rmp_serde::Deserializer::new(Cursor::new(bytes));
    reader.set_max_depth(MAX_DEPTH);
    reader.deserialize_any(ToJson(&mut json)).map_err(|error| Unreadable {
        message: format!(
            "the frame is not MessagePack of this dialect: {error}; send one map with string keys"
        ),
        json: None,
    })?;
    // What the visitor writes is made of strings and digits.
    let json = String::from_utf8(json).unwrap_or_default();
    let read = usize::try_from(reader.position()).unwrap_or(usize::MAX);
    match bytes.len().saturating_sub(read) {
        0 => Ok(json),
        rest => Err(Unreadable {
            message: format!("{rest} bytes follow the message; send one message a frame"),
            json: Some(json),
        }),
    }
}

struct ToJson<'a>(&'a mut Vec<u8>);

/// Writes a value that always has a JSON form.
fn put<T: serde::Serialize + ?Sized, E: serde::de::Error>(out: &mut Vec<u8>, value: &T) -> Result<(), E> {
    serde_json::to_writer(out, value).map_err(E::custom)
}

impl<'de> Visitor<'de> for ToJson<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        put(self.0, &value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        put(self.0, &value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        put(self.0, &value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        if !value.is_finite() {
            return Err(E::custom("numbers must be finite"));
        }
        put(self.0, &value)
    }

    fn visit_f32<E: serde::de::Error>(self, value: f32) -> Result<(), E> {
        self.visit_f64(f64::from(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        put(self.0, value)
    }

    fn visit_bytes<E: serde::de::Error>(self, value: &[u8]) -> Result<(), E> {
        match <[u8; 16]>::try_from(value) {
            Ok(bytes) => put(self.0, &hyphenated(bytes)),
            Err(_) => put(self.0, value),
        }
    }

    fn visit_newtype_struct<D: serde::Deserializer<'de>>(self, _: D) -> Result<(), D::Error> {
        Err(D::Error::custom("extension types are not taken"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.push(b'[');
        let mut first = true;
        while items.next_element_seed(Item { out: self.0, comma: !std::mem::take(&mut first) })?.is_some() {}
        self.0.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.push(b'{');
        let mut first = true;
        while members.next_key_seed(Name { out: self.0, comma: !std::mem::take(&mut first) })?.is_some() {
            self.0.push(b':');
            members.next_value_seed(Item { out: self.0, comma: false })?;
        }
        self.0.push(b'}');
        Ok(())
    }
}

/// The text of a UUID (RFC 9562 §4).
fn hyphenated(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// A value, behind a comma if it is not the first.
struct Item<'a> {
    out: &'a mut Vec<u8>,
    comma: bool,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        if self.comma {
            self.out.push(b',');
        }
        reader.deserialize_any(ToJson(self.out))
    }
}

/// A member's name, behind a comma if it is not the first.
struct Name<'a> {
    out: &'a mut Vec<u8>,
    comma: bool,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        if self.comma {
            self.out.push(b',');
        }
        reader.deserialize_any(ToName(self.out))
    }
}

struct ToName<'a>(&'a mut Vec<u8>);

impl Visitor<'_> for ToName<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<(), E> {
        put(self.0, name)
    }

    fn visit_u64<E: serde::de::Error>(self, name: u64) -> Result<(), E> {
        put(self.0, &name.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, name: i64) -> Result<(), E> {
        put(self.0, &name.to_string())
    }
}

/// JSON text as MessagePack, or nothing if it is not JSON or nests too deep for it.
pub fn from_json(json: &[u8]) -> Option<Vec<u8>> {
    let mut packed = Vec::with_capacity(json.len());
    append_json(&mut packed, json)?;
    Some(packed)
}

/// The same, behind what is there. What is there is spoilt if it fails.
pub fn append_json(out: &mut Vec<u8>, json: &[u8]) -> Option<()> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    reader.deserialize_any(ToPack(out)).ok()?;
    reader.end().ok()
}

/// Containers keep five bytes for their length until it is known; small ones give four back.
const HEAD: usize = 5;
/// Content up to this size is moved to give bytes back; more is not worth the moving.
const WORTH_MOVING: usize = 4096;

struct ToPack<'a>(&'a mut Vec<u8>);

/// Memory takes every byte.
fn written<T, X, E: serde::de::Error>(result: Result<T, X>) -> Result<(), E> {
    result.map(|_| ()).map_err(|_| E::custom("memory ended"))
}

impl<'de> Visitor<'de> for ToPack<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        written(rmp::encode::write_nil(self.0))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        written(rmp::encode::write_bool(self.0, value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        written(rmp::encode::write_sint(self.0, value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        written(rmp::encode::write_uint(self.0, value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        written(rmp::encode::write_f64(self.0, value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        written(rmp::encode::write_str(self.0, value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let start = begin(self.0);
        let mut count = 0;
        while items.next_element_seed(Packed(self.0))?.is_some() {
            count += 1;
        }
        end(self.0, start, count, ARRAY);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let start = begin(self.0);
        let mut count = 0;
        while members.next_key_seed(Packed(self.0))?.is_some() {
            members.next_value_seed(Packed(self.0))?;
            count += 1;
        }
        end(self.0, start, count, MAP);
        Ok(())
    }
}

struct Packed<'a>(&'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Packed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(ToPack(self.0))
    }
}

/// A kind of container: its marker with a length of four bits, and with one of four bytes.
#[derive(Clone, Copy)]
struct Container {
    short: u8,
    long: u8,
}

const ARRAY: Container = Container { short: 0x90, long: 0xdd };
const MAP: Container = Container { short: 0x80, long: 0xdf };

fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    start
}

fn end(out: &mut Vec<u8>, start: usize, count: u32, kind: Container) {
    let small = count < 16 && out.len() - start - HEAD <= WORTH_MOVING;
    if small {
        out[start] = kind.short | count as u8;
        out.copy_within(start + HEAD.., start + 1);
        out.truncate(out.len() - (HEAD - 1));
    } else {
        out[start] = kind.long;
        out[start + 1..start + HEAD].copy_from_slice(&count.to_be_bytes());
    }
}

/// Writes the head of an array of so many elements.
pub(super) fn array_head(out: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let start = begin(out);
    end(out, start, count, ARRAY);
}

/// Whether JSON text nests deeper than [`MAX_DEPTH`]. Text that is not JSON gives either.
pub(super) fn is_too_deep(json: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn back(value: &Value) {
        let packed = from_json(value.to_string().as_bytes()).unwrap();
        let read: Value = serde_json::from_str(&to_json(&packed).unwrap()).unwrap();
        assert_eq!(read, *value);
        assert_eq!(rmp_serde::from_slice::<Value>(&packed).unwrap(), *value);
    }

    #[test]
    fn values_come_back_as_they_were() {
        back(&json!({"a": [1, -1, 1.5, u64::MAX, i64::MIN, true, null, "ä\"\\"], "b": {}, "": []}));
        let wide: Vec<u32> = (0..70_000).collect();
        back(&json!({ "wide": wide, "few but long": ["x".repeat(9000)] }));
        let many: serde_json::Map<String, Value> = (0..40).map(|n| (n.to_string(), json!([n]))).collect();
        back(&Value::Object(many));
    }

    #[test]
    fn small_containers_are_small() {
        assert_eq!(from_json(br#"{"a":[1]}"#).unwrap(), [0x81, 0xa1, b'a', 0x91, 1]);
    }

    #[test]
    fn bytes_are_a_uuid_or_numbers() {
        let mut uuid = vec![0xc4, 16];
        uuid.extend(0u8..16);
        assert_eq!(to_json(&uuid).unwrap(), "\"00010203-0405-0607-0809-0a0b0c0d0e0f\"");
        assert_eq!(to_json(&[0xc4, 2, 1, 255]).unwrap(), "[1,255]");
        assert_eq!(to_json(&[0xa1, 255]).unwrap(), "[255]");
    }

    #[test]
    fn what_json_has_not_is_refused() {
        let deep = [vec![0x91; MAX_DEPTH + 30], vec![0xc0]].concat();
        let nan = [vec![0xcb], f64::NAN.to_be_bytes().to_vec()].concat();
        let cut = vec![0x82, 0xa1, b'a', 1];
        let huge = vec![0xdd, 0xff, 0xff, 0xff, 0xff];
        for bad in [deep, nan, cut, huge, vec![0xd4, 1, 2], vec![0x81, 0xc0, 1], vec![]] {
            assert!(to_json(&bad).is_err_and(|error| error.json.is_none()), "{bad:?}");
        }
    }

    #[test]
    fn what_follows_is_refused_but_what_was_read_is_known() {
        let error = to_json(&[0x81, 0xa1, b'a', 7, 0xc0]).unwrap_err();
        assert_eq!(error.json.as_deref(), Some(r#"{"a":7}"#));
        assert!(error.message.contains("1 bytes follow"), "{}", error.message);
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        assert!(!is_too_deep(&format!("\"{}\\\"{}\"", "[".repeat(200), "{".repeat(200))));
        assert!(!is_too_deep(&"[".repeat(MAX_DEPTH)));
        assert!(is_too_deep(&"[".repeat(MAX_DEPTH + 1)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(json) = to_json(&bytes) {
                prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{json}");
            }
            let _ = from_json(&bytes);
        }
    }
}
