//! As whom a connection is opened, and how tokens are renewed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use schematic_runtime::{AuthWay, Credential, Error, ErrorKind, Target};

/// A token is renewed when it has less than this to live.
const MARGIN: Duration = Duration::from_secs(60);

/// A token, and until when it opens something.
#[derive(Clone)]
pub struct Token {
    secret: String,
    expires_at: Option<SystemTime>,
}

impl Token {
    /// A token that is good until it is refused.
    pub fn new(secret: impl Into<String>) -> Self {
        Self { secret: secret.into(), expires_at: None }
    }

    /// The same, but good until a moment; another one is obtained a minute before.
    #[must_use]
    pub fn expires_at(mut self, at: SystemTime) -> Self {
        self.expires_at = Some(at);
        self
    }

    fn is_fresh(&self) -> bool {
        self.expires_at.is_none_or(|at| SystemTime::now() + MARGIN < at)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

type Obtain = Pin<Box<dyn Future<Output = Result<Token, String>> + Send>>;
type Provider = Arc<dyn Fn() -> Obtain + Send + Sync>;

/// As whom.
#[derive(Clone, Default)]
enum Way {
    #[default]
    Anonymous,
    Key(String),
    Provider(Provider),
}

/// As whom connections are opened; shared by all of a client's.
#[derive(Default)]
pub(crate) struct Access {
    way: Way,
    known: Mutex<Option<Token>>,
    /// Whether the last token was refused, and none accepted since.
    was_refused: AtomicBool,
    /// Held while a token is obtained, so that many connections ask once.
    obtaining: tokio::sync::Mutex<()>,
}

impl Access {
    pub(crate) fn key(key: impl Into<String>) -> Self {
        Self { way: Way::Key(key.into()), ..Self::default() }
    }

    pub(crate) fn provider<F, E>(provider: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Token, E>> + Send + 'static,
        E: fmt::Display,
    {
        let obtain = move || -> Obtain {
            let token = provider();
            Box::pin(async move { token.await.map_err(|error| error.to_string()) })
        };
        Self { way: Way::Provider(Arc::new(obtain)), ..Self::default() }
    }

    /// The address with what opens it.
    pub(crate) async fn open(&self, target: Target) -> Result<Target, Error> {
        let secret = match &self.way {
            Way::Anonymous => return Ok(target),
            Way::Key(key) => key.clone(),
            Way::Provider(provider) => self.token(provider).await?.secret,
        };
        let way = AuthWay::Header { name: String::from("Authorization"), prefix: String::from("Bearer ") };
        Ok(target.auth(&way, &Credential::new(secret)))
    }

    async fn token(&self, provider: &Provider) -> Result<Token, Error> {
        let _turn = self.obtaining.lock().await;
        if let Some(token) = self.lock().clone().filter(Token::is_fresh) {
            return Ok(token);
        }
        // Not being able to obtain one is as passing as not being able to connect.
        let failed = |why| Error::new(ErrorKind::Connect, format!("no token could be obtained: {why}"));
        let token = provider().await.map_err(failed)?;
        *self.lock() = Some(token.clone());
        Ok(token)
    }

    /// A token was refused: whether another one may be had. One that is refused twice in a row may not.
    pub(crate) fn refused(&self) -> bool {
        let had_one = self.lock().take().is_some();
        had_one && !self.was_refused.swap(true, Ordering::Relaxed)
    }

    /// A connection was opened.
    pub(crate) fn accepted(&self) {
        self.was_refused.store(false, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Token>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    async fn header(access: &Access) -> String {
        let target = access.open(Target::new("ws://localhost/api/ws")).await.unwrap();
        target.request(1).unwrap().headers[0].1.clone()
    }

    #[tokio::test]
    async fn tokens_are_kept_until_they_are_about_to_expire_or_refused() {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let access = Access::provider(move || {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            // The first one is about to expire.
            let life = if number == 0 { MARGIN / 2 } else { 10 * MARGIN };
            async move { Ok::<_, String>(Token::new(format!("t{number}")).expires_at(SystemTime::now() + life)) }
        });
        assert_eq!(header(&access).await, "Bearer t0");
        assert_eq!(header(&access).await, "Bearer t1");
        assert_eq!(header(&access).await, "Bearer t1");
        assert!(access.refused());
        assert_eq!(header(&access).await, "Bearer t2");
        assert!(!access.refused(), "a second refusal is final");
        access.accepted();
        assert_eq!(header(&access).await, "Bearer t3");
        assert!(access.refused());
    }

    #[tokio::test]
    async fn keys_are_no_tokens_and_nothing_is_printed() {
        let access = Access::key("secret");
        assert_eq!(header(&access).await, "Bearer secret");
        assert!(!access.refused());
        assert!(!format!("{:?}", Token::new("secret")).contains("secret"));
        let anonymous = Access::default().open(Target::new("ws://localhost")).await.unwrap();
        assert!(anonymous.request(1).unwrap().headers.is_empty());
    }
}
