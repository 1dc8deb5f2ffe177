//! Writes the enum of a direction's messages, with the code that reads and writes frames.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use schematic_define::{BodyKind, Envelope, FrameKind, Layout, Type};

use super::helpers::{Helper, mentions};
use super::select::{self, Case, Peek};
use super::types::head;
use super::{Output, doc};
use crate::ir::{Direction, Message, Test, TypeKind, Writes};
use crate::names::rust_ident;

/// The enum and its `decode` and `encode`.
pub(super) fn declare(output: &Output, direction: &Direction) -> TokenStream {
    output.need(Helper::DecodeError);
    let name = rust_ident(&direction.name);
    let idents: Vec<Ident> = direction.messages.iter().map(|m| rust_ident(&m.name)).collect();
    let docs = direction.messages.iter().map(|m| doc(&m.description, &format!("The message `{}`", m.wire)));
    let bodies: Vec<TokenStream> = direction.messages.iter().map(|m| output.ty(&m.body)).collect();
    let binary = has_binary(direction);
    let unknown_binary =
        binary.then(|| quote!(/** A binary frame that is none of these */ UnknownBinary(Vec<u8>),));
    let about = format!(" Everything that one side says: {}.", list(direction));
    let decode = decode(output, direction);
    let encode = encode(output, direction);
    quote! {
        #[doc = #about]
        #[derive(Debug, Clone, PartialEq)]
        #[allow(clippy::large_enum_variant, reason = "a message is moved once, from the frame to its consumer")]
        #[allow(clippy::enum_variant_names, reason = "the names are the definition's")]
        pub enum #name {
            #(#docs #idents(#bodies),)*
            /// A message that is none of these, kept as it came
            Unknown {
                /// Its tag, if it has one; of other values than strings the JSON
                tag: Option<String>,
                /// The frame's text
                raw: String,
            },
            #unknown_binary
        }

        impl #name {
            #decode
            #encode
        }
    }
}

fn list(direction: &Direction) -> String {
    let names: Vec<&str> = direction.messages.iter().map(|m| m.name.as_str()).collect();
    match names.split_last() {
        None => "nothing".into(),
        Some((last, [])) => (*last).into(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

fn has_binary(direction: &Direction) -> bool {
    direction.messages.iter().any(|m| m.frame == FrameKind::Binary)
}

fn decode(output: &Output, direction: &Direction) -> TokenStream {
    let text = decode_text(output, direction);
    let binary = direction.messages.iter().any(|m| m.frame != FrameKind::Text);
    let binary = binary.then(|| decode_binary(output, direction));
    quote!(#text #binary)
}

/// The result type of decoding: with an envelope, a bad body still comes with its id.
fn result_type(output: &Output) -> TokenStream {
    match output.api.envelope {
        Some(_) => {
            output.need(Helper::Enveloped);
            quote!(Result<Enveloped<Self>, DecodeError>)
        }
        None => quote!(Result<Self, DecodeError>),
    }
}

fn decode_text(output: &Output, direction: &Direction) -> TokenStream {
    let messages: Vec<&Message> =
        direction.messages.iter().filter(|m| m.frame != FrameKind::Binary).collect();
    let body = recognise(output, direction, &messages);
    let result = result_type(output);
    quote! {
        /// Reads a text frame: one look at the members that tell messages apart, then the one body that it has.
        ///
        /// # Errors
        /// When the frame is not JSON, or the body of a recognised message does not fit.
        pub fn decode(text: &str) -> #result {
            #body
        }
    }
}

fn decode_binary(output: &Output, direction: &Direction) -> TokenStream {
    let json: Vec<&Message> = direction
        .messages
        .iter()
        .filter(|m| m.frame != FrameKind::Text && m.encoding == BodyKind::Json)
        .collect();
    let raw = direction.messages.iter().find(|m| m.frame != FrameKind::Text && m.encoding == BodyKind::Raw);
    let has_raw = raw.is_some();
    let raw = raw.map(|m| {
        let ident = rust_ident(&m.name);
        let id = wrap(output, quote!(Self::#ident(Bytes(bytes.to_vec()))));
        quote!(Ok(#id))
    });
    let otherwise = raw.unwrap_or_else(|| {
        let unknown = if has_binary(direction) {
            quote!(Self::UnknownBinary(bytes.to_vec()))
        } else {
            quote!(Self::Unknown { tag: None, raw: String::from_utf8_lossy(bytes).into_owned() })
        };
        let unknown = wrap(output, unknown);
        quote!(Ok(#unknown))
    });
    let result = result_type(output);
    // What is no known JSON message is left to the raw one, if there is one.
    let or_unknown = has_raw.then(|| match output.api.envelope {
        Some(_) => quote!(| Ok(Enveloped { message: Ok(Self::Unknown { .. }), .. })),
        None => quote!(| Ok(Self::Unknown { .. })),
    });
    let json = (!json.is_empty()).then(|| {
        let body = recognise(output, direction, &json);
        quote! {
            if let Ok(text) = std::str::from_utf8(bytes) {
                let decoded: #result = (|| { #body })();
                if !matches!(decoded, Err(DecodeError::NotJson(_)) #or_unknown) {
                    return decoded;
                }
            }
        }
    });
    quote! {
        /// Reads a binary frame.
        ///
        /// # Errors
        /// When the body of a recognised message does not fit.
        pub fn decode_binary(bytes: &[u8]) -> #result {
            #json
            #otherwise
        }
    }
}

/// A message that stands outside every envelope.
fn wrap(output: &Output, message: TokenStream) -> TokenStream {
    match output.api.envelope {
        Some(_) => quote!(Enveloped { id: None, message: Ok(#message) }),
        None => message,
    }
}

/// The statements that turn `text` into a message.
fn recognise(output: &Output, direction: &Direction, messages: &[&Message]) -> TokenStream {
    let mut peek = Peek::new();
    let envelope = output.api.envelope.as_ref();
    let cases: Vec<Case> = messages
        .iter()
        .map(|m| Case { tests: &m.tests, found: found(output, m, envelope, &mut peek) })
        .collect();
    let id = envelope.map(|envelope| read_id(output, envelope, &mut peek));
    let raw = quote!(raw: text.to_owned());
    let (statements, complete) = select::statements(output, &cases, peek, quote!(read(text)?), |peek| {
        let tag = match &direction.tag {
            Some(path) => tag_text(output, peek, path),
            None => quote!(None),
        };
        match &id {
            Some(id) => {
                let id = id.clone();
                quote!(return Ok(Enveloped { id: #id, message: Ok(Self::Unknown { tag: #tag, #raw }) });)
            }
            None => quote!(return Ok(Self::Unknown { tag: #tag, #raw });),
        }
    });
    // Where a frame of any kind is a message, nothing is looked into.
    if !complete || mentions(&statements, "read") {
        output.need(Helper::Read);
    }
    if complete {
        let first = (cases.len() > 1).then(|| quote!(let first = text.trim_ascii_start().bytes().next();));
        return quote!(#first #statements);
    }
    let unknown = wrap(output, quote!(Self::Unknown { tag: None, #raw }));
    let first = (!cases.is_empty()).then(|| quote!(let first = text.trim_ascii_start().bytes().next();));
    quote! {
        #first
        #statements
        read::<serde::de::IgnoredAny>(text)?;
        Ok(#unknown)
    }
}

/// The tag of an unknown message: the string, or the JSON of anything else.
fn tag_text(output: &Output, peek: &mut Peek, path: &[String]) -> TokenStream {
    output.need(Helper::Text);
    let member = peek.path(output, path);
    quote! {
        text_of(#member).map(Cow::into_owned).or_else(|| #member.map(|raw| raw.get().to_owned()))
    }
}

/// The expression that reads a recognised message.
fn found(output: &Output, message: &Message, envelope: Option<&Envelope>, peek: &mut Peek) -> TokenStream {
    let ident = rust_ident(&message.name);
    let wire = &message.wire;
    if message.encoding == BodyKind::Raw {
        let message = wrap(output, quote!(Self::#ident(text.to_owned())));
        return quote!(Ok(#message));
    }
    if let Writes::Head(_) = message.writes {
        let ty = output.ty(&message.body);
        let read =
            quote!(<#ty>::from_items(items).map_err(|error| DecodeError::Body { message: #wire, error }));
        return match envelope {
            Some(_) => quote!(Ok(Enveloped { id: None, message: #read.map(Self::#ident) })),
            None => quote!(#read.map(Self::#ident)),
        };
    }
    // Recognition has read the whole object already, and there is nothing more to learn from it.
    let looked_at = message.tests.iter().any(|t| matches!(t, Test::Equals { .. } | Test::Present { .. }));
    if let (None, true, Some(name)) = (envelope, looked_at, empty_record(output, &message.body)) {
        let name = rust_ident(name);
        return quote!(Ok(Self::#ident(#name {})));
    }
    output.need(Helper::Body);
    let Some(envelope) = envelope else {
        return quote!(body(#wire, text).map(Self::#ident));
    };
    let text = body_text(&message.layouts, peek);
    let id = read_id(output, envelope, peek);
    quote!(Ok(Enveloped { id: #id, message: body(#wire, #text).map(Self::#ident) }))
}

/// The name of a type that is a record without members.
fn empty_record<'a>(output: &Output, ty: &'a Type) -> Option<&'a str> {
    let Type::Named(name) = ty else { return None };
    match &output.api.find(name)?.kind {
        TypeKind::Record(fields) if fields.is_empty() => Some(name),
        TypeKind::Record(_)
        | TypeKind::Enum { .. }
        | TypeKind::Union(_)
        | TypeKind::Tuple { .. }
        | TypeKind::Alias(_) => None,
    }
}

/// The expression for the text of an enveloped body: the first member that holds one, else the frame itself.
fn body_text(layouts: &[Layout], peek: &mut Peek) -> TokenStream {
    let flat = layouts.contains(&Layout::Flat);
    let members: Vec<TokenStream> = layouts
        .iter()
        .filter_map(|layout| match layout {
            Layout::Flat => None,
            Layout::Under(member) => Some(peek.member(member)),
        })
        .collect();
    let otherwise = if flat { quote!(text) } else { quote!("{}") };
    match members.split_first() {
        None => quote!(text),
        Some((first, others)) => quote!(#first #(.or(#others))*.map_or(#otherwise, RawValue::get)),
    }
}

/// The expression for the id of an envelope.
fn read_id(output: &Output, envelope: &Envelope, peek: &mut Peek) -> TokenStream {
    let Some(id) = &envelope.id else { return quote!(None) };
    let first = peek.member(&id.field);
    let others = id.also.iter().map(|path| {
        let member = peek.path(output, path);
        // A member that was read already needs no closure.
        if path.len() == 1 { quote!(.or(#member)) } else { quote!(.or_else(|| #member)) }
    });
    let others: Vec<TokenStream> = others.collect();
    quote!(#first #(#others)*.map(ToOwned::to_owned))
}

fn encode(output: &Output, direction: &Direction) -> TokenStream {
    let arms = direction.messages.iter().map(|m| encode_arm(output, m));
    let id = output.api.envelope.as_ref().and_then(|envelope| envelope.id.as_ref());
    let id_param = id.map(|_| quote!(id: Option<&RawValue>,));
    let id_arg = id.map(|_| quote!(id,));
    let binary = has_binary(direction);
    let unknown_binary = binary.then(|| quote!(Self::UnknownBinary(bytes) => out.extend_from_slice(bytes),));
    let (returned, finish, about) = if binary {
        (quote!(Vec<u8>), quote!(out), " The content of the frame; `is_binary` says which kind it is.")
    } else {
        let finish = quote!(String::from_utf8(out).expect("JSON and kept frames are UTF-8"));
        (quote!(String), finish, " The text of the frame.")
    };
    let is_binary = binary.then(|| is_binary(direction));
    quote! {
        #[doc = #about]
        pub fn encode(&self, #id_param) -> #returned {
            let mut out = Vec::new();
            self.encode_into(#id_arg &mut out);
            #finish
        }

        /// Writes the content of the frame behind what is there.
        pub fn encode_into(&self, #id_param out: &mut Vec<u8>) {
            match self {
                #(#arms)*
                Self::Unknown { raw, .. } => out.extend_from_slice(raw.as_bytes()),
                #unknown_binary
            }
        }

        #is_binary
    }
}

fn is_binary(direction: &Direction) -> TokenStream {
    let idents: Vec<Ident> = direction
        .messages
        .iter()
        .filter(|m| m.frame == FrameKind::Binary)
        .map(|m| rust_ident(&m.name))
        .collect();
    quote! {
        /// Whether the message travels in a binary frame.
        pub fn is_binary(&self) -> bool {
            matches!(self, #(Self::#idents(_) |)* Self::UnknownBinary(_))
        }
    }
}

fn encode_arm(output: &Output, message: &Message) -> TokenStream {
    let ident = rust_ident(&message.name);
    if message.encoding == BodyKind::Raw {
        let bytes = if is_bytes(output, &message.body) { quote!(&body.0) } else { quote!(body.as_bytes()) };
        return quote!(Self::#ident(body) => out.extend_from_slice(#bytes),);
    }
    output.need(Helper::Put);
    let head = head(&message.writes);
    if let (Some(envelope), Some(layout)) = (&output.api.envelope, message.layouts.first()) {
        return enveloped_arm(output, &ident, envelope, layout, &head);
    }
    if head.is_empty() {
        return quote!(Self::#ident(body) => put(out, body),);
    }
    output.need(Helper::PutMembers);
    quote!(Self::#ident(body) => put_members(out, #head, body),)
}

fn enveloped_arm(
    output: &Output,
    ident: &Ident,
    envelope: &Envelope,
    layout: &Layout,
    head: &str,
) -> TokenStream {
    output.need(Helper::Put);
    let head = if head.is_empty() { "{" } else { head };
    let name = |member: &str| serde_json::Value::from(member).to_string();
    let joint = if head == "{" { "" } else { "," };
    let id = envelope.id.as_ref().map(|id| {
        let before = format!("{joint}{}:", name(&id.field));
        quote! {
            if let Some(id) = id {
                out.extend_from_slice(#before.as_bytes());
                out.extend_from_slice(id.get().as_bytes());
            }
        }
    });
    let body = match layout {
        Layout::Flat => {
            output.need(Helper::PutMembers);
            quote!(put_members(out, "", body);)
        }
        Layout::Under(member) => {
            let before = format!(",{}:", name(member));
            quote! {
                out.extend_from_slice(#before.as_bytes());
                put(out, body);
                out.push(b'}');
            }
        }
    };
    quote!(Self::#ident(body) => { out.extend_from_slice(#head.as_bytes()); #id #body })
}

fn is_bytes(output: &Output, ty: &Type) -> bool {
    match ty {
        Type::Bytes => true,
        Type::Named(name) => match output.api.find(name).map(|decl| &decl.kind) {
            Some(TypeKind::Alias(of)) => is_bytes(output, of),
            _ => false,
        },
        _ => false,
    }
}
