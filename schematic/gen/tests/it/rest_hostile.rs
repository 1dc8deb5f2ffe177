//! Whatever `check()` accepts of a REST API becomes clients in which no two names of a scope are the same.

use std::collections::HashSet;

use proptest::prelude::*;
use schematic_define::prelude::*;
use schematic_gen::{Provenance, rust, typescript};

fn any_name() -> impl Strategy<Value = String> {
    let hurt = [
        "type",
        "self",
        "Self",
        "new",
        "clone",
        "fmt",
        "rest",
        "wire",
        "types",
        "api",
        "params",
        "body",
        "form",
        "call",
        "options",
        "delete",
        "constructor",
        "__proto__",
        "List",
        "list",
        "list_all",
        "list_call",
        "ListParams",
        "2fa",
        "$top",
        "user-id",
        "user_id",
        "\"",
        "\\",
        "*/",
        "\n",
        "é",
        "日本",
        "a",
        "A",
        "a_2",
        "_",
        " ",
    ];
    prop_oneof![prop::sample::select(hurt.to_vec()).prop_map(String::from), "[a-zA-Z0-9_$-]{1,6}"]
}

fn any_param() -> impl Strategy<Value = RestParam> {
    let places = [ParamPlace::Query, ParamPlace::Header, ParamPlace::Cookie];
    let types = [ParamType::String, ParamType::Integer, ParamType::Boolean];
    (any_name(), prop::sample::select(places.to_vec()), prop::sample::select(types.to_vec()), any::<bool>())
        .prop_map(|(name, place, param_type, required)| RestParam {
            name: name.clone(),
            place,
            param_type,
            required,
            default: None,
            description: name,
        })
}

fn any_body() -> impl Strategy<Value = ApiResponse> {
    let item = || Schema::new("item");
    prop::sample::select(vec![
        ApiResponse::Json(item()),
        ApiResponse::Text,
        ApiResponse::Binary,
        ApiResponse::Empty,
        ApiResponse::Stream { format: StreamFormat::JsonLines, item: item() },
    ])
}

fn any_response() -> impl Strategy<Value = ApiResponse> {
    let status = (prop::sample::select(vec![200u16, 201, 204, 304, 400, 404, 500]), any_body(), any_name());
    let statuses = prop::collection::vec(status, 1..4).prop_map(|list| {
        let status = |(status, body, description)| StatusResponse { status, description, body };
        ApiResponse::PerStatus(list.into_iter().map(status).collect())
    });
    prop_oneof![any_body(), statuses]
}

prop_compose! {
    fn any_endpoint()(
        id in any_name(),
        path in prop::collection::vec(any_name(), 0..4),
        params in prop::collection::vec(any_param(), 0..5),
        fields in prop::collection::vec((any_name(), any::<bool>()), 0..4),
        has_form in any::<bool>(),
        response in any_response(),
    ) -> Endpoint {
        let field = |(name, required): (String, bool)| {
            FormField { name: name.clone(), kind: FormFieldKind::Text, required, description: name }
        };
        let path: String = path.iter().map(|name| format!("/{{{name}}}")).collect();
        let pagination = params.iter().find(|param| param.place == ParamPlace::Query).map(|param| {
            Pagination::PageNumber { param: param.name.clone(), items: vec!["items".into()] }
        });
        let request = has_form.then(|| ApiRequest::UrlEncoded { fields: fields.into_iter().map(field).collect() });
        Endpoint {
            params,
            pagination,
            request,
            ..Endpoint::new(id.clone(), RestMethod::Post, format!("/x{path}"), id, response)
        }
    }
}

prop_compose! {
    fn any_rest()(name in any_name(), endpoints in prop::collection::vec(any_endpoint(), 1..5)) -> Definition {
        Definition::new(name.clone(), name.clone())
            .with_rest(RestApi {
                name: name.clone(),
                description: name,
                base_url: "https://example.com".into(),
                endpoints,
                ..RestApi::default()
            })
            .with_type(TypeDef::record("item", "", vec![Field::required("x", Type::Integer)]))
    }
}

/// The names of each scope of a file: items, members of structs, variants, methods, arguments.
fn scopes(file: &syn::File) -> Vec<Vec<String>> {
    let mut items = Vec::new();
    let mut scopes = Vec::new();
    for item in &file.items {
        match item {
            syn::Item::Struct(item) => {
                items.push(item.ident.to_string());
                scopes.push(
                    item.fields.iter().filter_map(|f| f.ident.as_ref()).map(ToString::to_string).collect(),
                );
            }
            syn::Item::Enum(item) => {
                items.push(item.ident.to_string());
                scopes.push(item.variants.iter().map(|variant| variant.ident.to_string()).collect());
            }
            syn::Item::Impl(item) => scopes.extend(methods(item)),
            _ => {}
        }
    }
    scopes.push(items);
    scopes
}

fn methods(item: &syn::ItemImpl) -> Vec<Vec<String>> {
    let mut names = Vec::new();
    let mut scopes = Vec::new();
    for item in &item.items {
        let syn::ImplItem::Fn(method) = item else { continue };
        names.push(method.sig.ident.to_string());
        let argument = |input: &syn::FnArg| match input {
            syn::FnArg::Typed(typed) => match &*typed.pat {
                syn::Pat::Ident(ident) => Some(ident.ident.to_string()),
                _ => None,
            },
            syn::FnArg::Receiver(_) => None,
        };
        scopes.push(method.sig.inputs.iter().filter_map(argument).collect());
    }
    scopes.push(names);
    scopes
}

/// The names of a file's exports and of its methods, in scopes of their own.
fn typescript_scopes(text: &str) -> [Vec<&str>; 2] {
    let exports = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("export ")?.split_once(' ')?.1;
        rest.split(|c: char| !c.is_ascii_alphanumeric()).next()
    });
    let methods = text.lines().filter_map(|line| {
        let line = line.strip_prefix("  ")?.strip_suffix(" {")?;
        let line = line.strip_prefix("async *").or(line.strip_prefix("async ")).unwrap_or(line);
        line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '#')
            .then(|| line.split('(').next())
            .flatten()
    });
    [exports.collect(), methods.collect()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn accepted_rest_apis_become_clients(sample in any_rest()) {
        let provenance = Provenance::new("x", "y");
        let Ok(files) = rust::rest_client(&sample, &provenance) else {
            prop_assert!(sample.check().is_err());
            return Ok(());
        };
        let file = syn::parse_file(&files[0].1).map_err(|e| TestCaseError::fail(e.to_string()))?;
        for scope in scopes(&file) {
            let distinct: HashSet<&String> = scope.iter().collect();
            prop_assert_eq!(distinct.len(), scope.len(), "{:?}", scope);
        }
        let files = typescript::rest_client(&sample, &provenance).unwrap();
        for scope in typescript_scopes(&files[0].1) {
            let distinct: HashSet<&&str> = scope.iter().collect();
            prop_assert_eq!(distinct.len(), scope.len(), "{:?}", scope);
        }
    }
}

#[test]
fn enough_samples_are_accepted_for_the_property_to_say_something() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let accepted =
        (0..256).filter(|_| any_rest().new_tree(&mut runner).unwrap().current().check().is_ok()).count();
    assert!(accepted > 50, "{accepted}");
}
