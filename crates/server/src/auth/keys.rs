//! The keyring: who has which key.
//!
//! A key is 256 random bits, so a plain SHA-256 is what is kept of it: there is nothing to guess that a slow hash
//! would protect, and every request pays for the hash. Keys of the data folder are records of a collection of the
//! house's own; a revoked one stays there as what it was. A folder that ever had a key stays keyed: revoking the last
//! one must not open the door to everybody.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use tidewire_engine::identity::{Grant, Grants, Subject};
use tidewire_engine::query::{Body, Query};
use tidewire_engine::store::{Operation, Store, Write};
use tidewire_engine::{Clock, Error, Identity, RecordId, Result, Timestamp};
use tokio_util::sync::CancellationToken;

use super::wire::{Access, KeyInfo, Permissions, check_label, check_permissions, check_subject, granted};
use super::{Claims, unauthenticated};

/// Where keys are kept; no client reads a collection that begins with `_`.
const COLLECTION: &str = "_keys";
/// What a key of ours begins with, so that it is known in a file where it should not be.
const PREFIX: &str = "tw_";
/// All admin keys speak in one name unless they are told otherwise, so that chats outlive a key.
const ADMIN_SUBJECT: &str = "admin";

type Digest = [u8; 32];
/// The beginning of a digest. Keys are found by it, then compared in full in constant time.
type Print = [u8; 8];

/// What a key is to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewKey {
    /// What it is for.
    pub(crate) label: String,
    /// In whose name it speaks; `None` is `admin` for an admin key, else the key's own id.
    pub(crate) subject: Option<String>,
    /// Whether it may do everything.
    pub(crate) is_admin: bool,
    /// What it may do otherwise.
    pub(crate) permissions: Permissions,
}

/// All keys.
pub(crate) struct Keyring {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// Cancelled when the server ends; every leave to stay hangs on it.
    closing: CancellationToken,
    /// Who came in without a key stays until there is one.
    local: CancellationToken,
    table: RwLock<Table>,
    /// Who changes grants reads them, writes them down and then lets them count; this is done one after the other.
    regranting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Table {
    keys: HashMap<Arc<str>, Key>,
    by_print: HashMap<Print, Arc<str>>,
}

struct Key {
    info: KeyInfo,
    digest: Digest,
    /// Whether it is of the data folder, and not of the configuration.
    kept: bool,
    /// When it was last used, in µs; 0 is not since the start.
    used: AtomicI64,
    /// What `used` was when it was last written down.
    saved: AtomicI64,
    /// Cancelled when it is revoked.
    stay: CancellationToken,
}

impl Keyring {
    /// The configuration's keys alone: as they are, or as `sha256:` and their digests.
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, configured: &[String]) -> Self {
        let closing = CancellationToken::new();
        let mut table = Table::default();
        for key in configured {
            let (info, digest) = configured_key(key);
            table.insert(Key::new(info, digest, false, &closing));
        }
        let local = closing.child_token();
        let (table, regranting) = (RwLock::new(table), tokio::sync::Mutex::default());
        Self { store, clock, closing, local, table, regranting }
    }

    /// Adds those of the data folder.
    pub(crate) async fn load(&self) -> Result<()> {
        let records = self.store.query(&Query::all(COLLECTION, usize::MAX)).await?;
        let keys: Vec<_> =
            records.into_iter().map(|record| read(&record.id, record.body)).collect::<Result<_>>()?;
        let mut table = self.write();
        for (info, digest) in keys {
            table.insert(Key::new(info, digest, true, &self.closing));
        }
        Ok(())
    }

    /// Whether somebody has to show a key.
    pub(crate) fn is_keyed(&self) -> bool {
        !self.read().keys.is_empty()
    }

    /// How many keys open the door now.
    pub(crate) fn living(&self) -> usize {
        self.read().keys.values().filter(|key| key.is_alive()).count()
    }

    /// To be cancelled when the server ends.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Whose key this is.
    pub(crate) fn by_key(&self, key: &str) -> Result<Identity> {
        let table = self.read();
        let key = table.find(&sha256(key)).ok_or_else(unknown)?;
        self.admit(key)?;
        Ok(key.identity(key.info.subject.as_str(), key.info.grants()))
    }

    /// Whom a token names, with what its key may now, narrowed by what the token says.
    pub(crate) fn by_claims(&self, claims: Claims) -> Result<Identity> {
        let table = self.read();
        let key = table.keys.get(claims.key.as_str()).ok_or_else(unknown)?;
        self.admit(key)?;
        if claims.sub != key.info.subject && !key.info.is_admin {
            return Err(unknown());
        }
        let grants = match &claims.grants {
            Some(narrower) => narrow(key.info.grants(), granted(narrower)),
            None => key.info.grants(),
        };
        Ok(key.identity(&claims.sub, grants))
    }

    /// See [`Auth::leave_to_stay`](super::Auth::leave_to_stay).
    pub(crate) fn leave_to_stay(&self, identity: &Identity) -> Result<CancellationToken> {
        let table = self.read();
        let Some(id) = identity.key.as_deref() else {
            let keyless = table.keys.is_empty();
            return if keyless { Ok(self.local.clone()) } else { Err(unknown()) };
        };
        let key = table.keys.get(id).ok_or_else(unknown)?;
        if !key.is_alive() {
            return Err(revoked());
        }
        // It was looked up before; since then a grant may have been taken away.
        if covers(&key.info.grants(), &identity.grants) { Ok(key.stay.clone()) } else { Err(regranted()) }
    }

    /// Makes a key. It is given once and never again.
    pub(crate) async fn add(&self, new: NewKey) -> Result<(String, KeyInfo)> {
        check_label(&new.label)?;
        check_permissions(&new.permissions)?;
        new.subject.as_deref().map_or(Ok(()), check_subject)?;
        let key = format!("{PREFIX}{}", crate::hex(&rand::random::<[u8; 32]>()));
        let (info, digest) = (self.describe(new), sha256(&key));
        self.put(&info, Operation::Insert(body(&info, &digest))).await?;
        let mut table = self.write();
        table.insert(Key::new(info.clone(), digest, true, &self.closing));
        self.local.cancel();
        Ok((key, info))
    }

    /// Revokes a key, named by its id or by itself: who holds something open with it is told to go.
    pub(crate) async fn revoke(&self, name: &str) -> Result<KeyInfo> {
        let mut info = self.named(name)?;
        if info.revoked_at.is_some() {
            return Ok(info);
        }
        let at = self.clock.now().to_rfc3339();
        let change = Body::from_iter([(String::from("revoked_at"), json!(at))]);
        self.put(&info, Operation::Merge(change)).await?;
        info.revoked_at = Some(at);
        if let Some(key) = self.write().keys.get_mut(info.id.as_str()) {
            key.info.revoked_at.clone_from(&info.revoked_at);
            key.stay.cancel();
        }
        Ok(info)
    }

    /// Makes what a key may do with one collection what `change` says, given what it might until now; answers both.
    ///
    /// Whoever holds something open with the key is told to go if it may less than before.
    pub(crate) async fn regrant(
        &self,
        id: &str,
        collection: &str,
        change: impl FnOnce(Option<Access>) -> Result<Option<Access>>,
    ) -> Result<(Option<Access>, Option<Access>)> {
        let _one_after_the_other = self.regranting.lock().await;
        let mut info = self.named(id)?;
        info.check_grantable()?;
        let before = info.access(collection);
        let after = change(before)?;
        if before != after {
            info.grant(collection, after);
            let grants = json!(info.collection_permissions);
            let change = Body::from_iter([(String::from("collection_permissions"), grants)]);
            self.put(&info, Operation::Merge(change)).await?;
            self.let_count(info, after < before);
        }
        Ok((before, after))
    }

    /// From here on a key may what was written down.
    fn let_count(&self, info: KeyInfo, is_less: bool) {
        let mut table = self.write();
        let Some(key) = table.keys.get_mut(info.id.as_str()) else { return };
        key.info.collection_permissions = info.collection_permissions;
        if is_less && key.is_alive() {
            std::mem::replace(&mut key.stay, self.closing.child_token()).cancel();
        }
    }

    /// All keys, oldest first; those of the configuration come last.
    pub(crate) fn list(&self) -> Vec<KeyInfo> {
        let table = self.read();
        let mut list: Vec<_> = table.keys.values().map(|key| (!key.kept, key.shown())).collect();
        list.sort_unstable_by(|(a, one), (b, other)| (a, &one.id).cmp(&(b, &other.id)));
        list.into_iter().map(|(_, info)| info).collect()
    }

    /// What is known of the key with this id.
    pub(crate) fn info(&self, id: &str) -> Result<KeyInfo> {
        self.read().keys.get(id).map(Key::shown).ok_or_else(no_such_key)
    }

    /// Writes down when keys were last used.
    pub(crate) async fn save_uses(&self) -> Result<()> {
        for (info, used) in self.unsaved() {
            let at = json!(Timestamp(used).to_rfc3339());
            self.put(&info, Operation::Merge(Body::from_iter([(String::from("last_used_at"), at)]))).await?;
            if let Some(key) = self.read().keys.get(info.id.as_str()) {
                key.saved.store(used, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn unsaved(&self) -> Vec<(KeyInfo, i64)> {
        let table = self.read();
        let kept = table.keys.values().filter(|key| key.kept);
        let used = kept.map(|key| (key, key.used.load(Ordering::Relaxed)));
        let fresh = used.filter(|(key, used)| *used != key.saved.load(Ordering::Relaxed));
        fresh.map(|(key, used)| (key.info.clone(), used)).collect()
    }

    fn admit(&self, key: &Key) -> Result<()> {
        if !key.is_alive() {
            return Err(revoked());
        }
        key.used.store(self.clock.now().0, Ordering::Relaxed);
        Ok(())
    }

    fn describe(&self, new: NewKey) -> KeyInfo {
        let id = RecordId::new().0;
        let own_name = if new.is_admin { String::from(ADMIN_SUBJECT) } else { id.clone() };
        KeyInfo {
            id,
            label: new.label,
            subject: new.subject.unwrap_or(own_name),
            is_admin: new.is_admin,
            collection_permissions: new.permissions,
            created_at: Some(self.clock.now().to_rfc3339()),
            last_used_at: None,
            revoked_at: None,
        }
    }

    fn named(&self, name: &str) -> Result<KeyInfo> {
        let table = self.read();
        let key = table.keys.get(name).or_else(|| table.find(&sha256(name))).ok_or_else(no_such_key)?;
        if key.kept {
            return Ok(key.info.clone());
        }
        Err(Error::forbidden(
            "this key is in the configuration; take it out there and start the server again",
        ))
    }

    async fn put(&self, info: &KeyInfo, operation: Operation) -> Result<()> {
        let id = RecordId(info.id.clone());
        let write = Write::new(COLLECTION, id, operation);
        self.store.commit(&Subject::SYSTEM.into(), self.clock.now(), vec![write]).await.map(|_| ())
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn insert(&mut self, key: Key) {
        let id: Arc<str> = key.info.id.as_str().into();
        self.by_print.insert(print(&key.digest), Arc::clone(&id));
        self.keys.insert(id, key);
    }

    fn find(&self, digest: &Digest) -> Option<&Key> {
        let key = self.keys.get(self.by_print.get(&print(digest))?)?;
        bool::from(key.digest.ct_eq(digest)).then_some(key)
    }
}

impl Key {
    fn new(info: KeyInfo, digest: Digest, kept: bool, closing: &CancellationToken) -> Self {
        let stay = closing.child_token();
        if info.revoked_at.is_some() {
            stay.cancel();
        }
        Self { info, digest, kept, used: AtomicI64::new(0), saved: AtomicI64::new(0), stay }
    }

    fn is_alive(&self) -> bool {
        self.info.revoked_at.is_none()
    }

    fn identity(&self, subject: &str, grants: Grants) -> Identity {
        Identity { key: Some(self.info.id.as_str().into()), subject: subject.into(), grants }
    }

    /// What is known of it, with its latest use.
    fn shown(&self) -> KeyInfo {
        let mut info = self.info.clone();
        match self.used.load(Ordering::Relaxed) {
            0 => {}
            used => info.last_used_at = Some(Timestamp(used).to_rfc3339()),
        }
        info
    }
}

/// Whether these grants allow all that those do.
fn covers(wider: &Grants, narrower: &Grants) -> bool {
    match (wider, narrower) {
        (Grants::Admin, _) => true,
        (Grants::Collections(_), Grants::Admin) => false,
        (Grants::Collections(wider), Grants::Collections(narrower)) => narrower.iter().all(|grant| {
            wider.iter().any(|wide| wide.collection == grant.collection && (wide.write || !grant.write))
        }),
    }
}

/// What both allow.
fn narrow(grants: Grants, narrower: Vec<Grant>) -> Grants {
    let wider = match grants {
        Grants::Admin => return Grants::Collections(narrower),
        Grants::Collections(list) => list,
    };
    let both = narrower.into_iter().filter_map(|grant| {
        let found = wider.iter().find(|wide| wide.collection == grant.collection)?;
        Some(Grant { write: grant.write && found.write, ..grant })
    });
    Grants::Collections(both.collect())
}

fn configured_key(key: &str) -> (KeyInfo, Digest) {
    let digest = key.strip_prefix("sha256:").and_then(unhex).unwrap_or_else(|| sha256(key));
    let info = KeyInfo {
        id: crate::hex(&digest[..16]),
        label: String::from("from the configuration"),
        subject: String::from(ADMIN_SUBJECT),
        is_admin: true,
        collection_permissions: Permissions::new(),
        created_at: None,
        last_used_at: None,
        revoked_at: None,
    };
    (info, digest)
}

fn body(info: &KeyInfo, digest: &Digest) -> Body {
    let mut body = match json!(info) {
        Value::Object(body) => body,
        _ => Body::new(),
    };
    body.remove("id"); // it stands beside the members
    body.insert(String::from("sha256"), json!(crate::hex(digest)));
    body
}

fn read(id: &RecordId, mut body: Body) -> Result<(KeyInfo, Digest)> {
    let damaged = || {
        Error::unavailable(format!(
            "the key {} in the data folder cannot be read; restore it from a backup",
            id.0
        ))
    };
    let digest = body.remove("sha256").and_then(|hex| unhex(hex.as_str()?)).ok_or_else(damaged)?;
    let info: KeyInfo =
        serde_json::from_value(Value::Object(body)).map_err(|cause| damaged().caused_by(cause))?;
    Ok((KeyInfo { id: id.0.clone(), ..info }, digest))
}

fn sha256(key: &str) -> Digest {
    Sha256::digest(key.as_bytes()).into()
}

fn print(digest: &Digest) -> Print {
    let mut print = Print::default();
    print.copy_from_slice(&digest[..8]);
    print
}

/// 32 bytes from their 64 hex digits.
pub(super) fn unhex(text: &str) -> Option<Digest> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = Digest::default();
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

fn unknown() -> Error {
    unauthenticated("the key is not known; check it, or ask for another")
}

fn revoked() -> Error {
    unauthenticated("the key was revoked; ask for another")
}

/// A key may less than it might.
pub(super) fn regranted() -> Error {
    unauthenticated("what the key may do was changed; come again")
}

fn no_such_key() -> Error {
    Error::not_found("there is no key with this id; `tidewire keys list` shows those that there are")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidewire_engine::Code;
    use tidewire_engine::id::ManualClock;
    use tidewire_engine::store::sqlite::Sqlite;

    use super::super::wire::Access;
    use super::*;

    struct House {
        store: Arc<Sqlite>,
        clock: Arc<ManualClock>,
    }

    impl House {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::new(Timestamp(1_800_000_000_000_000)));
            Self { store: Arc::new(Sqlite::in_memory().unwrap()), clock }
        }

        async fn keyring(&self) -> Keyring {
            let keyring = Keyring::new(
                Arc::clone(&self.store) as _,
                Arc::clone(&self.clock) as _,
                &["0123456789abcdef".into()],
            );
            keyring.load().await.unwrap();
            keyring
        }
    }

    fn reader() -> NewKey {
        let permissions = Permissions::from([("orders".into(), vec![Access::Read])]);
        NewKey { subject: Some("ann".into()), permissions, label: "reports".into(), ..NewKey::default() }
    }

    fn claims(sub: &str, key: &str, grants: Option<Permissions>) -> Claims {
        Claims::new(sub.into(), key.into(), grants, 0, 60)
    }

    #[tokio::test]
    async fn a_key_outlives_the_process_and_is_never_kept() {
        let house = House::new();
        let (key, info) = house.keyring().await.add(reader()).await.unwrap();
        let keyring = house.keyring().await;
        let identity = keyring.by_key(&key).unwrap();
        assert_eq!(
            (identity.subject.clone(), identity.key.as_deref()),
            ("ann".into(), Some(info.id.as_str()))
        );
        assert!(identity.check_read("orders").is_ok() && identity.check_write("orders").is_err());
        let kept = house.store.query(&Query::all(COLLECTION, 9)).await.unwrap();
        assert_eq!(kept.len(), 1);
        assert!(!format!("{kept:?}").contains(&key[PREFIX.len()..]));
        assert_eq!(keyring.by_key(&key[..key.len() - 1]).unwrap_err().code, Code::Unauthenticated);
    }

    #[tokio::test]
    async fn revoking_ends_everything_that_stands_on_a_key() {
        let house = House::new();
        let keyring = house.keyring().await;
        let (key, info) = keyring.add(reader()).await.unwrap();
        let identity = keyring.by_key(&key).unwrap();
        let stay = keyring.leave_to_stay(&identity).unwrap();
        keyring.revoke(&info.id).await.unwrap();
        assert!(stay.is_cancelled());
        assert!(keyring.leave_to_stay(&identity).is_err());
        for keyring in [keyring, house.keyring().await] {
            assert!(keyring.by_key(&key).unwrap_err().message.contains("revoked"));
            assert!(keyring.by_claims(claims("ann", &info.id, None)).is_err());
        }
    }

    #[tokio::test]
    async fn a_key_is_revoked_by_itself_too_and_the_configurations_not_at_all() {
        let house = House::new();
        let keyring = house.keyring().await;
        let (key, info) = keyring.add(reader()).await.unwrap();
        assert_eq!(keyring.revoke(&key).await.unwrap().id, info.id);
        let configured = keyring.by_key("0123456789abcdef").unwrap().key.unwrap();
        assert_eq!(keyring.revoke(&configured).await.unwrap_err().code, Code::Forbidden);
        assert_eq!(keyring.revoke("nothing").await.unwrap_err().code, Code::NotFound);
    }

    #[tokio::test]
    async fn the_first_key_sends_away_who_came_without_and_revoking_it_lets_nobody_in() {
        let house = House::new();
        let keyring = Keyring::new(Arc::clone(&house.store) as _, Arc::clone(&house.clock) as _, &[]);
        let stay = keyring.leave_to_stay(&Identity::local()).unwrap();
        assert!(!keyring.is_keyed());
        let (_, info) = keyring.add(NewKey { is_admin: true, ..NewKey::default() }).await.unwrap();
        assert!(
            keyring.is_keyed() && stay.is_cancelled() && keyring.leave_to_stay(&Identity::local()).is_err()
        );
        keyring.revoke(&info.id).await.unwrap();
        assert!(keyring.is_keyed());
        assert_eq!(keyring.living(), 0);
    }

    #[tokio::test]
    async fn a_token_is_never_more_than_its_key() {
        let house = House::new();
        let keyring = house.keyring().await;
        let (_, info) = keyring.add(reader()).await.unwrap();
        let wide = Permissions::from([
            ("orders".into(), vec![Access::Read, Access::Write]),
            ("salaries".into(), vec![Access::Read]),
        ]);
        let identity = keyring.by_claims(claims("ann", &info.id, Some(wide.clone()))).unwrap();
        assert!(identity.check_read("orders").is_ok() && identity.check_write("orders").is_err());
        assert!(identity.check_read("salaries").is_err());
        assert!(keyring.by_claims(claims("bob", &info.id, None)).is_err());
        let admin = keyring.by_key("0123456789abcdef").unwrap().key.unwrap();
        let bob = keyring.by_claims(claims("bob", &admin, Some(wide))).unwrap();
        assert!(!bob.is_admin() && bob.check_write("orders").is_ok() && bob.check_write("salaries").is_err());
    }

    #[tokio::test]
    async fn what_is_taken_away_ends_what_is_open_and_what_is_given_does_not() {
        let house = House::new();
        let keyring = house.keyring().await;
        let (key, info) = keyring.add(reader()).await.unwrap();
        let before = keyring.by_key(&key).unwrap();
        let stay = keyring.leave_to_stay(&before).unwrap();
        let given = keyring.regrant(&info.id, "orders", |_| Ok(Some(Access::Write))).await.unwrap();
        assert_eq!(given, (Some(Access::Read), Some(Access::Write)));
        assert!(!stay.is_cancelled() && keyring.by_key(&key).unwrap().check_write("orders").is_ok());
        let taken = keyring.regrant(&info.id, "orders", |_| Ok(None)).await.unwrap();
        assert_eq!(taken, (Some(Access::Write), None));
        assert!(stay.is_cancelled() && keyring.leave_to_stay(&before).is_err());
        for keyring in [keyring, house.keyring().await] {
            let now = keyring.by_key(&key).unwrap();
            assert!(now.check_read("orders").is_err() && keyring.leave_to_stay(&now).is_ok());
        }
    }

    #[tokio::test]
    async fn an_admin_a_revoked_key_and_the_configurations_are_granted_nothing() {
        let keyring = House::new().keyring().await;
        let (_, admin) = keyring.add(NewKey { is_admin: true, ..NewKey::default() }).await.unwrap();
        let (_, revoked) = keyring.add(reader()).await.unwrap();
        keyring.revoke(&revoked.id).await.unwrap();
        let configured = keyring.by_key("0123456789abcdef").unwrap().key.unwrap();
        for (id, code) in [
            (&*admin.id, Code::Invalid),
            (&*revoked.id, Code::Invalid),
            (&*configured, Code::Forbidden),
            ("nothing", Code::NotFound),
        ] {
            let refused = keyring.regrant(id, "orders", |_| Ok(Some(Access::Read))).await;
            assert_eq!(refused.unwrap_err().code, code);
        }
    }

    #[tokio::test]
    async fn the_last_use_is_written_down() {
        let house = House::new();
        let keyring = house.keyring().await;
        let (key, info) = keyring.add(reader()).await.unwrap();
        assert_eq!(keyring.info(&info.id).unwrap().last_used_at, None);
        house.clock.advance(Duration::from_secs(5));
        keyring.by_key(&key).unwrap();
        keyring.save_uses().await.unwrap();
        let used = Some(house.clock.now().to_rfc3339());
        assert_eq!(house.keyring().await.info(&info.id).unwrap().last_used_at, used);
        assert!(keyring.unsaved().is_empty());
    }

    #[tokio::test]
    async fn what_cannot_be_granted_is_refused() {
        let keyring = House::new().keyring().await;
        let granted = |name: &str| NewKey {
            permissions: Permissions::from([(name.into(), vec![Access::Read])]),
            ..NewKey::default()
        };
        keyring.add(granted("_kv")).await.unwrap();
        let named = |subject: &str| NewKey { subject: Some(subject.into()), ..NewKey::default() };
        for bad in [granted("_keys"), granted(""), named(""), named("system"), named("a\nb")] {
            assert_eq!(keyring.add(bad).await.unwrap_err().code, Code::Invalid);
        }
    }
}
