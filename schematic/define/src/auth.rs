//! How a caller proves who it is.
//!
//! [`AuthStrategy`] is the one way that a whole API agrees on. [`AuthWay`] is one of possibly several ways that
//! a single WebSocket endpoint accepts. Where the credential comes from is said by `env_auth` of the API.

use serde::{Deserialize, Serialize};

use crate::is_default;

/// The way in which all endpoints of an API are authenticated.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthStrategy {
    /// Nobody asks
    #[default]
    None,
    /// `Authorization: Bearer …`, or the same in another header
    BearerToken {
        /// The header, if it is not `Authorization`
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<String>,
    },
    /// The credential alone in a header
    ApiKey {
        /// Name of the header
        header: String,
    },
    /// User name and password in `Authorization: Basic …`
    Basic,
    /// The credential as a query parameter
    ApiKeyQuery {
        /// Name of the parameter
        name: String,
    },
    /// The credential in a cookie
    ApiKeyCookie {
        /// Name of the cookie
        name: String,
    },
}

/// One way in which a WebSocket endpoint accepts a credential. An endpoint lists the ways that it accepts in the
/// order in which a client should prefer them; a client takes the first that it can (browsers have no headers).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthWay {
    /// In a header of the upgrade request
    Header {
        /// Name of the header
        name: String,
        /// What stands before the credential, with its space: `"Bearer "`
        #[serde(default, skip_serializing_if = "is_default")]
        prefix: String,
    },
    /// In the query of the URL
    Query {
        /// Name of the parameter
        name: String,
        /// What stands before the credential
        #[serde(default, skip_serializing_if = "is_default")]
        prefix: String,
    },
    /// In a cookie of the upgrade request
    Cookie {
        /// Name of the cookie
        name: String,
    },
    /// As one of the offered subprotocols
    Subprotocol {
        /// What stands before the credential in the offered name
        #[serde(default, skip_serializing_if = "is_default")]
        prefix: String,
        /// Subprotocols that have to be offered beside it, before it
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        beside: Vec<String>,
    },
    /// In a member of the message with which the client opens, or comes back to, a session
    FirstMessage {
        /// Id of the message
        message: String,
        /// Path to the member
        path: Vec<String>,
    },
    /// In a URL that is got by an HTTP call first
    UrlByCall {
        /// Id of the endpoint of the definition's REST API that is called
        endpoint: String,
        /// Path to the URL in the response
        path: Vec<String>,
    },
}
