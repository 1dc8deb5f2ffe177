//! The few functions that generated files share in text, because they have no runtime crate to call.
//!
//! Only those that a file needs are written into it.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::quote;

/// A function or type that generated code calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Helper {
    /// `DecodeError`
    DecodeError,
    /// `Enveloped`
    Enveloped,
    /// `Bytes`, base64 on the wire
    Bytes,
    /// `read`: a whole frame, for recognition
    Read,
    /// `body`: a body, with the message's name in the error
    Body,
    /// `items_of`: the elements of an array, unread
    Items,
    /// `element`: one place of a tuple
    Element,
    /// `text_of`: a string without its quotes
    Text,
    /// `at`: a member of a member
    At,
    /// `put`: JSON behind what is there
    Put,
    /// `put_members`: an object's members behind those that are there
    PutMembers,
    /// `string`: reads a string without keeping it
    ReadString,
}

impl Helper {
    /// The helper that it calls, if it calls one.
    pub(super) fn stands_on(self) -> Option<Self> {
        match self {
            Self::Bytes => Some(Self::ReadString),
            Self::PutMembers => Some(Self::Put),
            Self::Read | Self::Body | Self::Enveloped => Some(Self::DecodeError),
            Self::DecodeError
            | Self::Items
            | Self::Element
            | Self::Text
            | Self::At
            | Self::Put
            | Self::ReadString => None,
        }
    }

    /// Its source.
    pub(super) fn tokens(self) -> TokenStream {
        match self {
            Self::DecodeError => decode_error(),
            Self::Enveloped => quote! {
                /// A message and the id by which its reply finds the one who asked.
                #[derive(Debug)]
                pub struct Enveloped<M> {
                    /// The id as it came, to be echoed as it is
                    pub id: Option<Box<RawValue>>,
                    /// The message, or why its body does not fit
                    pub message: Result<M, DecodeError>,
                }
            },
            Self::Bytes => bytes(),
            Self::Read => quote! {
                /// Reads what recognition needs of a frame.
                fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, DecodeError> {
                    serde_json::from_str(text).map_err(DecodeError::NotJson)
                }
            },
            Self::Body => quote! {
                /// Reads a body.
                fn body<'a, T: Deserialize<'a>>(message: &'static str, text: &'a str) -> Result<T, DecodeError> {
                    serde_json::from_str(text).map_err(|error| DecodeError::Body { message, error })
                }
            },
            Self::Items => quote! {
                /// The elements of an array.
                fn items_of(text: &str) -> Result<VecDeque<Box<RawValue>>, serde_json::Error> {
                    serde_json::from_str(text)
                }
            },
            Self::Element => quote! {
                /// Reads the next element of a tuple, if there is one.
                fn element<T: for<'a> Deserialize<'a>>(
                    items: &mut VecDeque<Box<RawValue>>,
                ) -> Result<Option<T>, serde_json::Error> {
                    items.pop_front().map(|raw| serde_json::from_str(raw.get())).transpose()
                }
            },
            Self::Text => quote! {
                /// The text of a JSON string, borrowed if nothing in it is escaped.
                fn text_of(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
                    let raw = raw?.get();
                    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
                    if inner.contains('\\') {
                        return serde_json::from_str(raw).ok().map(Cow::Owned);
                    }
                    Some(Cow::Borrowed(inner))
                }
            },
            Self::At => quote! {
                /// The member at a path, if everything on the way is an object.
                fn at<'a>(raw: Option<&'a RawValue>, path: &[&str]) -> Option<&'a RawValue> {
                    path.iter().try_fold(raw?, |raw, name| {
                        let members: BTreeMap<Cow<'a, str>, &'a RawValue> = serde_json::from_str(raw.get()).ok()?;
                        members.get(*name).copied()
                    })
                }
            },
            Self::Put => quote! {
                /// Writes a value behind what is there.
                fn put<T: Serialize>(out: &mut Vec<u8>, value: &T) {
                    serde_json::to_writer(out, value).expect("wire types have string keys, and a Vec takes every byte");
                }
            },
            Self::PutMembers => quote! {
                /// Writes an object whose first members are in `head`, which lacks only the closing brace.
                fn put_members<T: Serialize>(out: &mut Vec<u8>, head: &str, body: &T) {
                    out.extend_from_slice(head.as_bytes());
                    let start = out.len();
                    put(out, body);
                    join(out, start);
                }

                /// Joins the members or elements from `start` on to those before it.
                fn join(out: &mut Vec<u8>, start: usize) {
                    if out.len() == start + 2 {
                        out.remove(start);
                    } else {
                        out[start] = b',';
                    }
                }
            },
            Self::ReadString => quote! {
                /// Makes a value of a string without keeping the string.
                fn string<'de, D: Deserializer<'de>, T>(deserializer: D, make: fn(&str) -> T) -> Result<T, D::Error> {
                    struct Reader<T>(fn(&str) -> T);
                    impl<T> serde::de::Visitor<'_> for Reader<T> {
                        type Value = T;
                        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                            f.write_str("a string")
                        }
                        fn visit_str<E>(self, text: &str) -> Result<T, E> {
                            Ok((self.0)(text))
                        }
                    }
                    deserializer.deserialize_str(Reader(make))
                }
            },
        }
    }
}

fn decode_error() -> TokenStream {
    quote! {
        /// Why a frame could not be read. A message that nobody knows is no error; it is kept as unknown.
        #[derive(Debug)]
        pub enum DecodeError {
            /// The frame is not JSON, or names a member twice
            NotJson(serde_json::Error),
            /// The message was recognised, but its body does not fit
            Body {
                /// Id of the message
                message: &'static str,
                /// What does not fit
                error: serde_json::Error,
            },
        }

        impl std::fmt::Display for DecodeError {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    Self::NotJson(error) => write!(f, "the frame is not JSON: {error}"),
                    Self::Body { message, error } => write!(f, "{message} does not fit: {error}"),
                }
            }
        }

        impl std::error::Error for DecodeError {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                match self {
                    Self::NotJson(error) | Self::Body { error, .. } => Some(error),
                }
            }
        }
    }
}

fn bytes() -> TokenStream {
    quote! {
        /// Bytes that are base64 text inside JSON.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Bytes(pub Vec<u8>);

        impl Serialize for Bytes {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use base64::Engine as _;
                serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(&self.0))
            }
        }

        impl<'de> Deserialize<'de> for Bytes {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use base64::Engine as _;
                let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text);
                string(deserializer, decode)?.map(Self).map_err(serde::de::Error::custom)
            }
        }
    }
}

/// What the file brings into scope: only what it uses, so that no warning is left.
pub(super) fn imports(helpers: &BTreeSet<Helper>, body: &TokenStream) -> TokenStream {
    let mut used = BTreeSet::new();
    collect_idents(body.clone(), &mut used);
    for helper in helpers {
        collect_idents(helper.tokens(), &mut used);
    }
    let has = |name: &str| used.contains(name);
    let mut lines = Vec::new();
    if has("Cow") {
        lines.push(quote!(
            use std::borrow::Cow;
        ));
    }
    match (has("BTreeMap"), has("VecDeque")) {
        (true, true) => lines.push(quote!(
            use std::collections::{BTreeMap, VecDeque};
        )),
        (true, false) => lines.push(quote!(
            use std::collections::BTreeMap;
        )),
        (false, true) => lines.push(quote!(
            use std::collections::VecDeque;
        )),
        (false, false) => {}
    }
    let serde: Vec<_> = ["Deserialize", "Deserializer", "Serialize", "Serializer"]
        .into_iter()
        .filter(|name| has(name))
        .map(crate::names::rust_ident)
        .collect();
    match serde.as_slice() {
        [] => {}
        [one] => lines.push(quote!(use serde::#one;)),
        several => lines.push(quote!(use serde::{#(#several),*};)),
    }
    if has("RawValue") {
        lines.push(quote!(
            use serde_json::value::RawValue;
        ));
    }
    quote!(#(#lines)*)
}

/// Whether an identifier occurs in the tokens.
pub(super) fn mentions(tokens: &TokenStream, ident: &str) -> bool {
    let mut used = BTreeSet::new();
    collect_idents(tokens.clone(), &mut used);
    used.contains(ident)
}

fn collect_idents(tokens: TokenStream, into: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Ident(ident) => {
                into.insert(ident.to_string());
            }
            proc_macro2::TokenTree::Group(group) => collect_idents(group.stream(), into),
            proc_macro2::TokenTree::Punct(_) | proc_macro2::TokenTree::Literal(_) => {}
        }
    }
}
