//! Walks through graphs. Time is paused.

use std::sync::Mutex;

use async_trait::async_trait;
use tokio::time::Instant;

use super::events as walk;
use super::*;
use crate::agent::graph::assistant::{Means, agent, graph};
use crate::agent::graph::{Condition, END, Edge, Graph, GraphAgent, Node, Stage, State, Work};
use crate::agent::run_loop::Limits;
use crate::agent::{Records, SharedRecords, ToolSet};
use crate::conversation::RetrievalWish;
use crate::error::{Code, Result};
use crate::identity::{Grant, Grants};
use crate::model::assistant::Assistant;
use crate::model::{Model, ToolCall};
use crate::query::{Body, CollectionInfo, Filter, Hit, Query, Record, Search};

const TEXTS: [(&str, &str); 3] = [
    ("guide.md", "Change logs are kept for seven days. Older changes are pruned."),
    ("guide.md", "The server listens on port 4780 unless the configuration says otherwise."),
    ("pets.md", "A kitten sleeps most of the day and drinks milk."),
];

fn memory() -> Memory {
    let memory = Memory::default();
    for (number, (document, text)) in TEXTS.iter().enumerate() {
        let body = json!({"document": document, "title": document, "source": document, "text": text});
        let body: Body = body.as_object().unwrap().clone();
        memory.put("documents", &format!("{document}-{number:05}"), body);
    }
    memory
}

fn means_over(model: Arc<dyn Model>, records: SharedRecords, tools: Vec<Arc<dyn Tool>>) -> Means {
    let explorer = Explorer::new(Arc::clone(&model), Arc::clone(&records));
    Means { model, records, embedder: None, explorer, tools: ToolSet::new(tools), limits: Limits::default() }
}

fn means(model: impl Model) -> Means {
    means_over(Arc::new(model), Arc::new(memory()), Vec::new())
}

fn steps(events: &[AgentEvent]) -> Vec<&str> {
    let mut names = Vec::new();
    for event in events {
        if let AgentEvent::Step { name } = event {
            names.push(name.as_str());
        }
    }
    names
}

fn sources(events: &[AgentEvent]) -> Vec<String> {
    let told = events.iter().filter_map(|event| match event {
        AgentEvent::Sources(sources) => Some(sources),
        _ => None,
    });
    told.flatten().map(|source| source.title.clone()).collect()
}

/// What the deltas said.
fn said(events: &[AgentEvent]) -> String {
    let deltas = events.iter().filter_map(|event| match event {
        AgentEvent::TextDelta { text } => Some(text.as_str()),
        _ => None,
    });
    deltas.collect()
}

fn place(events: &[AgentEvent], fits: impl Fn(&AgentEvent) -> bool) -> usize {
    events.iter().position(fits).expect("it was told")
}

const DOCUMENTS: [&str; 8] = [
    "routing_split",
    "rewrite",
    "retrieve",
    "rerank",
    "tool_routing",
    "combine_context",
    "doc_to_sources",
    "generate_answer",
];

#[tokio::test(start_paused = true)]
async fn without_a_model_that_writes_the_answer_quotes_what_was_found() {
    let events =
        walk(&agent(&means(Assistant::new())).unwrap(), turn("How long are change logs kept?")).await;
    assert_eq!(steps(&events), DOCUMENTS);
    assert_eq!(sources(&events), ["guide.md"]);
    let (answer, _) = end(&events);
    assert!(answer.text.contains("Change logs are kept for seven days."), "{}", answer.text);
    assert!(answer.text.contains("[1]"), "{}", answer.text);
    assert_eq!(said(&events), answer.text);
    let told = place(&events, |event| matches!(event, AgentEvent::Sources(_)));
    assert!(
        told < place(&events, |event| matches!(event, AgentEvent::TextDelta { .. })),
        "sources come first"
    );
}

#[tokio::test(start_paused = true)]
async fn a_model_gets_the_passages_and_what_it_cites_exists() {
    let answer = "They are kept seven days [1], or for ever [7].";
    let model = Arc::new(ScriptedModel::new().then(Script::new().words(answer)));
    let means = means_over(Arc::clone(&model) as _, Arc::new(memory()), Vec::new());
    let events = walk(&agent(&means).unwrap(), turn("How long are change logs kept?")).await;
    assert_eq!(end(&events).0.text, "They are kept seven days [1], or for ever.");
    assert_eq!(said(&events), end(&events).0.text, "what does not exist was never shown");
    let requests = model.requests();
    assert_eq!(requests.len(), 1, "nothing has to be rewritten, and there are no tools");
    assert!(requests[0].system.contains("[1] guide.md\nChange logs are kept for seven days."));
    assert_eq!(end(&events).1.output_tokens, 10);
}

#[tokio::test(start_paused = true)]
async fn small_talk_wants_nothing() {
    let model = ScriptedModel::new().then(say("Hello to you."));
    let events = walk(&agent(&means(model)).unwrap(), turn("Good morning!")).await;
    assert_eq!(steps(&events), ["routing_split", "generate_answer"]);
    assert_eq!((end(&events).0.text.as_str(), sources(&events).len()), ("Hello to you.", 0));
}

#[tokio::test(start_paused = true)]
async fn the_catalogue_is_the_explorers() {
    let records = Memory::of(demo::entries());
    let model = ScriptedModel::new().then(call("list_tables", json!({}))).then(say("Many."));
    let means = means_over(Arc::new(model), Arc::new(records), Vec::new());
    let events = walk(&agent(&means).unwrap(), turn("Which tables are there?")).await;
    assert_eq!(steps(&events), ["routing_split", "explore"]);
    let (answer, _) = end(&events);
    assert_eq!(answer.text, "Many.");
    assert!(answer.canvas.is_some() && answer.metrics.is_some(), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_found_is_looked_for_once_more_and_said() {
    let events =
        walk(&agent(&means(Assistant::new())).unwrap(), turn("Who won the chess championship?")).await;
    let widened = ["routing_split", "rewrite", "retrieve", "dynamic_retrieve", "tool_routing"];
    assert_eq!(steps(&events)[..5], widened);
    assert!(sources(&events).is_empty());
    assert!(!end(&events).0.text.is_empty());
    let model = Arc::new(ScriptedModel::new().then(say("I found nothing about that [1].")));
    let means = means_over(Arc::clone(&model) as _, Arc::new(memory()), Vec::new());
    let events = walk(&agent(&means).unwrap(), turn("Who won the chess championship?")).await;
    assert_eq!(end(&events).0.text, "I found nothing about that.");
    assert!(model.requests()[0].system.contains("nothing was found"));
}

#[tokio::test(start_paused = true)]
async fn the_askers_wishes_come_first() {
    let asked = |wish: RetrievalWish, question: &str| {
        let mut turn = turn(question);
        turn.wishes.retrieval = wish;
        turn
    };
    let agent = agent(&means(Assistant::new())).unwrap();
    let no_sources = RetrievalWish { sources: false, ..RetrievalWish::default() };
    let events = walk(&agent, asked(no_sources, "How long are change logs kept?")).await;
    assert!(sources(&events).is_empty() && end(&events).0.text.contains("seven days"));
    let never = RetrievalWish { enabled: Some(false), ..RetrievalWish::default() };
    let events = walk(&agent, asked(never, "How long are change logs kept?")).await;
    assert!(!steps(&events).contains(&"retrieve"));
    let always = RetrievalWish { enabled: Some(true), ..RetrievalWish::default() };
    assert_eq!(steps(&walk(&agent, asked(always, "Hello!")).await)[2], "retrieve");
    let one = RetrievalWish { passages: Some(1), ..RetrievalWish::default() };
    let events =
        walk(&agent, asked(one, "Which port, and how long are change logs kept by the server?")).await;
    assert_eq!(sources(&events).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_of_documents_that_it_may_not_read() {
    let mut turn = turn("How long are change logs kept?");
    let grants = vec![Grant { collection: "orders".into(), write: false }];
    turn.identity = Identity { grants: Grants::Collections(grants), ..Identity::local() };
    turn.wishes.retrieval.enabled = Some(true);
    let events = walk(&agent(&means(Assistant::new())).unwrap(), turn).await;
    assert!(sources(&events).is_empty());
    assert!(!end(&events).0.text.contains("seven days"));
}

#[tokio::test(start_paused = true)]
async fn a_follow_up_is_looked_for_with_what_it_follows() {
    let mut turn = turn("And how long are they kept?");
    let before = [
        Message::User("Where are change logs?".into()),
        Message::Assistant { text: "In the folder.".into(), calls: Vec::new() },
    ];
    turn.messages.splice(0..0, before);
    let rules = walk(&agent(&means(Assistant::new())).unwrap(), turn.clone()).await;
    assert!(end(&rules).0.text.contains("seven days"));
    let model = ScriptedModel::new().then(say("How long are change logs kept?")).then(say("Seven days [1]."));
    let model = Arc::new(model);
    let means = means_over(Arc::clone(&model) as _, Arc::new(memory()), Vec::new());
    let events = walk(&agent(&means).unwrap(), turn).await;
    assert_eq!(
        (end(&events).0.text.as_str(), end(&events).1.output_tokens),
        ("Seven days [1].", 2),
        "the rewriting costs too"
    );
    assert!(model.requests()[0].system.starts_with("Rewrite the last question"));
}

/// Records that are never found.
struct Hanging;

#[async_trait]
impl Records for Hanging {
    async fn query(&self, _: &Identity, _: Query) -> Result<Vec<Record>> {
        Ok(Vec::new())
    }
    async fn count(&self, _: &Identity, _: &str, _: Option<Filter>) -> Result<u64> {
        Ok(0)
    }
    async fn search(&self, _: &Identity, _: Search) -> Result<Vec<Hit>> {
        std::future::pending().await
    }
    async fn collections(&self, _: &Identity) -> Result<Vec<CollectionInfo>> {
        Ok(Vec::new())
    }
    async fn documents(&self, _: &Identity) -> Result<Vec<String>> {
        Ok(vec!["documents".into()])
    }
}

#[tokio::test(start_paused = true)]
async fn retrieval_that_is_too_slow_is_gone_on_without_and_said() {
    let model = ScriptedModel::new().then(say("I would guess a week."));
    let means = means_over(Arc::new(model), Arc::new(Hanging), Vec::new());
    let began = Instant::now();
    let events = walk(&agent(&means).unwrap(), turn("How long are change logs kept?")).await;
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    assert!(!steps(&events).contains(&"dynamic_retrieve"));
    let text = &end(&events).0.text;
    assert_eq!(
        text,
        "I could not look into the documents this time, so what follows does not rest on them.\n\nI would guess a week."
    );
}

#[tokio::test(start_paused = true)]
async fn all_of_retrieval_shares_fifteen_seconds() {
    let model = ScriptedModel::new().then(Script::new().hang()).then(say("A week."));
    let means = means_over(Arc::new(model), Arc::new(Hanging), Vec::new());
    let mut turn = turn("And how long are they kept?");
    turn.messages.insert(0, Message::User("Where are change logs?".into()));
    let began = Instant::now();
    let events = walk(&agent(&means).unwrap(), turn).await;
    assert_eq!(began.elapsed(), Duration::from_secs(15), "ten for the rewriting, five for the search");
    assert!(end(&events).0.text.ends_with("A week."));
}

/// Never comes to an end.
struct Hang;

#[async_trait]
impl Work for Hang {
    async fn enter(&self, _: &mut Stage<'_>, _: &mut State) -> Result<()> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_too_slow_fails_with_its_name() {
    let mut graph = graph(&means(Assistant::new()));
    graph.replace("combine_context", Hang).unwrap();
    let agent = GraphAgent::new(graph, Arc::new(Assistant::new())).unwrap();
    let began = Instant::now();
    let events = walk(&agent, turn("How long are change logs kept?")).await;
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    let error = failure(&events);
    assert_eq!(error.code, Code::Deadline);
    assert_eq!(error.message, "the step \"combine_context\" took longer than 10 s and was ended; ask again");
}

/// Does what the node did before, and notes that it was here.
struct Noted {
    name: String,
    before: Arc<dyn Work>,
    notes: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Work for Noted {
    async fn enter(&self, stage: &mut Stage<'_>, state: &mut State) -> Result<()> {
        self.notes.lock().unwrap().push(self.name.clone());
        self.before.enter(stage, state).await
    }
}

/// A question and a model for each node, so that it is entered.
fn reaching(node: &str) -> (Turn, Arc<dyn Model>, SharedRecords) {
    let (question, records): (_, SharedRecords) = match node {
        "explore" => ("Which tables are there?", Arc::new(Memory::of(demo::entries()))),
        "dynamic_retrieve" => ("Who won the chess championship?", Arc::new(memory())),
        _ => ("How long are change logs kept?", Arc::new(memory())),
    };
    let model = match node {
        "run_tool" | "explore" => {
            let tool = if node == "explore" { "list_tables" } else { "look" };
            ScriptedModel::new().then(call(tool, json!({}))).then(say("none")).then(say("Done."))
        }
        _ => ScriptedModel::new().then(say("none")).then(say("Done.")),
    };
    (turn(question), Arc::new(model), records)
}

const NODES: [&str; 11] = [
    "routing_split",
    "rewrite",
    "retrieve",
    "dynamic_retrieve",
    "rerank",
    "tool_routing",
    "run_tool",
    "combine_context",
    "doc_to_sources",
    "generate_answer",
    "explore",
];

#[tokio::test(start_paused = true)]
async fn every_node_can_be_replaced_and_stopped_in() {
    for node in NODES {
        let (turn, model, records) = reaching(node);
        let tools = vec![slow("look", Duration::ZERO, json!(1))];
        let means = means_over(Arc::clone(&model), records, tools);
        let notes = Arc::<Mutex<Vec<String>>>::default();
        let mut replaced = graph(&means);
        let before = Arc::clone(&replaced.node(node).unwrap().work);
        replaced.replace(node, Noted { name: node.into(), before, notes: Arc::clone(&notes) }).unwrap();
        let events = walk(&GraphAgent::new(replaced, Arc::clone(&model)).unwrap(), turn).await;
        assert!(matches!(events.last(), Some(AgentEvent::RunFinished { .. })), "{node}: {events:?}");
        assert_eq!(*notes.lock().unwrap(), [node], "it was entered once");

        let (turn, model, _) = reaching(node);
        let mut stuck = graph(&Means { model: Arc::clone(&model), ..means });
        stuck.replace(node, Hang).unwrap();
        let agent = GraphAgent::new(stuck, model).unwrap();
        let (cancel, began) = (turn.cancel.clone(), Instant::now());
        let stop = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            cancel.cancel();
        };
        let (events, ()) = tokio::join!(walk(&agent, turn), stop);
        assert!(matches!(events.last(), Some(AgentEvent::RunStopped { .. })), "{node}: {events:?}");
        assert_eq!(began.elapsed(), Duration::from_millis(5), "{node}");
        assert_eq!(steps(&events).last(), Some(&node));
    }
    let error = graph(&means(Assistant::new())).replace("cook", Hang).unwrap_err();
    assert!(error.message.starts_with("the graph has no node \"cook\"; there are routing_split, rewrite"));
}

#[tokio::test(start_paused = true)]
async fn tools_are_called_in_rounds_until_none_is_wanted() {
    let model = ScriptedModel::new()
        .then(Script::new().call("look", json!({"at": 1})).call("look", json!({"at": 2})))
        .then(call("look", json!({"at": 1})))
        .then(say("none"))
        .then(say("Both are 7."));
    let model = Arc::new(model);
    let tools = vec![slow("look", Duration::from_secs(1), json!(7))];
    let means = means_over(Arc::clone(&model) as _, Arc::new(Memory::default()), tools);
    let began = Instant::now();
    let events = walk(&agent(&means).unwrap(), turn("What is at 1 and 2?")).await;
    let ran = ["routing_split", "tool_routing", "run_tool", "tool_routing", "run_tool", "tool_routing"];
    assert_eq!(steps(&events)[..6], ran);
    assert_eq!(began.elapsed(), Duration::from_secs(1), "two at once, and the third was a repetition");
    assert_eq!(results(&events, "look").len(), 3);
    assert!(results(&events, "look")[2]["error"].as_str().unwrap().contains("already made"));
    assert_eq!((said(&events).as_str(), end(&events).0.text.as_str()), ("Both are 7.", "Both are 7."));
    let ids: Vec<_> = model.requests().last().unwrap().messages.iter().filter_map(called).flatten().collect();
    assert_eq!(ids.len(), 3);
    assert!((0..3).all(|a| (0..a).all(|b| ids[a] != ids[b])), "each call has an id of its own: {ids:?}");
}

fn called(message: &Message) -> Option<Vec<String>> {
    match message {
        Message::Assistant { calls, .. } => {
            Some(calls.iter().map(|ToolCall { id, .. }| id.clone()).collect())
        }
        Message::User(_) | Message::Tool { .. } => None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_only_calls_is_ended_with_what_it_has() {
    let calls = |model: ScriptedModel, number: usize| model.then(call("look", json!({"at": number})));
    let model = (0..7).fold(ScriptedModel::new(), calls).then(say("Enough."));
    let tools = vec![slow("look", Duration::ZERO, json!(7))];
    let means = means_over(Arc::new(model), Arc::new(Memory::default()), tools);
    let events = walk(&agent(&means).unwrap(), turn("What is there?")).await;
    assert_eq!(steps(&events).iter().filter(|step| **step == "run_tool").count(), 7);
    assert_eq!(end(&events).0.text, "Enough.");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_answers_when_it_is_asked_for_tools_is_stopped_early() {
    let chatter = Script::new().tokens(10_000, Duration::from_millis(1));
    let model = ScriptedModel::new().then(chatter).then(say("Short."));
    let tools = vec![slow("look", Duration::ZERO, json!(7))];
    let means = means_over(Arc::new(model), Arc::new(Memory::default()), tools);
    let began = Instant::now();
    let events = walk(&agent(&means).unwrap(), turn("What is there?")).await;
    assert_eq!(said(&events), "Short.");
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_steers_a_run_is_read_at_its_next_round() {
    let model = Arc::new(
        ScriptedModel::new()
            .then(Script::new().text("First").wait(Duration::from_secs(2)).text(" answer."))
            .then(say("In metres, then.")),
    );
    let means = means_over(Arc::clone(&model) as _, Arc::new(Memory::default()), Vec::new());
    let turn = turn("How high is it?");
    let steering = Arc::clone(&turn.steering);
    let steer = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        steering.offer("in metres please").unwrap().send(true).unwrap();
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(steering.offer("too late").is_none());
    };
    let agent = agent(&means).unwrap();
    let (events, ()) = tokio::join!(walk(&agent, turn), steer);
    assert_eq!(end(&events).0.text, "First answer.\n\nIn metres, then.");
    let last = model.requests().pop().unwrap().messages;
    let tail = [
        Message::Assistant { text: "First answer.".into(), calls: Vec::new() },
        Message::User("in metres please".into()),
    ];
    assert_eq!(last[last.len() - 2..], tail);
}

#[test]
fn a_graph_that_cannot_be_walked_says_why() {
    let node = |name: &str| Node::new(name, Hang);
    let always = |from: &str, to: &str| Edge::new(from, to, Condition::Always);
    let check = |nodes: Vec<Node>, edges: Vec<Edge>, expected: &str| {
        let graph = Graph { name: "g".into(), entry: "a".into(), nodes, edges, steers: false };
        let error = graph.check().unwrap_err();
        assert_eq!(error.message, format!("the graph \"g\" cannot be walked: {expected}"));
    };
    check(vec![], vec![], "it begins with \"a\", which is no node");
    check(vec![node("a"), node("a")], vec![], "two nodes are named \"a\"");
    check(vec![node("end")], vec![], "a node cannot be named \"end\"");
    check(vec![node("a")], vec![], "no edge leads from the node \"a\"");
    check(vec![node("a")], vec![always("b", END)], "an edge leads from \"b\", which is no node");
    check(vec![node("a")], vec![always("a", "b")], "an edge leads from \"a\" to \"b\", which is no node");
    check(
        vec![node("a")],
        vec![always("a", END), always("a", END)],
        "two edges lead from the node \"a\" without a condition",
    );
    check(
        vec![node("a")],
        vec![Edge::new("a", END, Condition::Found)],
        "the last edge from the node \"a\" has a condition, so that none may fit; let it be without",
    );
    check(
        vec![node("a"), node("b")],
        vec![always("a", END), always("b", END)],
        "no way leads to the node \"b\"",
    );
    check(
        vec![node("a"), node("b")],
        vec![Edge::new("a", END, Condition::Found), always("a", "b"), always("b", "b")],
        "no way leads from the node \"b\" to the end",
    );
    graph(&means(Assistant::new())).check().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_graph_that_goes_round_for_ever_is_ended() {
    struct Nothing;
    #[async_trait]
    impl Work for Nothing {
        async fn enter(&self, _: &mut Stage<'_>, _: &mut State) -> Result<()> {
            Ok(())
        }
    }
    let edges = vec![
        Edge::new("a", END, Condition::Found),
        Edge::new("a", "b", Condition::Always),
        Edge::new("b", "a", Condition::Always),
    ];
    let nodes = vec![Node::new("a", Nothing), Node::new("b", Nothing)];
    let graph = Graph { name: "g".into(), entry: "a".into(), nodes, edges, steers: false };
    let agent = GraphAgent::new(graph, Arc::new(ScriptedModel::new())).unwrap();
    let events = walk(&agent, turn("go")).await;
    assert_eq!(failure(&events).code, Code::Internal);
    assert_eq!(steps(&events).len(), 256);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_fails_fails_the_run_with_its_reason() {
    let model = ScriptedModel::new().then(Script::new().fail(Error::upstream("it is tired; ask again")));
    let events = walk(&agent(&means(model)).unwrap(), turn("How long are change logs kept?")).await;
    assert_eq!(failure(&events).message, "it is tired; ask again");
    let queued = ScriptedModel::new().then(Script::new().queued(2).text("Now."));
    let events = walk(&agent(&means(queued)).unwrap(), turn("Hello!")).await;
    assert!(events.iter().any(|event| matches!(event, AgentEvent::RunQueued { position: 2 })));
}
