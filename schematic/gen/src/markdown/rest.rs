//! The part of a page that is about HTTP.

use schematic_define::{ApiRequest, ApiResponse, Endpoint, FormField, ParamPlace, RestApi, StreamFormat};

use super::{Page, code, link, phrases};

/// Every endpoint with its parameters, body and responses.
pub(super) fn write(page: &mut Page, api: &RestApi) {
    page.heading(2, "HTTP");
    page.paragraph(&api.description);
    page.list([format!("Base URL: {}", code(&api.base_url)), phrases::auth(&api.auth)]);
    for endpoint in &api.endpoints {
        self::endpoint(page, endpoint);
    }
}

fn endpoint(page: &mut Page, endpoint: &Endpoint) {
    page.heading(3, &endpoint.id);
    page.line(&format!("\n{}", code(&format!("{} {}", endpoint.method.name(), endpoint.path))));
    page.paragraph(&endpoint.description);
    page.table(
        ["parameter", "in", "type", "", ""],
        endpoint.params.iter().map(|p| {
            let need = if p.required { "required" } else { "optional" };
            [
                code(&p.name),
                place(p.place).into(),
                phrases::param_type(p.param_type).into(),
                need.into(),
                p.description.clone(),
            ]
        }),
    );
    let request = endpoint.request.as_ref().map(|request| format!("Sends {}", self::request(request)));
    page.list(request.into_iter().chain(responses(&endpoint.response)));
}

fn place(place: ParamPlace) -> &'static str {
    match place {
        ParamPlace::Path => "path",
        ParamPlace::Query => "query",
        ParamPlace::Header => "header",
        ParamPlace::Cookie => "cookie",
    }
}

fn request(request: &ApiRequest) -> String {
    let names = |fields: &[FormField]| fields.iter().map(|f| code(&f.name)).collect::<Vec<_>>().join(", ");
    match request {
        ApiRequest::Json(schema) => format!("JSON, {}", link(&schema.type_name)),
        ApiRequest::FormData { fields } => format!("a multipart form with {}", names(fields)),
        ApiRequest::UrlEncoded { fields } => format!("a form with {}", names(fields)),
        ApiRequest::Text { content_type } | ApiRequest::Binary { content_type } => code(content_type),
    }
}

fn responses(response: &ApiResponse) -> Vec<String> {
    match response {
        ApiResponse::PerStatus(statuses) => statuses
            .iter()
            .map(|s| {
                let about =
                    if s.description.is_empty() { String::new() } else { format!(" ({})", s.description) };
                format!("{}{about}: {}", s.status, body(&s.body))
            })
            .collect(),
        single => vec![format!("Answers {}", body(single))],
    }
}

fn body(response: &ApiResponse) -> String {
    match response {
        ApiResponse::Json(schema) => format!("JSON, {}", link(&schema.type_name)),
        ApiResponse::Text => "text".into(),
        ApiResponse::Binary => "bytes".into(),
        ApiResponse::Empty => "nothing".into(),
        ApiResponse::Stream { format: StreamFormat::ServerSentEvents, item } => {
            format!("server-sent events, each {}", link(&item.type_name))
        }
        ApiResponse::Stream { format: StreamFormat::JsonLines, item } => {
            format!("one JSON value a line, each {}", link(&item.type_name))
        }
        ApiResponse::PerStatus(statuses) => format!("one of {} statuses", statuses.len()),
    }
}
