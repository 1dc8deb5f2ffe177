//! The desk's collections as such: made, described, changed, dropped.

use super::{Desk, check_name};
use crate::error::Result;
use crate::identity::Identity;
use crate::schema::{FieldChange, Schema};

impl Desk {
    /// `CreateCollection`.
    pub async fn create_collection(
        &self,
        identity: &Identity,
        collection: &str,
        schema: Option<Schema>,
    ) -> Result<Schema> {
        check_name(collection)?;
        identity.check_write(collection)?;
        self.store.create_collection(collection, schema, self.clock.now()).await
    }

    /// `DropCollection`.
    pub async fn drop_collection(&self, identity: &Identity, collection: &str) -> Result<()> {
        check_name(collection)?;
        identity.check_write(collection)?;
        self.store.drop_collection(collection, self.clock.now()).await
    }

    /// `GetSchema`.
    pub async fn schema(&self, identity: &Identity, collection: &str) -> Result<Schema> {
        check_name(collection)?;
        identity.check_read(collection)?;
        self.store.schema(collection).await
    }

    /// `ChangeSchema`.
    pub async fn change_schema(
        &self,
        identity: &Identity,
        collection: &str,
        fields: Vec<(String, FieldChange)>,
    ) -> Result<Schema> {
        check_name(collection)?;
        identity.check_write(collection)?;
        self.store.change_schema(collection, fields, self.clock.now()).await
    }
}
