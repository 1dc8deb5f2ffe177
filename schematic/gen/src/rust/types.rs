//! Writes the named types: structs, enums, unions, tuples.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use serde_json::Value;

use super::helpers::Helper;
use super::select::{self, Case, Peek};
use super::{Output, doc};
use crate::ir::{EnumValue, Field, Item, TypeDecl, TypeKind, UnionVariant, Writes};
use crate::names::{self, rust_ident};
use schematic_define::Type;

/// The declaration of a type with everything that it needs to be read and written.
pub(super) fn declare(output: &Output, decl: &TypeDecl) -> TokenStream {
    let name = rust_ident(&decl.name);
    let about = doc(&decl.description, &format!("The type `{}` of the definition", decl.wire));
    match &decl.kind {
        TypeKind::Record(fields) => record(output, decl, &name, &about, fields),
        TypeKind::Enum { open: true, values } => open_enum(output, &name, &about, values),
        TypeKind::Enum { open: false, values } => closed_enum(&name, &about, values),
        TypeKind::Union(variants) => union(output, decl, &name, &about, variants),
        TypeKind::Tuple { items, rest } => tuple(output, decl, &name, &about, items, rest.as_ref()),
        TypeKind::Alias(of) => {
            let of = output.ty(of);
            quote!(#about pub type #name = #of;)
        }
    }
}

fn record(
    output: &Output,
    decl: &TypeDecl,
    name: &Ident,
    about: &TokenStream,
    fields: &[Field],
) -> TokenStream {
    let default = fields.iter().all(|f| defaults(output, f)).then(|| quote!(Default,));
    let members = fields.iter().map(|field| member(output, decl, field));
    quote! {
        #about
        #[derive(Debug, Clone, #default PartialEq, Serialize, Deserialize)]
        pub struct #name { #(#members),* }
    }
}

fn member(output: &Output, decl: &TypeDecl, field: &Field) -> TokenStream {
    let ident = rust_ident(&field.name);
    let about = doc(&field.description, &format!("The member `{}`", field.wire));
    let mut serde = Vec::new();
    if ident.to_string().trim_start_matches("r#") != field.wire {
        let wire = &field.wire;
        serde.push(quote!(rename = #wire));
    }
    serde.extend(field.aliases.iter().map(|alias| quote!(alias = #alias)));
    if field.optional {
        serde.push(quote!(default));
        serde.push(quote!(skip_serializing_if = "Option::is_none"));
    }
    let serde = (!serde.is_empty()).then(|| quote!(#[serde(#(#serde),*)]));
    let ty = member_type(output, decl, field);
    quote!(#about #serde pub #ident: #ty)
}

fn member_type(output: &Output, decl: &TypeDecl, field: &Field) -> TokenStream {
    let plain = match &field.constant {
        Some(value) => constant(output, decl, field, value),
        None if output.holds(&field.ty, &decl.name) => {
            let ty = output.ty(&field.ty);
            quote!(Box<#ty>)
        }
        None => output.ty(&field.ty),
    };
    if field.optional || field.nullable { quote!(Option<#plain>) } else { plain }
}

/// Declares the type of a member that always has the same value, and names it.
fn constant(output: &Output, decl: &TypeDecl, field: &Field, value: &Value) -> TokenStream {
    let wanted = format!("{}{}", decl.name, names::pascal(&field.name));
    let name = rust_ident(&output.names.borrow_mut().pascal(&wanted));
    let text = value.to_string();
    let about = doc(&format!("Always `{text}`"), "");
    output.constants.borrow_mut().push(quote! {
        #about
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct #name;

        impl Serialize for #name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let value: serde_json::Value = serde_json::from_str(#text).map_err(serde::ser::Error::custom)?;
                value.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for #name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let expected: serde_json::Value = serde_json::from_str(#text).map_err(serde::de::Error::custom)?;
                if serde_json::Value::deserialize(deserializer)? == expected {
                    return Ok(Self);
                }
                Err(serde::de::Error::custom(concat!("the only value here is ", #text)))
            }
        }
    });
    quote!(#name)
}

/// Whether a member has a value by default, so that structs with many optional members are easy to write.
fn defaults(output: &Output, field: &Field) -> bool {
    field.optional || field.nullable || field.constant.is_some() || type_defaults(output, &field.ty, 0)
}

fn type_defaults(output: &Output, ty: &Type, depth: usize) -> bool {
    let Type::Named(name) = ty else { return true };
    let Some(decl) = output.api.find(name) else { return false };
    match &decl.kind {
        // Types that hold themselves have no smallest value; sixteen levels are more than anybody writes.
        TypeKind::Record(fields) => {
            depth < 16
                && fields.iter().all(|f| {
                    f.optional
                        || f.nullable
                        || f.constant.is_some()
                        || type_defaults(output, &f.ty, depth + 1)
                })
        }
        TypeKind::Alias(of) => depth < 16 && type_defaults(output, of, depth + 1),
        TypeKind::Enum { .. } | TypeKind::Union(_) | TypeKind::Tuple { .. } => false,
    }
}

fn open_enum(output: &Output, name: &Ident, about: &TokenStream, values: &[EnumValue]) -> TokenStream {
    output.need(Helper::ReadString);
    let idents: Vec<Ident> = values.iter().map(|v| rust_ident(&v.name)).collect();
    let wires: Vec<&str> = values.iter().map(|v| v.wire.as_str()).collect();
    let docs = values.iter().map(|v| doc(&v.description, &format!("`{}`", v.wire)));
    quote! {
        #about
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum #name {
            #(#docs #idents,)*
            /// A value that is newer than this list
            Unknown(String),
        }

        impl #name {
            /// The value on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    #(Self::#idents => #wires,)*
                    Self::Unknown(text) => text,
                }
            }
        }

        impl From<&str> for #name {
            fn from(text: &str) -> Self {
                match text {
                    #(#wires => Self::#idents,)*
                    other => Self::Unknown(other.to_owned()),
                }
            }
        }

        impl Serialize for #name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for #name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                string(deserializer, |text| Self::from(text))
            }
        }
    }
}

fn closed_enum(name: &Ident, about: &TokenStream, values: &[EnumValue]) -> TokenStream {
    let idents: Vec<Ident> = values.iter().map(|v| rust_ident(&v.name)).collect();
    let wires: Vec<&str> = values.iter().map(|v| v.wire.as_str()).collect();
    let docs = values.iter().map(|v| doc(&v.description, &format!("`{}`", v.wire)));
    quote! {
        #about
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum #name {
            #(#docs #[serde(rename = #wires)] #idents,)*
        }

        impl #name {
            /// The value on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    #(Self::#idents => #wires,)*
                }
            }
        }
    }
}

fn union(
    output: &Output,
    decl: &TypeDecl,
    name: &Ident,
    about: &TokenStream,
    variants: &[UnionVariant],
) -> TokenStream {
    let idents: Vec<Ident> = variants.iter().map(|v| rust_ident(&v.name)).collect();
    let docs = variants.iter().map(|v| doc(&v.description, &format!("The alternative `{}`", v.name)));
    let types: Vec<TokenStream> = variants
        .iter()
        .map(|v| {
            let ty = output.ty(&v.ty);
            if output.holds(&v.ty, &decl.name) { quote!(Box<#ty>) } else { ty }
        })
        .collect();
    let cases: Vec<Case> = variants
        .iter()
        .zip(&idents)
        .zip(&types)
        .map(|((v, ident), ty)| Case { tests: &v.tests, found: union_found(&v.writes, ident, ty) })
        .collect();
    let read = quote!(serde_json::from_str(text).map_err(serde::de::Error::custom)?);
    let unknown = quote!(serde_json::from_str(text).map(Self::Unknown).map_err(serde::de::Error::custom));
    let (statements, complete) =
        select::statements(output, &cases, Peek::new(), read, |_| quote!(return #unknown;));
    let otherwise = (!complete).then_some(unknown);
    let writes = variants.iter().zip(&idents).map(|(v, ident)| union_write(output, &v.writes, ident));
    quote! {
        #about
        #[derive(Debug, Clone, PartialEq)]
        pub enum #name {
            #(#docs #idents(#types),)*
            /// None of the alternatives; kept as it is
            Unknown(serde_json::Value),
        }

        impl Serialize for #name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    #(#writes)*
                    Self::Unknown(value) => value.serialize(serializer),
                }
            }
        }

        impl<'de> Deserialize<'de> for #name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw = Box::<RawValue>::deserialize(deserializer)?;
                let text = raw.get();
                let first = text.bytes().next();
                #statements
                #otherwise
            }
        }
    }
}

fn union_found(writes: &Writes, ident: &Ident, ty: &TokenStream) -> TokenStream {
    match writes {
        Writes::Members(_) => {
            quote!(serde_json::from_str(text).map(Self::#ident).map_err(serde::de::Error::custom))
        }
        Writes::Head(_) => {
            quote!(<#ty>::from_items(items).map(Self::#ident).map_err(serde::de::Error::custom))
        }
    }
}

fn union_write(output: &Output, writes: &Writes, ident: &Ident) -> TokenStream {
    let head = head(writes);
    if head.is_empty() {
        return quote!(Self::#ident(body) => body.serialize(serializer),);
    }
    output.need(Helper::Put);
    output.need(Helper::PutMembers);
    quote! {
        Self::#ident(body) => {
            let mut out = Vec::new();
            put_members(&mut out, #head, body);
            let raw: Box<RawValue> = serde_json::from_slice(&out).map_err(serde::ser::Error::custom)?;
            raw.serialize(serializer)
        }
    }
}

/// The beginning of an object or array with what recognition adds, without its last brace or bracket. Empty if
/// recognition adds nothing.
pub(super) fn head(writes: &Writes) -> String {
    match writes {
        Writes::Members(members) if members.is_empty() => String::new(),
        Writes::Members(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
                .collect();
            format!("{{{}", members.join(","))
        }
        Writes::Head(value) => format!("[{value}"),
    }
}

fn tuple(
    output: &Output,
    decl: &TypeDecl,
    name: &Ident,
    about: &TokenStream,
    items: &[Item],
    rest: Option<&Type>,
) -> TokenStream {
    if !items.is_empty() {
        output.need(Helper::Element);
    }
    let idents: Vec<Ident> = items.iter().map(|i| rust_ident(&i.name)).collect();
    let members = items.iter().zip(&idents).map(|(item, ident)| {
        let about = doc(&item.description, &format!("The place `{}`", item.name));
        let ty = item_type(output, decl, item);
        quote!(#about pub #ident: #ty,)
    });
    let rest_member = rest.map(|ty| {
        let ty = output.ty(ty);
        quote!(/** Everything that follows */ pub rest: Vec<#ty>,)
    });
    let reads = items.iter().zip(&idents).map(|(item, ident)| {
        if item.optional {
            return quote!(#ident: element(&mut items)?,);
        }
        let missing = format!("the list ends before its place `{}`", item.name);
        quote!(#ident: element(&mut items)?.ok_or_else(|| <serde_json::Error as serde::de::Error>::custom(#missing))?,)
    });
    let read_rest = rest.map(|_| {
        quote!(rest: items.into_iter().map(|raw| serde_json::from_str(raw.get())).collect::<Result<_, _>>()?,)
    });
    let writes = items.iter().zip(&idents).map(|(item, ident)| {
        if item.optional {
            quote!(if let Some(value) = &self.#ident { seq.serialize_element(value)?; })
        } else {
            quote!(seq.serialize_element(&self.#ident)?;)
        }
    });
    let write_rest = rest.map(|_| {
        quote!(for value in &self.rest {
            seq.serialize_element(value)?;
        })
    });
    let mutable = (!items.is_empty()).then(|| quote!(mut));
    let unused = (items.is_empty() && rest.is_none()).then(|| quote!(drop(items);));
    quote! {
        #about
        #[derive(Debug, Clone, PartialEq)]
        pub struct #name { #(#members)* #rest_member }

        impl #name {
            /// Reads the places from the elements of an array.
            fn from_items(#mutable items: VecDeque<Box<RawValue>>) -> Result<Self, serde_json::Error> {
                #unused
                Ok(Self { #(#reads)* #read_rest })
            }
        }

        impl Serialize for #name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeSeq as _;
                #[allow(unused_mut, reason = "a list without places writes nothing")]
                let mut seq = serializer.serialize_seq(None)?;
                #(#writes)*
                #write_rest
                seq.end()
            }
        }

        impl<'de> Deserialize<'de> for #name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let items = VecDeque::deserialize(deserializer)?;
                Self::from_items(items).map_err(serde::de::Error::custom)
            }
        }
    }
}

fn item_type(output: &Output, decl: &TypeDecl, item: &Item) -> TokenStream {
    let ty = output.ty(&item.ty);
    let ty = if output.holds(&item.ty, &decl.name) { quote!(Box<#ty>) } else { ty };
    if item.optional { quote!(Option<#ty>) } else { ty }
}
