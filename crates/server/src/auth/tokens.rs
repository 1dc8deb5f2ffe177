//! Tokens: JWTs signed with a secret of the data folder (HS256).
//!
//! A token says whose key it stands for and until when. It says what its bearer may only where that is less than
//! what the key may.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use tidewire_engine::{Error, Result};

use super::keys::unhex;
use super::unauthenticated;
use super::wire::Permissions;

/// The secret's file in the data folder.
const FILE: &str = "token.key";
/// Who issues our tokens.
const ISSUER: &str = "tidewire";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// In whose name.
    pub(crate) sub: String,
    /// The id of the key that it stands for.
    pub(crate) key: String,
    /// What the bearer may, if less than the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grants: Option<Permissions>,
    /// Since when, in seconds since 1970.
    pub(crate) iat: i64,
    /// Until when.
    pub(crate) exp: i64,
    /// Which server; always [`ISSUER`].
    #[serde(default)]
    iss: String,
}

impl Claims {
    /// A token for a key.
    pub(crate) fn new(sub: String, key: String, grants: Option<Permissions>, iat: i64, seconds: u64) -> Self {
        let exp = iat.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX));
        Self { sub, key, grants, iat, exp, iss: ISSUER.to_owned() }
    }
}

/// What signs tokens and knows them again.
pub(crate) struct Signer {
    path: PathBuf,
    secret: RwLock<Pair>,
}

struct Pair {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Pair {
    fn new(secret: &[u8; 32]) -> Self {
        Self { encoding: EncodingKey::from_secret(secret), decoding: DecodingKey::from_secret(secret) }
    }
}

impl Signer {
    /// With the data folder's secret, which is made if there is none. It blocks for as long as files do.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let secret = match fs::read_to_string(&path) {
            Ok(text) => unhex(text.trim()).ok_or_else(|| damaged(&path))?,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => make(&path)?,
            Err(cause) => return Err(unusable(&path, cause)),
        };
        Ok(Self { path, secret: RwLock::new(Pair::new(&secret)) })
    }

    /// A new secret: every token that was given out is void from now on. It blocks for as long as files do.
    pub(crate) fn rotate(&self) -> Result<()> {
        let pair = Pair::new(&make(&self.path)?);
        *self.secret.write().unwrap_or_else(PoisonError::into_inner) = pair;
        Ok(())
    }

    /// A token that says this.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String> {
        let secret = self.secret.read().unwrap_or_else(PoisonError::into_inner);
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &secret.encoding)
            .map_err(Error::internal)
    }

    /// What a token says, if it is one of ours and `now_s`, in seconds since 1970, is before its end.
    pub(crate) fn read(&self, token: &str, now_s: i64) -> Result<Claims> {
        let secret = self.secret.read().unwrap_or_else(PoisonError::into_inner);
        let decoded = jsonwebtoken::decode::<Claims>(token, &secret.decoding, &validation());
        let claims = decoded.map_err(|cause| foreign().caused_by(cause))?.claims;
        if claims.exp <= now_s {
            return Err(unauthenticated("the token has expired; get another at /api/auth/token"));
        }
        Ok(claims)
    }
}

/// The signature and its algorithm are judged there, the time here by our own clock.
fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    validation
}

/// Writes a new secret beside the old one and puts it in its place.
fn make(path: &Path) -> Result<[u8; 32]> {
    let secret = rand::random::<[u8; 32]>();
    let fresh = path.with_extension("new");
    let written = write_private(&fresh, &crate::hex(&secret)).and_then(|()| fs::rename(&fresh, path));
    written.and_then(|()| sync_folder(path)).map_err(|cause| unusable(path, cause))?;
    Ok(secret)
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    // One that a killed process left may have been made with other permissions.
    fs::remove_file(path).ok();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn foreign() -> Error {
    unauthenticated("the token is none of this server's; get another at /api/auth/token")
}

fn damaged(path: &Path) -> Error {
    Error::unavailable(format!(
        "{} is damaged; remove it, and tokens will have to be asked for anew",
        path.display()
    ))
}

fn unusable(path: &Path, cause: std::io::Error) -> Error {
    let message = format!("{} cannot be used ({cause}); check the data folder's permissions", path.display());
    Error::unavailable(message).caused_by(cause)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tidewire_engine::Code;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn signer() -> (tempfile::TempDir, Signer) {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::open(folder.path()).unwrap();
        (folder, signer)
    }

    fn claims() -> Claims {
        Claims::new("ann".into(), "k1".into(), None, NOW, 3600)
    }

    fn forged(header: &Header, claims: &Value, secret: &[u8]) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret)).unwrap()
    }

    #[test]
    fn a_token_says_what_was_signed_until_it_expires() {
        let (_folder, signer) = signer();
        let token = signer.sign(&claims()).unwrap();
        assert_eq!(signer.read(&token, NOW + 3599).unwrap(), claims());
        let late = signer.read(&token, NOW + 3600).unwrap_err();
        assert_eq!(late.code, Code::Unauthenticated);
        assert!(late.message.contains("expired"), "{late}");
        // The clock was set an hour back since it was signed.
        assert_eq!(signer.read(&token, NOW - 3600).unwrap(), claims());
    }

    #[test]
    fn the_secret_stays_with_the_folder_and_for_its_owner_alone() {
        let (folder, signer) = signer();
        let token = signer.sign(&claims()).unwrap();
        let again = Signer::open(folder.path()).unwrap();
        again.read(&token, NOW).unwrap();
        again.rotate().unwrap();
        assert!(again.read(&token, NOW).is_err());
        let rotated = again.sign(&claims()).unwrap();
        Signer::open(folder.path()).unwrap().read(&rotated, NOW).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(folder.path().join(FILE), "half").unwrap();
        assert!(Signer::open(folder.path()).err().unwrap().message.contains("damaged"));
    }

    #[test]
    fn what_we_did_not_sign_is_refused() {
        let (folder, signer) = signer();
        let secret = unhex(&fs::read_to_string(folder.path().join(FILE)).unwrap()).unwrap();
        let said = json!(claims());
        let without = |member: &str| {
            let mut said = said.clone();
            said.as_object_mut().unwrap().remove(member);
            said
        };
        let header = Header::new(Algorithm::HS256);
        let good = forged(&header, &said, &secret);
        signer.read(&good, NOW).unwrap();
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let (_, payload) = signed.split_once('.').unwrap();
        let bad = [
            forged(&header, &said, b"another secret, just as long as ours"),
            forged(&Header::new(Algorithm::HS512), &said, &secret),
            forged(&header, &without("exp"), &secret),
            forged(&header, &without("iss"), &secret),
            forged(&header, &without("key"), &secret),
            // {"alg":"none","typ":"JWT"}
            format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}."),
            format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.{signature}"),
            format!("{signed}."),
            "a.b.c".into(),
            "..".into(),
            ".".repeat(10_000),
        ];
        for token in bad {
            let refused = signer.read(&token, NOW).unwrap_err();
            assert_eq!(refused.code, Code::Unauthenticated, "{token}");
            assert!(!refused.message.contains(&token), "{refused}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever a token says is read as it was signed, and with any byte changed it is none of ours.
        #[test]
        fn a_token_with_any_byte_changed_is_refused(
            sub in ".{0,20}", key in ".{0,20}", seconds in 1_u64..1 << 40, at in any::<proptest::sample::Index>(), byte in "[A-Za-z0-9._=-]",
        ) {
            let (_folder, signer) = signer();
            let claims = Claims::new(sub, key, None, NOW, seconds);
            let token = signer.sign(&claims).unwrap();
            prop_assert_eq!(signer.read(&token, NOW).unwrap(), claims);
            let at = at.index(token.len());
            let mut other = token.clone();
            other.replace_range(at..=at, &byte);
            // The last letter of a signature has bits that count for nothing.
            if other != token && at + 1 < token.len() {
                prop_assert_eq!(signer.read(&other, NOW).unwrap_err().code, Code::Unauthenticated);
            }
        }

        /// Any text is refused as a token, and no secret is made of it.
        #[test]
        fn any_text_is_refused(text in prop_oneof![".{0,60}", "[A-Za-z0-9_-]{0,30}\\.[A-Za-z0-9_-]{0,30}\\.[A-Za-z0-9_-]{0,30}"]) {
            let (_folder, signer) = signer();
            prop_assert_eq!(signer.read(&text, NOW).unwrap_err().code, Code::Unauthenticated);
            prop_assert_eq!(unhex(&text).is_some(), text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()));
        }

        /// 64 hex digits are 32 bytes and nothing else is.
        #[test]
        fn digests_are_hex(bytes in any::<[u8; 32]>(), text in "[0-9a-fA-F+ -]{63,65}") {
            prop_assert_eq!(unhex(&crate::hex(&bytes)), Some(bytes));
            prop_assert_eq!(unhex(&text).is_some(), text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }
}
