//! Which of the server's tools a chat's agent may use, as clients write it.

use serde::Deserialize;
use serde_json::Value;
use tidewire_engine::conversation::RunOptions;
use tidewire_engine::model::ToolDefinition;
use tidewire_engine::{Detail, Error, Result};

/// `{enabled, allowed_tools, max_iterations, tool_choice, …}`; what else is in it is passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolConfig {
    enabled: Option<bool>,
    allowed_tools: Option<Vec<String>>,
    max_iterations: Option<u64>,
    tool_choice: Option<Choice>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    r#type: String,
    #[serde(default)]
    name: Option<String>,
}

impl ToolConfig {
    /// As it was written; `null` says nothing.
    pub(super) fn read(written: Value) -> Result<Self> {
        if written.is_null() {
            return Ok(Self::default());
        }
        serde_json::from_value(written).map_err(|error| {
            Error::invalid(format!(
                "tool_config is {{enabled, allowed_tools, max_iterations, tool_choice}}: {error}"
            ))
            .with(Detail::Field("tool_config".into()))
        })
    }

    /// The tools that may be used; nothing: all of them.
    pub(super) fn allowed(&self) -> Option<Vec<String>> {
        let choice = self.tool_choice.as_ref().map(|choice| (choice.r#type.as_str(), &choice.name));
        match (self.enabled, choice) {
            (Some(false), _) | (_, Some(("none", _))) => Some(Vec::new()),
            (_, Some(("tool", Some(name)))) => Some(vec![name.clone()]),
            (_, _) => self.allowed_tools.clone(),
        }
    }

    /// At most so many rounds, if a message does not say it.
    pub(super) fn limit_rounds(&self, options: &mut RunOptions) {
        let rounds = self.max_iterations.map(|rounds| u32::try_from(rounds).unwrap_or(u32::MAX));
        options.max_rounds = options.max_rounds.or(rounds);
    }
}

/// Hides the tools that are not allowed from the model.
pub(super) fn exclude(options: &mut RunOptions, tools: Vec<ToolDefinition>, allowed: &[String]) {
    let names = tools.into_iter().map(|tool| tool.name);
    options.exclude.extend(names.filter(|name| !allowed.contains(name)));
}
