//! REST APIs: endpoints with their parameters, request bodies and responses.
//!
//! The types of bodies are names of the definition's type table.

use serde::{Deserialize, Serialize};

use crate::{AuthStrategy, ParamType, Schema, is_default};

/// REST API definition
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestApi {
    /// API identifier
    pub name: String,
    /// What the API is for, in a sentence
    pub description: String,
    /// Base URL with scheme and without a trailing slash
    pub base_url: String,
    /// Where the vendor documents the API
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs_url: Option<String>,
    /// How requests are authenticated
    #[serde(default, skip_serializing_if = "is_default")]
    pub auth: AuthStrategy,
    /// Environment variables that may hold the credential; the first that is set and not empty is used
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env_auth: Vec<String>,
    /// Environment variable with the user name, for [`AuthStrategy::Basic`]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_username: Option<String>,
    /// Headers that every request carries
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The endpoints
    pub endpoints: Vec<Endpoint>,
}

/// One kind of request
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Identifier, for example `ListVoices`
    pub id: String,
    /// Method of the request
    pub method: RestMethod,
    /// Path template; each `{name}` is a required string parameter unless `params` says more
    pub path: String,
    /// What it does, in a sentence
    pub description: String,
    /// Parameters in path, query, headers and cookies
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<RestParam>,
    /// Body of the request, if it has one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<ApiRequest>,
    /// What comes back
    pub response: ApiResponse,
    /// Headers that the request carries beside those of the API
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// How the following pages are got, if the answer comes in pages
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
}

impl Endpoint {
    /// An endpoint without parameters and body.
    pub fn new(
        id: impl Into<String>,
        method: RestMethod,
        path: impl Into<String>,
        description: impl Into<String>,
        response: ApiResponse,
    ) -> Self {
        Self {
            id: id.into(),
            method,
            path: path.into(),
            description: description.into(),
            params: Vec::new(),
            request: None,
            response,
            headers: Vec::new(),
            pagination: None,
        }
    }

    /// Names of the path parameters, in the order of the template.
    pub fn path_params(&self) -> Vec<&str> {
        template_params(&self.path)
    }
}

/// Names between braces of a path template. A brace that is never closed names nothing.
pub(crate) fn template_params(path: &str) -> Vec<&str> {
    path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}

/// HTTP methods
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RestMethod {
    /// Reads
    Get,
    /// Creates or acts
    Post,
    /// Replaces
    Put,
    /// Changes
    Patch,
    /// Removes
    Delete,
    /// Reads the headers alone
    Head,
    /// Asks what is possible
    Options,
}

impl RestMethod {
    /// As it stands in a request.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
        }
    }

    /// Whether repeating the request does no harm.
    pub fn is_idempotent(self) -> bool {
        match self {
            Self::Get | Self::Put | Self::Delete | Self::Head | Self::Options => true,
            Self::Post | Self::Patch => false,
        }
    }
}

/// A parameter beside the body
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestParam {
    /// Name on the wire
    pub name: String,
    /// Where it stands
    pub place: ParamPlace,
    /// Type of the value
    pub param_type: ParamType,
    /// Whether the request cannot be made without it
    pub required: bool,
    /// What the server assumes when it is absent
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What it means, in a sentence
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

/// Where a parameter stands
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamPlace {
    /// In the path template
    Path,
    /// In the query
    Query,
    /// In a header
    Header,
    /// In a cookie
    Cookie,
}

/// The body of a request
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ApiRequest {
    /// JSON of a type
    Json(Schema),
    /// `multipart/form-data`
    FormData {
        /// Its parts
        fields: Vec<FormField>,
    },
    /// `application/x-www-form-urlencoded`
    UrlEncoded {
        /// Its fields
        fields: Vec<FormField>,
    },
    /// Text
    Text {
        /// Media type
        content_type: String,
    },
    /// Bytes
    Binary {
        /// Media type
        content_type: String,
    },
}

/// A part of a form
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormField {
    /// Name of the part
    pub name: String,
    /// What it holds
    pub kind: FormFieldKind,
    /// Whether the form cannot be sent without it
    pub required: bool,
    /// What it means, in a sentence
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
}

/// What a part of a form holds
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FormFieldKind {
    /// Text
    Text,
    /// One file
    File,
    /// Several files under the same name
    Files,
    /// JSON of a type
    Json(Schema),
}

/// What comes back
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ApiResponse {
    /// JSON of a type
    Json(Schema),
    /// Text
    Text,
    /// Bytes
    Binary,
    /// Nothing
    Empty,
    /// A stream of values
    Stream {
        /// How they are written
        format: StreamFormat,
        /// Type of each
        item: Schema,
    },
    /// Something else for each status
    PerStatus(Vec<StatusResponse>),
}

/// How a stream of values is written in a response
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamFormat {
    /// Server-sent events with JSON in `data`
    ServerSentEvents,
    /// One JSON value a line
    JsonLines,
}

/// What comes back with one status
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusResponse {
    /// Status code, 100 to 599
    pub status: u16,
    /// What it means, in a sentence
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    /// The body; not itself one per status
    pub body: ApiResponse,
}

/// How the following pages are got
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Pagination {
    /// Pages are numbered
    PageNumber {
        /// Query parameter with the number
        param: String,
        /// Path to the items in the response
        items: Vec<String>,
    },
    /// Items are counted
    OffsetLimit {
        /// Query parameter with the number of items to skip
        offset: String,
        /// Query parameter with the most items to send
        limit: String,
        /// Path to the items in the response
        items: Vec<String>,
    },
    /// The response says how to go on
    Cursor {
        /// Query parameter with the cursor
        param: String,
        /// Path to the next cursor in the response; absent or `null` there is no further page
        next: Vec<String>,
        /// Path to the items in the response
        items: Vec<String>,
    },
    /// The `Link` header names the next page
    LinkHeader {
        /// Path to the items in the response
        items: Vec<String>,
    },
}
