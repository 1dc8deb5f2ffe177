//! What the user of a generated client may choose beside the endpoint's parameters.
//!
//! Everything has a default that comes from the definition: its address, its environment variables, its policy.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Attempt, AuthWay, Credential, Error, Policy, Target};

/// A target that is being obtained.
pub type TargetFuture = Pin<Box<dyn Future<Output = Result<Target, Error>> + Send>>;

type Aim = Arc<dyn Fn(Attempt) -> TargetFuture + Send + Sync>;
type Adjust = Arc<dyn Fn(&mut Policy) + Send + Sync>;

/// Choices of the user of a generated client. Clones share their counter of ids.
///
/// ```
/// use schematic_runtime::{Confirm, Credential, Options};
///
/// let options = Options::new()
///     .base_url("wss://example.com")
///     .credential(Credential::new("s3cret"))
///     .policy(|policy| policy.confirm = Confirm::Written);
/// assert!(!format!("{options:?}").contains("s3cret"));
/// ```
#[derive(Clone, Default)]
pub struct Options {
    base_url: Option<String>,
    credential: Option<Credential>,
    aim: Option<Aim>,
    adjust: Option<Adjust>,
    ids: Arc<AtomicU64>,
}

impl Options {
    /// Everything as the definition says.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another server than the definition's; without a path of its own or a trailing slash.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// The credential, in place of what is in the definition's environment variables.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// The whole target of every attempt, in place of what is made from parameters and credential; for addresses
    /// that are obtained by a call first.
    pub fn target<F>(mut self, aim: impl Fn(Attempt) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Target, Error>> + Send + 'static,
    {
        self.aim = Some(Arc::new(move |attempt| Box::pin(aim(attempt))));
        self
    }

    /// Changes the endpoint's policy.
    pub fn policy(mut self, adjust: impl Fn(&mut Policy) + Send + Sync + 'static) -> Self {
        self.adjust = Some(Arc::new(adjust));
        self
    }

    /// For generated code: the address to which paths are appended.
    pub fn base_url_or<'a>(&'a self, of_definition: &'a str) -> &'a str {
        self.base_url.as_deref().unwrap_or(of_definition).trim_end_matches('/')
    }

    /// For generated code: the credential that was given, or the first of these environment variables that is set.
    pub fn credential_or_env(&self, names: &[&str]) -> Option<Credential> {
        self.credential.clone().or_else(|| Credential::from_env(names))
    }

    /// For generated code: the target with the credential in its place. Without one the server decides.
    pub fn authenticated(&self, target: Target, way: &AuthWay, env: &[&str]) -> Target {
        match self.credential_or_env(env) {
            Some(credential) => target.auth(way, &credential),
            None => target,
        }
    }

    /// For generated code: the same with `Authorization: Basic`, user name and password from the environment.
    pub fn authenticated_basic(&self, target: Target, user: &str, passwords: &[&str]) -> Target {
        let from_env = || {
            let (user, password) = (Credential::from_env(&[user])?, Credential::from_env(passwords)?);
            Some(Credential::basic(user.reveal(), password.reveal()))
        };
        let way = AuthWay::Header { name: "Authorization".into(), prefix: "Basic ".into() };
        match self.credential.clone().or_else(from_env) {
            Some(credential) => target.auth(&way, &credential),
            None => target,
        }
    }

    /// For generated code: the target of the user, if there is one.
    pub fn own_target(&self, attempt: Attempt) -> Option<TargetFuture> {
        self.aim.as_ref().map(|aim| aim(attempt))
    }

    /// For generated code: the definition's policy with the user's changes.
    pub fn adjusted(&self, mut policy: Policy) -> Policy {
        if let Some(adjust) = &self.adjust {
            adjust(&mut policy);
        }
        policy
    }

    /// For generated code: a number that was not given before, from 1.
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("credential", &self.credential).finish_non_exhaustive()
    }
}

/// A text member of a message that takes the credential where the caller has left it empty.
pub trait Blank {
    /// Writes the secret into it, if there is nothing.
    fn fill(&mut self, credential: &Credential);
}

impl Blank for String {
    fn fill(&mut self, credential: &Credential) {
        if self.is_empty() {
            credential.reveal().clone_into(self);
        }
    }
}

impl Blank for Option<String> {
    fn fill(&mut self, credential: &Credential) {
        self.get_or_insert_default().fill(credential);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_become_one_credential() {
        let options = Options::new().credential(Credential::basic("Aladdin", "open sesame"));
        let target = options.authenticated_basic(Target::new("wss://h/"), "SCHEMATIC_UNSET", &[]);
        let expected = ("Authorization".to_owned(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned());
        assert_eq!(target.request(1).unwrap().headers, [expected]);
        let without = Options::new().authenticated_basic(Target::new("wss://h/"), "SCHEMATIC_UNSET", &[]);
        assert_eq!(without.request(1).unwrap().headers, []);
    }

    #[test]
    fn only_what_is_empty_is_filled() {
        let credential = Credential::new("secret");
        let (mut empty, mut full, mut absent) = (String::new(), "mine".to_owned(), None::<String>);
        empty.fill(&credential);
        full.fill(&credential);
        absent.fill(&credential);
        assert_eq!((empty.as_str(), full.as_str(), absent.as_deref()), ("secret", "mine", Some("secret")));
    }

    #[test]
    fn clones_count_together() {
        let options = Options::new();
        assert_eq!([options.next_id(), options.clone().next_id(), options.next_id()], [1, 2, 3]);
    }
}
