//! Writes the way from a message's body to a member: `body.d.session_id`.

use proc_macro2::TokenStream;
use quote::quote;
use schematic_define::Type;

use crate::ir::{Api, Field, TypeKind};
use crate::names::rust_ident;

/// A type without its other names.
enum Seen<'a> {
    Record(&'a [Field]),
    Map(&'a Type),
    Json,
    Other(&'a Type),
}

fn see<'a>(api: &'a Api, ty: &'a Type) -> Seen<'a> {
    match ty {
        Type::Json => Seen::Json,
        Type::Map(value) => Seen::Map(value),
        Type::Named(name) => match api.find(name).map(|decl| &decl.kind) {
            Some(TypeKind::Record(fields)) => Seen::Record(fields),
            Some(TypeKind::Alias(of)) => see(api, of),
            Some(TypeKind::Enum { .. } | TypeKind::Union(_) | TypeKind::Tuple { .. }) | None => {
                Seen::Other(ty)
            }
        },
        other => Seen::Other(other),
    }
}

/// An expression for the member at a path of a body that is behind the reference `body`, as JSON if it is there:
/// `Option<Value>`. `None` if no such body can have it.
pub(super) fn member(api: &Api, body: &Type, path: &[String]) -> Option<TokenStream> {
    if path.is_empty() {
        return None;
    }
    read(api, quote!(body), true, body, path)
}

/// The same for a body that is the value `message`.
pub(super) fn member_of_value(api: &Api, body: &Type, path: &[String]) -> Option<TokenStream> {
    if path.is_empty() {
        return None;
    }
    read(api, quote!(message), false, body, path)
}

fn read(api: &Api, at: TokenStream, borrowed: bool, ty: &Type, path: &[String]) -> Option<TokenStream> {
    let reference = if borrowed { at.clone() } else { quote!(&#at) };
    let Some((first, rest)) = path.split_first() else { return Some(quote!(runtime::value(#reference))) };
    match see(api, ty) {
        Seen::Record(fields) => {
            let field = fields.iter().find(|field| field.wire == *first)?;
            let ident = rust_ident(&field.name);
            if !(field.optional || field.nullable) || rest.is_empty() {
                return read(api, quote!(#at.#ident), false, &field.ty, rest);
            }
            let inner = read(api, quote!(inner), true, &field.ty, rest)?;
            Some(quote!(#at.#ident.as_ref().and_then(|inner| #inner)))
        }
        Seen::Map(_) if rest.is_empty() => Some(quote!(#at.get(#first).and_then(runtime::value))),
        Seen::Map(value) => {
            let inner = read(api, quote!(inner), true, value, rest)?;
            Some(quote!(#at.get(#first).and_then(|inner| #inner)))
        }
        Seen::Json => Some(quote!(runtime::look_up(#reference, &[#(#path),*]).and_then(runtime::value))),
        Seen::Other(_) => None,
    }
}

/// The place of a text member of the value `message`, if everything on the way is always there.
pub(super) fn text_place(api: &Api, body: &Type, path: &[String]) -> Option<TokenStream> {
    let mut at = quote!(message);
    let mut ty = body;
    for (depth, name) in path.iter().enumerate() {
        let Seen::Record(fields) = see(api, ty) else { return None };
        let field = fields.iter().find(|field| field.wire == *name)?;
        let last = depth + 1 == path.len();
        if (field.optional || field.nullable) && !last {
            return None;
        }
        let ident = rust_ident(&field.name);
        at = quote!(#at.#ident);
        ty = &field.ty;
    }
    matches!(see(api, ty), Seen::Other(Type::String)).then_some(at)
}

/// Whether the member at a path is a whole number.
pub(super) fn is_integer(api: &Api, body: &Type, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return matches!(see(api, body), Seen::Other(Type::Integer | Type::Unsigned));
    };
    match see(api, body) {
        Seen::Record(fields) => {
            fields.iter().find(|field| field.wire == *first).is_some_and(|f| is_integer(api, &f.ty, rest))
        }
        Seen::Map(value) => is_integer(api, value, rest),
        Seen::Json | Seen::Other(_) => false,
    }
}
