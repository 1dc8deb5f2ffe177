//! What programs ask about keys and tokens, under `/api/auth`.
//!
//! Errors are flat here, as the clients of the live-data dialect read them: `{"code", "message", "error"}`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tidewire_engine::identity::KV;
use tidewire_engine::{Detail, Error, Identity, Result};

use super::grants::{self, Place, Wanted};
use super::wire::{Access, KeyInfo, Permissions, check_permissions, check_subject};
use super::{Claims, NewKey};
use crate::http::fail_flat;
use crate::server::App;

/// Where all of this is.
pub(crate) const PREFIX: &str = "/api/auth/";
/// The shortest token in seconds; clients ask for another when a minute is left.
pub(crate) const MIN_TOKEN_SECONDS: u64 = 60;

/// The addresses.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/api/auth/token", post(token))
        .route("/api/auth/rotate", post(rotate))
        .route("/api/auth/register", post(register))
        .route("/api/auth/keys", get(list))
        .route("/api/auth/keys/{key}", delete(revoke))
        .route("/api/auth/keys/{key}/permissions", get(permissions))
        .route("/api/auth/keys/{key}/permissions/{facet}", get(list_grants))
        .route(
            "/api/auth/keys/{key}/permissions/{facet}/{name}",
            get(get_grant).put(set_grant).patch(change_grant).delete(remove_grant),
        )
}

type Answer = crate::http::Answer<Response>;

/// Answers, or spells the error.
fn answer(app: &App, result: Result<impl Serialize>) -> Answer {
    match result {
        Ok(value) => Ok(([(CACHE_CONTROL, "no-store")], Json(json!(value))).into_response()),
        Err(error) => Err(fail_flat(app, &error)),
    }
}

fn read<T: DeserializeOwned>(body: &[u8], shape: &str) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|error| Error::invalid(format!("send {shape} as JSON: {error}")).caused_by(error))
}

pub(super) fn admin(app: &App, headers: &HeaderMap) -> Result<Identity> {
    let identity = app.door.require_bearer(headers)?;
    identity.check_admin().map(|()| identity)
}

/// A key, and for whom else a token is wanted. Only admins may ask for others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    api_key: String,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    grants: Vec<TokenGrant>,
    #[serde(default)]
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenGrant {
    collection: String,
    #[serde(default)]
    write: bool,
}

#[derive(Serialize)]
struct TokenReply {
    token: String,
    token_type: &'static str,
    expires_in: u64,
}

async fn token(State(app): State<Arc<App>>, body: Bytes) -> Answer {
    let request = read(&body, "{\"api_key\", \"subject\", \"grants\", \"expires_in\"}");
    answer(&app, request.and_then(|request| issue(&app, request)))
}

fn issue(app: &App, request: TokenRequest) -> Result<TokenReply> {
    let identity = app.door.identify_key(&request.api_key)?;
    let longest = app.config.token_seconds;
    let expires_in = request.expires_in.unwrap_or(longest);
    if !(MIN_TOKEN_SECONDS..=longest).contains(&expires_in) {
        let sentence = format!("a token lives {MIN_TOKEN_SECONDS} to {longest} seconds");
        return Err(Error::invalid(sentence).with(Detail::Field("expires_in".into())));
    }
    let (subject, grants) = narrowed(&identity, request.subject, &request.grants)?;
    // A keyless server takes any token, and none of these once it is keyed.
    let key = identity.key.map(|key| key.to_string()).unwrap_or_default();
    let claims = Claims::new(subject, key, grants, app.auth.now_s(), expires_in);
    Ok(TokenReply { token: app.auth.tokens.sign(&claims)?, token_type: "Bearer", expires_in })
}

/// For whom a token is, and what it may if that is less than the key. A subject without grants has its chats alone.
fn narrowed(
    asker: &Identity,
    subject: Option<String>,
    grants: &[TokenGrant],
) -> Result<(String, Option<Permissions>)> {
    if subject.is_none() && grants.is_empty() {
        return Ok((asker.subject.0.to_string(), None));
    }
    if !asker.is_admin() {
        return Err(Error::forbidden(
            "only an admin key asks for tokens in other names or with other grants",
        ));
    }
    let subject = subject.unwrap_or_else(|| asker.subject.0.to_string());
    check_subject(&subject)?;
    let permissions = grants.iter().map(|grant| {
        let write = grant.write.then_some(Access::Write);
        (grant.collection.clone(), std::iter::once(Access::Read).chain(write).collect())
    });
    let permissions = permissions.collect();
    check_permissions(&permissions)?;
    Ok((subject, Some(permissions)))
}

async fn rotate(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer {
    let result = match admin(&app, &headers) {
        Ok(_) => rotate_secret(Arc::clone(&app)).await,
        Err(error) => Err(error),
    };
    answer(&app, result.map(|()| json!({"rotated": true})))
}

async fn rotate_secret(app: Arc<App>) -> Result<()> {
    tokio::task::spawn_blocking(move || app.auth.tokens.rotate()).await.map_err(Error::internal)?
}

/// A key that is to be made. The admin's key comes with the body or as bearer.
#[derive(Deserialize, Serialize, Default)]
pub(super) struct RegisterRequest {
    #[serde(default, skip_serializing)]
    pub(super) api_key: Option<String>,
    #[serde(default)]
    pub(super) label: Option<String>,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) subject: Option<String>,
    #[serde(default)]
    pub(super) is_admin: bool,
    #[serde(default)]
    pub(super) collection_permissions: Permissions,
}

/// The key itself, when it was just made, and what is known of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Registered {
    pub(super) key: String,
    #[serde(flatten)]
    pub(super) info: KeyInfo,
}

async fn register(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Answer {
    answer(&app, add(&app, &headers, &body).await)
}

async fn add(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<Registered> {
    let shape = "{\"label\", \"is_admin\", \"collection_permissions\": {\"orders\": [\"read\", \"write\"]}}";
    let request: Result<RegisterRequest> = read(body, shape);
    let named = request.as_ref().ok().and_then(|request| request.api_key.as_deref());
    match named {
        Some(key) => app.door.identify(key)?.check_admin()?,
        None => admin(app, headers).map(|_| ())?,
    }
    let (key, info) = app.auth.keys.add(request?.into()).await?;
    Ok(Registered { key, info })
}

impl From<RegisterRequest> for NewKey {
    fn from(request: RegisterRequest) -> Self {
        let label = request.label.or(request.description).unwrap_or_default();
        let RegisterRequest { subject, is_admin, collection_permissions: permissions, .. } = request;
        Self { label, subject, is_admin, permissions }
    }
}

async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer {
    answer(
        &app,
        admin(&app, &headers).map(|_| app.auth.keys.list().into_iter().map(listed).collect::<Vec<_>>()),
    )
}

/// Clients want a `key` in a list too. The key is not kept, and its id does wherever a key is asked for.
fn listed(info: KeyInfo) -> Registered {
    Registered { key: info.id.clone(), info }
}

async fn revoke(State(app): State<Arc<App>>, headers: HeaderMap, Path(key): Path<String>) -> Answer {
    let result = match admin(&app, &headers) {
        Ok(_) => app.auth.keys.revoke(&key).await,
        Err(error) => Err(error),
    };
    answer(&app, result)
}

async fn permissions(State(app): State<Arc<App>>, headers: HeaderMap, Path(key): Path<String>) -> Answer {
    answer(&app, show_permissions(&app, &headers, &key))
}

async fn list_grants(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path((key, facet)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let prefix = query.get("prefix").map(String::as_str);
    answer(&app, grants::list(&app, &headers, &key, &facet, prefix))
}

async fn get_grant(State(app): State<Arc<App>>, headers: HeaderMap, Path(place): Path<Place>) -> Answer {
    answer(&app, grants::one(&app, &headers, &place))
}

async fn set_grant(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(place): Path<Place>,
    body: Bytes,
) -> Answer {
    let wanted = wanted(&body).and_then(Wanted::in_full);
    answer(&app, grants::change(&app, &headers, &place, wanted).await)
}

async fn change_grant(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(place): Path<Place>,
    body: Bytes,
) -> Answer {
    answer(&app, grants::change(&app, &headers, &place, wanted(&body)).await)
}

async fn remove_grant(State(app): State<Arc<App>>, headers: HeaderMap, Path(place): Path<Place>) -> Answer {
    answer(&app, grants::remove(&app, &headers, &place).await)
}

fn wanted(body: &[u8]) -> Result<Wanted> {
    read(body, "{\"read\", \"write\"}")
}

/// Everybody may look at their own.
pub(super) fn show_permissions(app: &App, headers: &HeaderMap, key: &str) -> Result<Value> {
    let identity = app.door.require_bearer(headers)?;
    if key == "me" {
        return Ok(shown(&identity));
    }
    identity.check_admin()?;
    let info = app.auth.keys.info(key)?;
    Ok(shown(&Identity { key: None, subject: info.subject.as_str().into(), grants: info.grants() }))
}

fn shown(identity: &Identity) -> Value {
    use tidewire_engine::identity::Grants;
    let granted = match &identity.grants {
        Grants::Admin => &[][..],
        Grants::Collections(list) => list,
    };
    let mut collections = Map::new();
    let mut kv = Vec::new();
    for grant in granted {
        if grant.collection == KV {
            kv.push(grants::shown_kv(grant.write));
        } else {
            collections.insert(grant.collection.clone(), grants::shown_collection(grant.write));
        }
    }
    json!({"admin": identity.is_admin(), "collections": collections, "kv": kv})
}
