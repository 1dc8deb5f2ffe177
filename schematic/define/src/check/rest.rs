//! What a REST API says: addresses, parameters, ids, and the names of its types.

use super::{Problems, api};
use crate::{
    ApiRequest, ApiResponse, Definition, Endpoint, FormField, FormFieldKind, Pagination, ParamPlace, RestApi,
    RestMethod, StatusResponse,
};

pub(super) fn check(problems: &mut Problems, api: &RestApi) {
    let place = "rest";
    problems.require(
        !api.name.trim().is_empty(),
        format!("{place}.name"),
        "the API has no name; give it one",
    );
    api::base_url(problems, &format!("{place}.base_url"), &api.base_url, &["http://", "https://"]);
    api::headers(problems, &format!("{place}.headers"), &api.headers);
    api::auth(problems, place, &api.auth, api.env_username.as_deref());
    problems.unique(&format!("{place}.endpoints"), "the endpoint id", api.endpoints.iter().map(|e| &e.id));
    for endpoint in &api.endpoints {
        self::endpoint(problems, endpoint);
    }
}

fn endpoint(problems: &mut Problems, endpoint: &Endpoint) {
    let place = format!("rest.endpoints.{}", endpoint.id);
    problems.require(!endpoint.id.trim().is_empty(), &place, "the endpoint has no id; give it one");
    api::path(problems, &format!("{place}.path"), &endpoint.path);
    api::headers(problems, &format!("{place}.headers"), &endpoint.headers);
    params(problems, &place, endpoint);
    body(problems, &place, endpoint);
    if let Some(pagination) = &endpoint.pagination {
        self::pagination(problems, &format!("{place}.pagination"), endpoint, pagination);
    }
    if let ApiResponse::PerStatus(statuses) = &endpoint.response {
        self::statuses(problems, &format!("{place}.response"), statuses);
    }
}

fn params(problems: &mut Problems, place: &str, endpoint: &Endpoint) {
    let in_path = endpoint.path_params();
    let place = format!("{place}.params");
    let key = |place: ParamPlace, name: &str| format!("{place:?} {name}");
    problems.unique(&place, "the parameter", endpoint.params.iter().map(|p| key(p.place, &p.name)));
    for param in &endpoint.params {
        let place = format!("{place}.{}", param.name);
        problems.require(!param.name.is_empty(), &place, "a parameter has no name; give it one");
        problems.require(
            param.place != ParamPlace::Path || in_path.contains(&param.name.as_str()),
            &place,
            format!("the path `{}` has no such parameter; add `{{{}}}` to it", endpoint.path, param.name),
        );
        problems.require(
            param.place != ParamPlace::Path || param.required,
            &place,
            "a path cannot be written without it; make it required",
        );
        let fits =
            param.default.as_ref().is_none_or(|default| api::param_default_fits(param.param_type, default));
        problems.require(fits, place, "the default is no value of its type; correct one of them");
    }
}

fn body(problems: &mut Problems, place: &str, endpoint: &Endpoint) {
    let Some(request) = &endpoint.request else { return };
    let place = format!("{place}.request");
    problems.require(
        !matches!(endpoint.method, RestMethod::Get | RestMethod::Head),
        &place,
        "this method carries no body; remove it or choose another method",
    );
    match request {
        ApiRequest::FormData { fields } => {
            problems.unique(&place, "the form field", fields.iter().map(|f| &f.name));
        }
        ApiRequest::UrlEncoded { fields } => {
            problems.unique(&place, "the form field", fields.iter().map(|f| &f.name));
            let is_file = |f: &FormField| matches!(f.kind, FormFieldKind::File | FormFieldKind::Files);
            problems.require(
                !fields.iter().any(is_file),
                &place,
                "an URL-encoded form cannot carry files; choose `form_data`",
            );
        }
        ApiRequest::Text { content_type } | ApiRequest::Binary { content_type } => {
            let message = format!("`{content_type}` is no media type; write one such as `audio/mpeg`");
            problems.require(content_type.contains('/'), &place, message);
        }
        ApiRequest::Json(_) => {}
    }
}

fn pagination(problems: &mut Problems, place: &str, endpoint: &Endpoint, pagination: &Pagination) {
    let queries: Vec<&str> = match pagination {
        Pagination::PageNumber { param, .. } | Pagination::Cursor { param, .. } => vec![param],
        Pagination::OffsetLimit { offset, limit, .. } => vec![offset, limit],
        Pagination::LinkHeader { .. } => vec![],
    };
    for name in queries {
        let known = endpoint.params.iter().any(|p| p.place == ParamPlace::Query && p.name == name);
        problems.require(known, place, format!("there is no query parameter `{name}`; add it to `params`"));
    }
}

fn statuses(problems: &mut Problems, place: &str, statuses: &[StatusResponse]) {
    problems.unique(place, "the status", statuses.iter().map(|s| s.status));
    problems.require(!statuses.is_empty(), place, "no status is listed; add one");
    for StatusResponse { status, body, .. } in statuses {
        problems.require(
            (100..=599).contains(status),
            place,
            format!("{status} is no status code; use 100 to 599"),
        );
        problems.require(
            !matches!(body, ApiResponse::PerStatus(_)),
            place,
            format!("the body of {status} is itself one per status; say what it is"),
        );
    }
}

/// Resolves the names of types.
pub(super) fn check_types(problems: &mut Problems, definition: &Definition, api: &RestApi) {
    for endpoint in &api.endpoints {
        let place = format!("rest.endpoints.{}", endpoint.id);
        match &endpoint.request {
            Some(ApiRequest::Json(schema)) => {
                super::types::require_type(
                    problems,
                    definition,
                    &format!("{place}.request"),
                    &schema.type_name,
                );
            }
            Some(ApiRequest::FormData { fields } | ApiRequest::UrlEncoded { fields }) => {
                for field in fields {
                    if let FormFieldKind::Json(schema) = &field.kind {
                        let place = format!("{place}.request.{}", field.name);
                        super::types::require_type(problems, definition, &place, &schema.type_name);
                    }
                }
            }
            Some(ApiRequest::Text { .. } | ApiRequest::Binary { .. }) | None => {}
        }
        response(problems, definition, &format!("{place}.response"), &endpoint.response);
    }
}

fn response(problems: &mut Problems, definition: &Definition, place: &str, response: &ApiResponse) {
    match response {
        ApiResponse::Json(schema) | ApiResponse::Stream { item: schema, .. } => {
            super::types::require_type(problems, definition, place, &schema.type_name);
        }
        ApiResponse::PerStatus(statuses) => {
            for StatusResponse { status, body, .. } in statuses {
                self::response(problems, definition, &format!("{place}.{status}"), body);
            }
        }
        ApiResponse::Text | ApiResponse::Binary | ApiResponse::Empty => {}
    }
}
