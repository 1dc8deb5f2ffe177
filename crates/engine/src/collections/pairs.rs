//! The key-value half of the desk. A grant on the reserved collection `_kv` opens it.

use super::{Desk, MAX_RECORD, check_count};
use crate::edit::KeyValue;
use crate::error::{Code, Detail, Error, Result};
use crate::id::Timestamp;
use crate::identity::Identity;

use serde_json::Value;

/// What a grant on the key-value store names.
pub const COLLECTION: &str = "_kv";
/// The longest key in bytes.
pub const MAX_KEY: usize = 1024;
/// The longest pattern in bytes.
const MAX_PATTERN: usize = 1024;

impl Desk {
    /// `KvSet`, all or none.
    pub async fn kv_set(
        &self,
        identity: &Identity,
        pairs: Vec<KeyValue>,
        ttl_s: Option<u64>,
    ) -> Result<Vec<bool>> {
        identity.check_write(COLLECTION)?;
        check_count(pairs.len(), "pairs")?;
        for (number, pair) in pairs.iter().enumerate() {
            check_key(&pair.key, number)?;
            check_value(&pair.value, number)?;
        }
        if ttl_s == Some(0) {
            return Err(
                Error::invalid("a time to live is longer than nothing").with(Detail::Field("ttl".into()))
            );
        }
        let written = vec![true; pairs.len()];
        self.store.kv_set(pairs, ttl_s.map(|seconds| self.in_seconds(seconds))).await?;
        Ok(written)
    }

    /// `KvGet`.
    pub async fn kv_get(&self, identity: &Identity, keys: Vec<String>) -> Result<Vec<Option<Value>>> {
        identity.check_read(COLLECTION)?;
        check_count(keys.len(), "keys")?;
        self.store.kv_get(keys).await
    }

    /// `KvDelete`.
    pub async fn kv_delete(&self, identity: &Identity, keys: Vec<String>) -> Result<Vec<bool>> {
        identity.check_write(COLLECTION)?;
        check_count(keys.len(), "keys")?;
        self.store.kv_delete(keys).await
    }

    /// `KvFind`.
    pub async fn kv_find(
        &self,
        identity: &Identity,
        pattern: Option<&str>,
        include_expired: bool,
    ) -> Result<Vec<KeyValue>> {
        identity.check_read(COLLECTION)?;
        if pattern.is_some_and(|pattern| pattern.len() > MAX_PATTERN) {
            return Err(Error::invalid(format!("a pattern has at most {MAX_PATTERN} bytes"))
                .with(Detail::Field("pattern".into())));
        }
        self.store.kv_find(pattern, include_expired).await
    }

    /// `KvClear`.
    pub async fn kv_clear(&self, identity: &Identity) -> Result<()> {
        identity.check_write(COLLECTION)?;
        self.store.kv_clear().await
    }

    fn in_seconds(&self, seconds: u64) -> Timestamp {
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        Timestamp(self.clock.now().0.saturating_add(micros))
    }
}

fn check_key(key: &str, number: usize) -> Result<()> {
    if (1..=MAX_KEY).contains(&key.len()) {
        return Ok(());
    }
    Err(Error::invalid(format!("a key has 1 to {MAX_KEY} bytes"))
        .with(Detail::Field(format!("pairs.{number}.key"))))
}

fn check_value(value: &Value, number: usize) -> Result<()> {
    if super::size(value) <= MAX_RECORD {
        return Ok(());
    }
    Err(Error::new(Code::TooLarge, "a value has at most 1 MiB of JSON; split it")
        .with(Detail::Field(format!("pairs.{number}.value"))))
}
