//! What can be called in one run: the agent's own tools without those that are not wanted, and those that clients
//! bring. And what a call is bound to when a person agrees to it.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Tool, ToolSource, Tools};
use crate::error::{Detail, Error, Result};
use crate::model::ToolDefinition;

/// The most tools that clients may bring to one chat or one message.
pub const CLIENT_TOOLS_MAX: usize = 128;
/// The most bytes of a tool's description and parameters.
pub(crate) const DEFINITION_MAX: usize = 64 * 1024;
/// The longest name of a tool.
pub(crate) const NAME_MAX: usize = 64;

/// Tools, and what models see of them.
type Shown = (Tools, Arc<[ToolDefinition]>);

/// An agent's tools: those that it was made with, and those of its sources.
#[derive(Clone, Default)]
pub struct ToolSet {
    own: Tools,
    sources: Vec<Arc<dyn ToolSource>>,
    /// The last tools that there were, as models see them: mostly the same for each run.
    shown: Arc<Mutex<Option<Shown>>>,
}

impl ToolSet {
    /// With these tools, whose names are unique, and no sources yet.
    pub fn new(own: Vec<Arc<dyn Tool>>) -> Self {
        Self { own: own.into(), ..Self::default() }
    }

    /// One more tool. Its name must not be one that is there already.
    pub fn add(&mut self, tool: Arc<dyn Tool>) {
        self.own = self.own.iter().cloned().chain([tool]).collect();
    }

    /// One more source. Where two have a tool of the same name, what was added first counts.
    pub fn add_source(&mut self, source: Arc<dyn ToolSource>) {
        self.sources.push(source);
    }

    /// These tools of its, as models see them; a copy is made only when there are others than there were.
    pub(super) fn shown(&self, tools: &Tools) -> Arc<[ToolDefinition]> {
        let mut last = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let are_same = |known: &Tools| {
            known.len() == tools.len() && known.iter().zip(&**tools).all(|(a, b)| Arc::ptr_eq(a, b))
        };
        match &*last {
            Some((known, shown)) if are_same(known) => Arc::clone(shown),
            _ => {
                let shown: Arc<_> = tools.iter().map(|tool| tool.definition().clone()).collect();
                *last = Some((Arc::clone(tools), Arc::clone(&shown)));
                shown
            }
        }
    }

    /// What there is now.
    pub fn now(&self) -> Tools {
        if self.sources.is_empty() {
            return Arc::clone(&self.own);
        }
        let mut all = self.own.to_vec();
        for tool in self.sources.iter().flat_map(|source| source.tools().to_vec()) {
            if !all.iter().any(|known| known.definition().name == tool.definition().name) {
                all.push(tool);
            }
        }
        all.into()
    }
}

#[async_trait]
impl ToolSource for ToolSet {
    fn tools(&self) -> Tools {
        self.now()
    }

    async fn settled(&self) {
        for source in &self.sources {
            source.settled().await;
        }
    }

    async fn returned(&self, tool: &str) {
        for source in &self.sources {
            if self.now().iter().any(|known| known.definition().name == tool) {
                return;
            }
            source.returned(tool).await;
        }
    }
}

/// In a list of tools to be agreed to: each tool of the server.
pub(super) const EVERY_TOOL: &str = "*";

/// What can be called in one run.
pub(super) struct Toolbox<'a> {
    own: Vec<&'a Arc<dyn Tool>>,
    client: Vec<&'a ToolDefinition>,
    confirm: &'a [String],
}

/// Who does a call.
pub(super) enum Doer<'a> {
    /// We do.
    Own(&'a Arc<dyn Tool>),
    /// We do when a person has agreed.
    Confirmed(&'a Arc<dyn Tool>),
    /// A client.
    Client(&'a ToolDefinition),
}

impl<'a> Toolbox<'a> {
    /// The tools without those that are excluded.
    pub(super) fn new(
        own: &'a [Arc<dyn Tool>],
        client: &'a [ToolDefinition],
        exclude: &[String],
        confirm: &'a [String],
    ) -> Self {
        let wanted = |name: &str| !exclude.iter().any(|excluded| excluded == name);
        // A source may have got a tool of this name after the client's was taken.
        let is_own = |name: &str| own.iter().any(|tool| tool.definition().name == name);
        let client = client.iter().filter(|tool| !is_own(&tool.name)).collect();
        Self { own: own.iter().filter(|tool| wanted(&tool.definition().name)).collect(), client, confirm }
    }

    /// As the model sees them.
    pub(super) fn definitions(&self) -> Arc<[ToolDefinition]> {
        let own = self.own.iter().map(|tool| tool.definition());
        own.chain(self.client.iter().copied()).cloned().collect()
    }

    /// Who does calls of this name. The agent's own tools come first.
    pub(super) fn find(&self, name: &str) -> Result<Doer<'a>> {
        if let Some(tool) = self.own.iter().find(|tool| tool.definition().name == name) {
            let asked_about = |confirmed: &String| confirmed == name || confirmed == EVERY_TOOL;
            let confirm = tool.needs_approval() || self.confirm.iter().any(asked_about);
            return Ok(if confirm { Doer::Confirmed(tool) } else { Doer::Own(tool) });
        }
        let found = self.client.iter().find(|tool| tool.name == name);
        found.copied().map(Doer::Client).ok_or_else(|| self.unknown(name))
    }

    /// Whether somebody outside is asked about calls of this name.
    pub(super) fn asks_outside(&self, name: &str) -> bool {
        matches!(self.find(name), Ok(Doer::Client(_) | Doer::Confirmed(_)))
    }

    fn unknown(&self, name: &str) -> Error {
        let own = self.own.iter().map(|tool| tool.definition().name.as_str());
        let known: Vec<_> = own.chain(self.client.iter().map(|tool| tool.name.as_str())).collect();
        Error::not_found(format!("there is no tool {name:?}; there are {}", known.join(", ")))
    }
}

impl Doer<'_> {
    /// Whether the same call may be answered otherwise in a later round: what is on the screen now?
    pub(super) fn answers_anew(&self) -> bool {
        match self {
            Self::Own(tool) | Self::Confirmed(tool) => tool.answers_anew(),
            Self::Client(_) => true,
        }
    }

    /// JSON Schema of the arguments.
    pub(super) fn parameters(&self) -> &Value {
        match self {
            Self::Own(tool) | Self::Confirmed(tool) => &tool.definition().parameters,
            Self::Client(definition) => &definition.parameters,
        }
    }
}

/// Checks tools that a client brings. Parameters that are `null` become those of a tool without arguments.
///
/// # Errors
/// `Invalid` with the field: too many, a name that models do not take or that is there already, parameters that are no
/// object.
pub fn check_client_tools(own: &[Arc<dyn Tool>], tools: Vec<ToolDefinition>) -> Result<Vec<ToolDefinition>> {
    if tools.len() > CLIENT_TOOLS_MAX {
        return Err(wrong("tools", format!("a chat takes at most {CLIENT_TOOLS_MAX} tools; send fewer")));
    }
    let mut checked: Vec<ToolDefinition> = Vec::with_capacity(tools.len());
    for (number, mut tool) in tools.into_iter().enumerate() {
        let field = |member: &str| format!("tools.{number}.{member}");
        check_name(&tool.name, own, &checked).map_err(|why| wrong(&field("name"), why))?;
        if tool.parameters.is_null() {
            tool.parameters = serde_json::json!({"type": "object", "properties": {}});
        }
        if !tool.parameters.is_object() {
            let why = String::from("a tool's parameters are a JSON Schema, an object");
            return Err(wrong(&field("parameters"), why));
        }
        if tool.description.len() + tool.parameters.to_string().len() > DEFINITION_MAX {
            let why = format!("a tool's description and parameters have at most {DEFINITION_MAX} bytes");
            return Err(wrong(&field("parameters"), why));
        }
        checked.push(tool);
    }
    Ok(checked)
}

fn check_name(name: &str, own: &[Arc<dyn Tool>], before: &[ToolDefinition]) -> Result<(), String> {
    let clean = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if !clean || !(1..=NAME_MAX).contains(&name.len()) {
        return Err(format!("a tool's name has 1 to {NAME_MAX} of the characters A-Z a-z 0-9 _ -"));
    }
    if own.iter().any(|tool| tool.definition().name == name) {
        return Err(format!("{name:?} is a tool of the server; choose another name"));
    }
    if before.iter().any(|tool| tool.name == name) {
        return Err(format!("the tool {name:?} is there twice; choose another name"));
    }
    Ok(())
}

fn wrong(field: &str, why: String) -> Error {
    Error::invalid(why).with(Detail::Field(field.to_owned()))
}

/// SHA-256 of a call as canonical JSON `[name, arguments]`, as 64 hex digits.
pub fn digest(name: &str, arguments: &Value) -> String {
    let mut text = String::new();
    canonical(&Value::from(vec![Value::from(name), arguments.clone()]), &mut text);
    let mut digits = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        _ = write!(digits, "{byte:02x}"); // into a String it cannot fail
    }
    digits
}

/// Members sorted by name, no spaces, texts and numbers as `serde_json` writes them.
fn canonical(value: &Value, into: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| name.as_str());
            let member = |(name, value): &(&String, &Value), into: &mut String| {
                canonical(&Value::from(name.as_str()), into);
                into.push(':');
                canonical(value, into);
            };
            list('{', '}', &sorted, member, into);
        }
        Value::Array(items) => list('[', ']', items, canonical, into),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            _ = write!(into, "{value}");
        }
    }
}

fn list<T>(open: char, close: char, items: &[T], each: impl Fn(&T, &mut String), into: &mut String) {
    into.push(open);
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            into.push(',');
        }
        each(item, into);
    }
    into.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_digest_is_of_the_call_and_not_of_its_spelling() {
        let one: Value = serde_json::from_str(r#"{"b": [1, {"y": 2, "x": "ü"}], "a": null}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"a":null,"b":[1,{"x":"\u00fc","y":2}]}"#).unwrap();
        assert_eq!(digest("t", &one), digest("t", &other));
        assert_ne!(digest("t", &one), digest("u", &one));
        assert_ne!(digest("t", &json!({"a": 1})), digest("t", &json!({"a": "1"})));
        assert_ne!(digest("t", &json!([1, 2])), digest("t", &json!([2, 1])));
        // As `printf '["t",{"a":1}]' | sha256sum` says.
        let known = "371d982e5c3a5e4d2d2e1ae0a4e02409a7f0ed6789881010acee40004f92e34f";
        assert_eq!(digest("t", &json!({"a": 1})), known);
    }

    #[test]
    fn what_models_see_is_made_anew_only_for_other_tools() {
        let tool = |name| super::super::tool::function(name, "", json!({}), |_, _| async { Ok(Value::Null) });
        let mut tools = ToolSet::new(vec![tool("a")]);
        tools.add_source(Arc::new(ToolSet::new(vec![tool("b")])));
        let (shown, again) = (tools.shown(&tools.now()), tools.clone().shown(&tools.now()));
        assert_eq!(shown.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(Arc::ptr_eq(&shown, &again));
        tools.add(tool("c"));
        let more = tools.shown(&tools.now());
        assert_eq!(more.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["a", "c", "b"]);
        assert_eq!(tools.shown(&vec![tool("a")].into())[0].name, "a");
    }

    #[test]
    fn what_a_client_brings_is_checked() {
        let tool = |name: &str, parameters: Value| ToolDefinition {
            name: name.into(),
            description: "d".into(),
            parameters,
        };
        let own = [super::super::tool::function("count", "", json!({}), |_, _| async { Ok(Value::Null) })];
        let good = vec![tool("get-screen_2", Value::Null)];
        assert_eq!(check_client_tools(&own, good).unwrap()[0].parameters["type"], "object");
        let fails = |tools: Vec<ToolDefinition>, field: &str| {
            let error = check_client_tools(&own, tools).unwrap_err();
            assert_eq!(error.detail, Detail::Field(field.into()), "{error}");
        };
        fails(vec![tool("", json!({}))], "tools.0.name");
        fails(vec![tool("a b", json!({}))], "tools.0.name");
        fails(vec![tool(&"x".repeat(65), json!({}))], "tools.0.name");
        fails(vec![tool("count", json!({}))], "tools.0.name");
        fails(vec![tool("a", json!({})), tool("a", json!({}))], "tools.1.name");
        fails(vec![tool("a", json!("object"))], "tools.0.parameters");
        fails(vec![tool("a", json!({"x": "y".repeat(DEFINITION_MAX)}))], "tools.0.parameters");
        let many = (0..=CLIENT_TOOLS_MAX).map(|number| tool(&format!("t{number}"), json!({})));
        fails(many.collect(), "tools");
    }

    #[test]
    fn a_person_is_asked_about_the_tools_that_are_named_or_about_all() {
        let own = ["count", "drop"]
            .map(|name| super::super::tool::function(name, "", json!({}), |_, _| async { Ok(Value::Null) }));
        let asks = |confirm: &[&str]| {
            let confirm: Vec<_> = confirm.iter().map(|name| String::from(*name)).collect();
            let toolbox = Toolbox::new(&own, &[], &[], &confirm);
            ["count", "drop"].map(|name| toolbox.asks_outside(name))
        };
        assert_eq!(asks(&[]), [false, false]);
        assert_eq!(asks(&["drop"]), [false, true]);
        assert_eq!(asks(&["*"]), [true, true]);
    }
}
