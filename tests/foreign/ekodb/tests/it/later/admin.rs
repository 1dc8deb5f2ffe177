//! Keys and what they permit.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::{Value, from_value, json};

use super::ekodb::admin::{AdminClient, ApiKey, ApiKeyAction, CollectionPermissions, CreateApiKeyRequest};
use super::seat::{client, record};
use super::{Refused, Seat, refused};
use crate::rig::{KEY, PATIENCE};
use crate::table::rows;

rows! { AdminClient {
    new => ["Invalid configuration"],
    with_timeout => ["Invalid configuration"],
    create_api_key => ["Authentication error"],
    list_api_keys => ["Authentication error"],
    revoke_api_key => ["API error (404)"],
    uses_key_permission_routes => ["Authentication error"],
    get_permissions => ["Authentication error"],
    get_api_key_permissions => ["API error (404)"],
    list_api_key_collection_permissions => ["API error (404)"],
    get_api_key_collection_permissions => ["API error (404)"],
    put_api_key_collection_permissions => ["API error (501)"],
    update_api_key_collection_permissions => ["API error (400)"],
    patch_api_key_collection_permissions => ["API error (404)"],
    delete_api_key_collection_permissions => ["API error (404)"],
    list_api_key_kv_permissions => ["API error (404)"],
    get_api_key_kv_permissions => ["API error (404)"],
    put_api_key_kv_permissions => ["API error (501)"],
    patch_api_key_kv_permissions => ["API error (404)"],
    delete_api_key_kv_permissions => ["API error (404)"],
    legacy_update_api_key_collection_permissions => ["Legacy permission edits are unavailable"],
}}

/// No key has this id.
const NOBODY: &str = "00000000000000000000000000000000";

pub(super) fn admin(seat: &Seat) -> AdminClient {
    AdminClient::new(&seat.rig.http(), KEY).unwrap()
}

fn stranger(seat: &Seat) -> AdminClient {
    AdminClient::new(&seat.rig.http(), "a key that nobody has made").unwrap()
}

/// A key that may read people.
async fn reader(seat: &Seat) -> ApiKey {
    let request = CreateApiKeyRequest {
        label: Some(String::from("reader")),
        description: Some(String::from("reads people")),
        is_admin: false,
        collection_permissions: HashMap::from([(String::from("people"), vec![ApiKeyAction::Read])]),
    };
    admin(seat).create_api_key(&request).await.unwrap()
}

async fn new(seat: Seat) -> Refused {
    assert!(AdminClient::new(&seat.rig.http(), KEY).unwrap().get_permissions().await.unwrap().is_admin);
    refused(AdminClient::new("not an address", KEY).map(|_| ()))
}

async fn with_timeout(seat: Seat) -> Refused {
    let admin = AdminClient::with_timeout(&seat.rig.http(), KEY, PATIENCE).unwrap();
    assert!(admin.get_permissions().await.unwrap().is_admin);
    refused(AdminClient::with_timeout("not an address", KEY, PATIENCE).map(|_| ()))
}

/// The key that is made may do what it was made for, and nothing else.
async fn create_api_key(seat: Seat) -> Refused {
    seat.people().await;
    let made = reader(&seat).await;
    assert!(!made.is_admin && made.collection_permissions["people"].read);
    assert!(!made.collection_permissions["people"].write);
    let reader = client(&seat.rig, &made.key);
    assert_eq!(reader.count_documents("people").await.unwrap(), 3);
    let said = reader.insert("people", record(json!({"id": "x"})), None).await.unwrap_err().to_string();
    assert!(said.contains("403"), "{said}");
    let said = reader.connect_ws().await.unwrap().find_all("secrets").await.unwrap_err().to_string();
    assert!(said.contains("403"), "{said}");
    refused(stranger(&seat).create_api_key(&CreateApiKeyRequest::default()).await.map(|_| ()))
}

async fn list_api_keys(seat: Seat) -> Refused {
    reader(&seat).await;
    let keys = admin(&seat).list_api_keys().await.unwrap();
    assert!(keys.iter().all(|key| key.key != KEY), "keys are not kept");
    assert!(keys.iter().any(|key| key.label.as_deref() == Some("reader") && !key.is_admin));
    refused(stranger(&seat).list_api_keys().await.map(|_| ()))
}

async fn revoke_api_key(seat: Seat) -> Refused {
    let made = reader(&seat).await;
    admin(&seat).revoke_api_key(made.id.as_ref().unwrap()).await.unwrap();
    assert!(client(&seat.rig, &made.key).get_token().await.is_err());
    refused(admin(&seat).revoke_api_key(NOBODY).await)
}

async fn uses_key_permission_routes(seat: Seat) -> Refused {
    assert!(admin(&seat).uses_key_permission_routes().await.unwrap());
    refused(stranger(&seat).uses_key_permission_routes().await)
}

async fn get_permissions(seat: Seat) -> Refused {
    assert!(admin(&seat).get_permissions().await.unwrap().is_admin);
    let made = reader(&seat).await;
    let reader = AdminClient::new(&seat.rig.http(), &made.key).unwrap();
    let permissions = reader.get_permissions().await.unwrap();
    assert!(!permissions.is_admin && permissions.collection_permissions["people"].read);
    refused(stranger(&seat).get_permissions().await.map(|_| ()))
}

async fn get_api_key_permissions(seat: Seat) -> Refused {
    let made = reader(&seat).await;
    let permissions = admin(&seat).get_api_key_permissions(made.id.as_ref().unwrap()).await.unwrap();
    assert!(permissions.collection_permissions["people"].read && !permissions.is_admin);
    refused(admin(&seat).get_api_key_permissions(NOBODY).await.map(|_| ()))
}

/// The crate itself does not send it to a server with the newer routes.
async fn legacy_update_api_key_collection_permissions(seat: Seat) -> Refused {
    assert!(admin(&seat).uses_key_permission_routes().await.unwrap());
    let request = json!({"api_key": KEY, "collection": "people", "read": true, "write": true});
    let request = serde_json::from_value(request).unwrap();
    refused(admin(&seat).legacy_update_api_key_collection_permissions(&request).await.map(|_| ()))
}

/// What is asked for a collection's grant.
fn people<T: DeserializeOwned>(key: &str, body: Value) -> T {
    request(key, "collection", "people", body)
}

/// What is asked for the grant of the key-value store.
fn kv<T: DeserializeOwned>(key: &str, prefix: &str, body: Value) -> T {
    request(key, "prefix", prefix, body)
}

fn request<T: DeserializeOwned>(key: &str, named: &str, name: &str, mut body: Value) -> T {
    body["key_id"] = json!(key);
    body[named] = json!(name);
    from_value(body).unwrap()
}

fn rights(grant: Option<&CollectionPermissions>) -> Option<(bool, bool)> {
    grant.map(|grant| (grant.read, grant.write))
}

const READ: Option<(bool, bool)> = Some((true, false));
const WRITE: Option<(bool, bool)> = Some((true, true));

async fn list_api_key_collection_permissions(seat: Seat) -> Refused {
    let id = reader(&seat).await.id.unwrap();
    let grants = admin(&seat).list_api_key_collection_permissions(&id).await.unwrap();
    assert_eq!(rights(grants.get("people")), READ);
    refused(admin(&seat).list_api_key_collection_permissions(NOBODY).await.map(|_| ()))
}

async fn get_api_key_collection_permissions(seat: Seat) -> Refused {
    let id = reader(&seat).await.id.unwrap();
    let grant = admin(&seat).get_api_key_collection_permissions(&id, "people").await.unwrap();
    assert_eq!(rights(Some(&grant)), READ);
    refused(admin(&seat).get_api_key_collection_permissions(&id, "secrets").await.map(|_| ()))
}

/// The key may do from now on what is granted.
async fn put_api_key_collection_permissions(seat: Seat) -> Refused {
    seat.people().await;
    let made = reader(&seat).await;
    let (id, admin) = (made.id.unwrap(), admin(&seat));
    let request = people(&id, json!({"read": true, "write": true}));
    let change = admin.put_api_key_collection_permissions(&request).await.unwrap();
    assert_eq!((rights(change.before.as_ref()), rights(change.after.as_ref())), (READ, WRITE));
    client(&seat.rig, &made.key).insert("people", record(json!({"id": "x"})), None).await.unwrap();
    let request = people(&id, json!({"read": true, "write": true, "select_fields": ["name"]}));
    refused(admin.put_api_key_collection_permissions(&request).await.map(|_| ()))
}

async fn update_api_key_collection_permissions(seat: Seat) -> Refused {
    let (id, admin) = (reader(&seat).await.id.unwrap(), admin(&seat));
    let request = people(&id, json!({"read": false, "write": false}));
    let change = admin.update_api_key_collection_permissions(&request).await.unwrap();
    assert_eq!((rights(change.before.as_ref()), rights(change.after.as_ref())), (READ, None));
    let request = people(&id, json!({"read": false, "write": true}));
    refused(admin.update_api_key_collection_permissions(&request).await.map(|_| ()))
}

async fn patch_api_key_collection_permissions(seat: Seat) -> Refused {
    let (id, admin) = (reader(&seat).await.id.unwrap(), admin(&seat));
    let request = people(&id, json!({"write": true}));
    let change = admin.patch_api_key_collection_permissions(&request).await.unwrap();
    assert_eq!((rights(change.before.as_ref()), rights(change.after.as_ref())), (READ, WRITE));
    let request = people(NOBODY, json!({"write": true, "read": true}));
    refused(admin.patch_api_key_collection_permissions(&request).await.map(|_| ()))
}

async fn delete_api_key_collection_permissions(seat: Seat) -> Refused {
    let (id, admin) = (reader(&seat).await.id.unwrap(), admin(&seat));
    let change = admin.delete_api_key_collection_permissions(&id, "people").await.unwrap();
    assert_eq!((rights(change.before.as_ref()), rights(change.after.as_ref())), (READ, None));
    refused(admin.delete_api_key_collection_permissions(&id, "people").await.map(|_| ()))
}

/// A key that may read the key-value store, and its id.
async fn kv_reader(seat: &Seat) -> (ApiKey, String) {
    let made = reader(seat).await;
    let id = made.id.clone().unwrap();
    let request = kv(&id, "*", json!({"read": true, "write": false}));
    let change = admin(seat).put_api_key_kv_permissions(&request).await.unwrap();
    assert!(change.before.is_none() && change.after.is_some_and(|grant| grant.read && !grant.write));
    (made, id)
}

async fn list_api_key_kv_permissions(seat: Seat) -> Refused {
    let (_, id) = kv_reader(&seat).await;
    let grants = admin(&seat).list_api_key_kv_permissions(&id, None).await.unwrap();
    assert_eq!(grants.iter().map(|grant| grant.prefix.as_deref()).collect::<Vec<_>>(), [Some("*")]);
    assert!(admin(&seat).list_api_key_kv_permissions(&id, Some("tea:")).await.unwrap().is_empty());
    let all = admin(&seat).get_api_key_permissions(&id).await.unwrap();
    assert_eq!(all.kv_permissions.len(), 1);
    refused(admin(&seat).list_api_key_kv_permissions(NOBODY, None).await.map(|_| ()))
}

async fn get_api_key_kv_permissions(seat: Seat) -> Refused {
    let (_, id) = kv_reader(&seat).await;
    assert!(admin(&seat).get_api_key_kv_permissions(&id, "*").await.unwrap().read);
    refused(admin(&seat).get_api_key_kv_permissions(&id, "tea:").await.map(|_| ()))
}

/// The store is granted as a whole.
async fn put_api_key_kv_permissions(seat: Seat) -> Refused {
    let (made, id) = kv_reader(&seat).await;
    let reader = client(&seat.rig, &made.key);
    assert!(!reader.kv_exists("tea:green").await.unwrap());
    let request = kv(&id, "tea:", json!({"read": true, "write": true}));
    refused(admin(&seat).put_api_key_kv_permissions(&request).await.map(|_| ()))
}

async fn patch_api_key_kv_permissions(seat: Seat) -> Refused {
    let (_, id) = kv_reader(&seat).await;
    let request = kv(&id, "*", json!({"write": true}));
    let change = admin(&seat).patch_api_key_kv_permissions(&request).await.unwrap();
    assert!(change.before.is_some_and(|grant| !grant.write) && change.after.is_some_and(|grant| grant.write));
    let request = kv(NOBODY, "*", json!({"read": true, "write": true}));
    refused(admin(&seat).patch_api_key_kv_permissions(&request).await.map(|_| ()))
}

async fn delete_api_key_kv_permissions(seat: Seat) -> Refused {
    let (_, id) = kv_reader(&seat).await;
    let change = admin(&seat).delete_api_key_kv_permissions(&id, "*").await.unwrap();
    assert!(change.before.is_some_and(|grant| grant.read) && change.after.is_none());
    refused(admin(&seat).delete_api_key_kv_permissions(&id, "*").await.map(|_| ()))
}
