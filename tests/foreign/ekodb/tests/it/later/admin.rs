//! Keys and what they permit.

use std::collections::HashMap;

use serde_json::json;

use super::ekodb::admin::{AdminClient, ApiKey, ApiKeyAction, CreateApiKeyRequest};
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

/// Grants are given when a key is made; the calls that change them one by one are answered with 501.
pub(crate) mod changes {
    use crate::table::unbuilt;
    use serde_json::{Value, from_value, json};

    use super::super::Seat;
    use super::{NOBODY, admin};

    fn grant() -> Value {
        json!({"key_id": NOBODY, "collection": "people", "read": true, "write": true})
    }

    fn kv() -> Value {
        json!({"key_id": NOBODY, "prefix": "tea:", "read": true, "write": true})
    }

    unbuilt! { AdminClient = |seat| admin(seat);
        // Of these the crate keeps the status and drops the sentence.
        "admin request failed" {
            list_api_key_collection_permissions(NOBODY),
            get_api_key_collection_permissions(NOBODY, "people"),
            list_api_key_kv_permissions(NOBODY, None),
            get_api_key_kv_permissions(NOBODY, "tea:"),
            put_api_key_collection_permissions(&from_value(grant()).unwrap()),
            update_api_key_collection_permissions(&from_value(grant()).unwrap()),
            patch_api_key_collection_permissions(&from_value(grant()).unwrap()),
            delete_api_key_collection_permissions(NOBODY, "people"),
            put_api_key_kv_permissions(&from_value(kv()).unwrap()),
            patch_api_key_kv_permissions(&from_value(kv()).unwrap()),
            delete_api_key_kv_permissions(NOBODY, "tea:"),
        }
    }
}
