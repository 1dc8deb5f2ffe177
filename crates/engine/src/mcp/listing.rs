//! What a server offers. Its list is read tool by tool, so that one that is wrong costs no other.

use std::collections::BTreeSet;

use rmcp::model::{ClientRequest, ListToolsRequest, PaginatedRequestParams};
use rmcp::service::{Peer, RoleClient, ServiceError};
use serde_json::Value;

use super::{Approve, ServerSettings, name, schema};
use crate::agent::toolbox::DEFINITION_MAX;
use crate::model::ToolDefinition;

/// The most tools that are taken from one server.
const TOOLS_MAX: usize = 128;
/// The most pages that its list may have.
const PAGES_MAX: usize = 32;
/// The most notes that are taken of one list, and the most characters of each.
const NOTES_MAX: usize = 32;
const NOTE_MAX: usize = 300;

/// A tool that can be called.
#[derive(Debug)]
pub(super) struct Offer {
    /// As models see it.
    pub(super) definition: ToolDefinition,
    /// What the server calls it.
    pub(super) name: String,
    /// JSON Schema of its answers, if it promises any.
    pub(super) output: Option<Value>,
    pub(super) needs_approval: bool,
    pub(super) idempotent: bool,
}

impl Offer {
    /// Whether it is still the tool that somebody was told of.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.definition == other.definition
            && self.name == other.name
            && self.needs_approval == other.needs_approval
            && self.output == other.output
    }
}

/// What came of asking for the tools.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) offers: Vec<Offer>,
    pub(super) notes: Vec<String>,
}

/// Asks for the tools. The error is a sentence.
pub(super) async fn ask(peer: &Peer<RoleClient>, settings: &ServerSettings) -> Result<Listing, String> {
    let mut tools = Vec::new();
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let page = page(peer, cursor).await?;
        let Some(Value::Array(more)) = page.get("tools") else {
            return Err(String::from("answered the question for its tools with something else"));
        };
        tools.extend(more.iter().cloned());
        cursor = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() || tools.len() > TOOLS_MAX {
            break;
        }
    }
    Ok(read(&tools, settings))
}

async fn page(peer: &Peer<RoleClient>, cursor: Option<String>) -> Result<Value, String> {
    let params = PaginatedRequestParams::default().with_cursor(cursor);
    let request = ClientRequest::ListToolsRequest(ListToolsRequest::with_param(params));
    let result = peer.send_request(request).await.map_err(|error| match error {
        ServiceError::McpError(refusal) => format!("does not say what tools it has: {}", refusal.message),
        other => format!("does not say what tools it has: {other}"),
    })?;
    serde_json::to_value(result).map_err(|error| format!("said what cannot be read: {error}"))
}

/// Judges a list.
pub(super) fn read(tools: &[Value], settings: &ServerSettings) -> Listing {
    let mut listing = Listing::default();
    let mut names = BTreeSet::new();
    for tool in tools {
        let called = tool.get("name").and_then(Value::as_str).unwrap_or_default();
        let called: String = called.chars().take(128).collect();
        names.insert(called.clone());
        if !is_wanted(settings, &called) {
            continue;
        }
        if listing.offers.len() == TOOLS_MAX {
            listing.notes.push(format!("offers more than {TOOLS_MAX} tools; the others are left out"));
            break;
        }
        match offer(tool, settings) {
            Ok(offer)
                if listing.offers.iter().any(|known| known.definition.name == offer.definition.name) =>
            {
                // Which of the two a call means cannot be known; the first one was there first.
                listing.notes.push(format!("offers {called:?} twice; the second one is left out"));
            }
            Ok(offer) => listing.offers.push(offer),
            Err(why) => listing.notes.push(format!("the tool {called:?} is left out: {why}")),
        }
    }
    listing.notes.extend(unknown(settings, &names));
    listing.notes.iter_mut().for_each(|note| *note = note.chars().take(NOTE_MAX).collect());
    let more = listing.notes.len().saturating_sub(NOTES_MAX);
    if more > 0 {
        listing.notes.truncate(NOTES_MAX);
        listing.notes.push(format!("and there is more of this kind, {more} times"));
    }
    listing
}

fn is_wanted(settings: &ServerSettings, name: &str) -> bool {
    settings.tools.is_empty() || settings.tools.iter().any(|wanted| wanted == name)
}

/// Names in the configuration that the server does not have: a slip of the pen there may be a tool that asks nobody.
fn unknown(settings: &ServerSettings, there: &BTreeSet<String>) -> Vec<String> {
    let asking: &[String] = match &settings.approve {
        Approve::Only(names) => names,
        Approve::Always | Approve::Writes | Approve::Never => &[],
    };
    let named =
        [("tools", &settings.tools[..]), ("approve", asking), ("idempotent", &settings.idempotent[..])];
    let missing = named.into_iter().flat_map(|(setting, names)| {
        names.iter().filter(|name| !there.contains(*name)).map(move |name| (setting, name))
    });
    missing.map(|(setting, name)| format!("{setting} names {name:?}, which it does not offer")).collect()
}

fn offer(tool: &Value, settings: &ServerSettings) -> Result<Offer, String> {
    let name = text(tool, "name").filter(|name| !name.is_empty()).ok_or("it has no name")?;
    let input = tool.get("inputSchema").ok_or("it has no inputSchema")?;
    let parameters = parameters(input)?;
    let output = match tool.get("outputSchema") {
        None | Some(Value::Null) => None,
        Some(schema) => Some(output(schema)?),
    };
    let description = text(tool, "description").or_else(|| title(tool)).unwrap_or(name);
    if description.len() + parameters.to_string().len() > DEFINITION_MAX {
        return Err(format!("its description and schema have more than {DEFINITION_MAX} bytes"));
    }
    Ok(Offer {
        definition: ToolDefinition {
            name: name::of_tool(&settings.name, name),
            description: description.to_owned(),
            parameters,
        },
        name: name.to_owned(),
        output,
        needs_approval: needs_approval(tool, name, settings),
        idempotent: settings.idempotent.iter().any(|idempotent| idempotent == name),
    })
}

fn text<'a>(tool: &'a Value, member: &str) -> Option<&'a str> {
    tool.get(member).and_then(Value::as_str)
}

fn title(tool: &Value) -> Option<&str> {
    text(tool, "title").or_else(|| tool.get("annotations").and_then(|annotations| text(annotations, "title")))
}

fn needs_approval(tool: &Value, name: &str, settings: &ServerSettings) -> bool {
    let only_reads = || tool.pointer("/annotations/readOnlyHint") == Some(&Value::Bool(true));
    match &settings.approve {
        Approve::Always => true,
        Approve::Writes => !(settings.trust_annotations && only_reads()),
        Approve::Only(names) => names.iter().any(|asking| asking == name),
        Approve::Never => false,
    }
}

/// The schema of the arguments as models take it. A provider refuses a whole request for one schema that is wrong.
fn parameters(schema: &Value) -> Result<Value, String> {
    let mut members = schema.as_object().ok_or("its inputSchema is no object")?.clone();
    match members.get("type") {
        None => drop(members.insert(String::from("type"), Value::from("object"))),
        Some(Value::String(kind)) if kind == "object" => {}
        Some(other) => return Err(format!("its inputSchema is of type {other}, and must be \"object\"")),
    }
    schema::check(schema).map_err(|why| format!("its inputSchema is wrong: {why}"))?;
    members.remove("$schema"); // some providers do not know the word
    Ok(Value::Object(members))
}

fn output(schema: &Value) -> Result<Value, String> {
    schema::check(schema).map_err(|why| format!("its outputSchema is wrong: {why}"))?;
    Ok(schema.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::Place;
    use serde_json::json;

    fn settings(change: impl FnOnce(&mut ServerSettings)) -> ServerSettings {
        let mut settings = ServerSettings::new("s", Place::Address { url: String::new(), token: None });
        change(&mut settings);
        settings
    }

    fn tool(name: &str, only_reads: bool) -> Value {
        json!({"name": name, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": only_reads}})
    }

    fn asking(settings: &ServerSettings) -> Vec<String> {
        let offers = read(&[tool("look", true), tool("write", false)], settings).offers;
        offers.into_iter().filter(|offer| offer.needs_approval).map(|offer| offer.name).collect()
    }

    #[test]
    fn agreement_is_needed_unless_somebody_here_says_otherwise() {
        assert_eq!(asking(&settings(|_| ())), ["look", "write"], "a server's own word is not believed");
        assert_eq!(asking(&settings(|s| s.trust_annotations = true)), ["write"]);
        let always = |s: &mut ServerSettings| (s.trust_annotations, s.approve) = (true, Approve::Always);
        assert_eq!(asking(&settings(always)), ["look", "write"]);
        assert_eq!(asking(&settings(|s| s.approve = Approve::Only(vec!["look".into()]))), ["look"]);
        assert!(asking(&settings(|s| s.approve = Approve::Never)).is_empty());
    }

    #[test]
    fn the_schema_of_a_tool_without_one_word_is_completed() {
        let tools = [json!({"name": "t", "title": "T", "inputSchema": {"$schema": "x", "properties": {}}})];
        let offers = read(&tools, &settings(|_| ())).offers;
        let expected = json!({"properties": {}, "type": "object"});
        assert_eq!((&offers[0].definition.parameters, &*offers[0].definition.description), (&expected, "T"));
    }

    #[test]
    fn a_list_without_end_is_cut_and_its_faults_are_counted() {
        let many: Vec<_> = (0..1000).map(|number| tool(&format!("t{number}"), false)).collect();
        let listing = read(&many, &settings(|_| ()));
        assert_eq!((listing.offers.len(), listing.notes.len()), (TOOLS_MAX, 1));
        let wrong: Vec<_> = (0..1000)
            .map(|n| json!({"name": n.to_string(), "inputSchema": {"type": "x".repeat(9999)}}))
            .collect();
        let listing = read(&wrong, &settings(|_| ()));
        assert_eq!((listing.offers.len(), listing.notes.len()), (0, NOTES_MAX + 1));
        assert!(listing.notes.iter().all(|note| note.chars().count() <= NOTE_MAX));
    }
}
