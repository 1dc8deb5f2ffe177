//! Checkpoints of runs, as they are kept. They go when their run has ended.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::Passed;
use crate::conversation::{RetrievalWish, RunOptions};
use crate::event::{Begun, Checkpoint};
use crate::identity::{Grant, Grants, Identity};
use crate::model::ToolDefinition;

/// The twin of [`Checkpoint`].
#[derive(Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub(super) enum KeptCheckpoint {
    Begun {
        agent: String,
        identity: KeptIdentity,
        #[serde(default)]
        options: KeptOptions,
    },
    Passed {
        node: String,
        next: String,
        #[serde(default)]
        state: Value,
    },
    #[serde(other)]
    Hidden,
}

#[derive(Serialize, Deserialize)]
pub(super) struct KeptIdentity {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    subject: String,
    grants: KeptGrants,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptGrants {
    Admin,
    Collections(Vec<KeptGrant>),
}

#[derive(Serialize, Deserialize)]
struct KeptGrant {
    collection: String,
    write: bool,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct KeptOptions {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<KeptTool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    confirm: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exclude: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_rounds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    retrieval: KeptWish,
}

#[derive(Serialize, Deserialize)]
struct KeptTool {
    name: String,
    description: String,
    parameters: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
struct KeptWish {
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passages: Option<u32>,
    sources: bool,
}

impl Default for KeptWish {
    fn default() -> Self {
        let RetrievalWish { enabled, passages, sources } = RetrievalWish::default();
        Self { enabled, passages, sources }
    }
}

impl KeptCheckpoint {
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        match checkpoint {
            Checkpoint::Begun(begun) => Self::Begun {
                agent: begun.agent.clone(),
                identity: KeptIdentity::of(&begun.identity),
                options: KeptOptions::of(&begun.options),
            },
            Checkpoint::Passed(passed) => {
                let Passed { node, next, state } = (**passed).clone();
                Self::Passed { node, next, state }
            }
            Checkpoint::Hidden => Self::Hidden,
        }
    }

    pub(super) fn into_checkpoint(self) -> Checkpoint {
        match self {
            Self::Begun { agent, identity, options } => {
                let (identity, options) = (identity.into_identity(), options.into_options());
                Checkpoint::Begun(Box::new(Begun { agent, identity, options }))
            }
            Self::Passed { node, next, state } => Checkpoint::Passed(Box::new(Passed { node, next, state })),
            Self::Hidden => Checkpoint::Hidden,
        }
    }
}

impl KeptIdentity {
    fn of(identity: &Identity) -> Self {
        let grants = match &identity.grants {
            Grants::Admin => KeptGrants::Admin,
            Grants::Collections(list) => KeptGrants::Collections(list.iter().map(KeptGrant::of).collect()),
        };
        let key = identity.key.as_ref().map(|key| key.to_string());
        Self { key, subject: identity.subject.0.to_string(), grants }
    }

    fn into_identity(self) -> Identity {
        let grants = match self.grants {
            KeptGrants::Admin => Grants::Admin,
            KeptGrants::Collections(list) => {
                Grants::Collections(list.into_iter().map(KeptGrant::into_grant).collect())
            }
        };
        Identity { key: self.key.map(Into::into), subject: self.subject.as_str().into(), grants }
    }
}

impl KeptGrant {
    fn of(grant: &Grant) -> Self {
        Self { collection: grant.collection.clone(), write: grant.write }
    }

    fn into_grant(self) -> Grant {
        Grant { collection: self.collection, write: self.write }
    }
}

impl KeptOptions {
    fn of(options: &RunOptions) -> Self {
        let RunOptions {
            tools,
            confirm,
            exclude,
            max_rounds,
            agent,
            model,
            max_tokens,
            temperature,
            retrieval,
            // What was said before the first message is in the log by itself.
            beginning: _,
        } = options.clone();
        let RetrievalWish { enabled, passages, sources } = retrieval;
        let tool =
            |ToolDefinition { name, description, parameters }| KeptTool { name, description, parameters };
        Self {
            tools: tools.into_iter().map(tool).collect(),
            confirm,
            exclude,
            max_rounds,
            agent,
            model,
            max_tokens,
            temperature,
            retrieval: KeptWish { enabled, passages, sources },
        }
    }

    fn into_options(self) -> RunOptions {
        let KeptWish { enabled, passages, sources } = self.retrieval;
        let tool =
            |KeptTool { name, description, parameters }| ToolDefinition { name, description, parameters };
        RunOptions {
            tools: self.tools.into_iter().map(tool).collect(),
            confirm: self.confirm,
            exclude: self.exclude,
            max_rounds: self.max_rounds,
            agent: self.agent,
            model: self.model,
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            retrieval: RetrievalWish { enabled, passages, sources },
            beginning: None,
        }
    }
}
