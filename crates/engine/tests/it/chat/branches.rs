//! What goes along when messages are brought to another chat, and who answers when an answer is given anew.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tidewire_engine::agent::{Agent, Agents, Events, Turn};
use tidewire_engine::conversation::{AnswerStatus, ChatMessage, ChatSettings, MergeStrategy, Shown};
use tidewire_engine::event::{Amendment, Answer, Answerer, Source, Usage};
use tidewire_engine::id::SystemClock;
use tidewire_engine::model::Models;
use tidewire_engine::model::scripted::ScriptedModel;
use tidewire_engine::{
    AgentEvent, ChatBody, ChatId, ChatRef, Command, Engine, Error, Event, Identity, LocalBus, Parts,
    Position, Reply, Seq, Settings, Timestamp,
};

use super::rig::{House, agent, answer, end, finished, open, say};

fn source() -> Source {
    Source { id: "keys-1".into(), passage: "It is closed.".into(), ..Source::default() }
}

/// Does everything that can be shown of an answer; asked for trouble it ends without a word.
fn thorough() -> Arc<dyn Agent> {
    agent(|turn, events| async move {
        let (call_id, name) = (String::from("c1"), String::from("git_commit"));
        let arguments = json!({"message": "Tidy"});
        for event in [
            AgentEvent::RunStarted,
            AgentEvent::ReasoningDelta { text: "First the guide.".into() },
            AgentEvent::Step { name: "retrieve".into() },
            AgentEvent::ReasoningDelta { text: "It says so.".into() },
            AgentEvent::ToolCall {
                call_id: call_id.clone(),
                name: name.clone(),
                arguments: arguments.clone(),
            },
            AgentEvent::ApprovalRequested {
                call_id: call_id.clone(),
                name: name.clone(),
                arguments,
                digest: "9f".into(),
                expires_at: Timestamp(i64::MAX),
            },
            AgentEvent::ApprovalResolved { call_id: call_id.clone(), approved: true, by: "ann".into() },
            AgentEvent::ToolResult {
                call_id,
                name,
                content: "{}".into(),
                error: None,
                duration: Duration::from_millis(84),
            },
            AgentEvent::Sources(vec![source()]),
        ] {
            say(&events, event).await;
        }
        if format!("{:?}", turn.messages.last()).contains("trouble") {
            let (answer, usage) = (Answer::default(), Usage::default());
            let error = Error::upstream("the model went away");
            return say(&events, AgentEvent::RunFailed { answer, usage, error, interrupted: false }).await;
        }
        let answer =
            Answer { text: "Closed [1].".into(), diagram: Some("erDiagram".into()), ..Answer::default() };
        say(
            &events,
            AgentEvent::RunFinished { answer, usage: Usage { output_tokens: 7, ..Usage::default() } },
        )
        .await;
    })
}

async fn branch(engine: &Arc<Engine>, parent: ChatId, messages: Option<usize>) -> ChatId {
    let me = engine.connect(Identity::local());
    let settings = ChatSettings::default();
    match engine.execute(&me, Command::BranchChat { parent, messages, settings }).await.unwrap() {
        Reply::Chat(info) => info.chat,
        other => panic!("{other:?}"),
    }
}

/// What a chat begins with: each brought message's text, and what was shown with it.
async fn brought(engine: &Arc<Engine>, chat: ChatId, count: usize) -> Vec<(String, Option<Shown>)> {
    let me = engine.connect(Identity::local());
    let after = Some(Position { epoch: None, seq: Seq::START });
    engine.execute(&me, Command::FollowChat { chat: ChatRef::Id(chat), after }).await.unwrap();
    let mut events = Vec::new();
    let mut found = Vec::new();
    while found.len() < count {
        me.next(&mut events).await;
        found.extend(events.drain(..).filter_map(Event::into_chat).filter_map(|event| match &event.body {
            ChatBody::Amended { amendment: Amendment::Imported { content, shown, .. }, .. } => {
                Some((content.clone(), shown.as_deref().cloned()))
            }
            _ => None,
        }));
    }
    found
}

fn check_shown(shown: &Shown) {
    assert_eq!(shown.status, AnswerStatus::Finished);
    assert_eq!(shown.steps.iter().map(|step| &*step.name).collect::<Vec<_>>(), ["retrieve"]);
    assert!(shown.steps[0].at > Timestamp(0));
    let [call] = &shown.tools[..] else { panic!("{shown:?}") };
    assert_eq!(
        (&*call.name, call.result.as_deref(), call.duration),
        ("git_commit", Some("{}"), Some(Duration::from_millis(84)))
    );
    let [decided] = &shown.approvals[..] else { panic!("{shown:?}") };
    assert_eq!((decided.approved, &*decided.by.0, &*decided.digest), (true, "ann", "9f"));
    assert_eq!(decided.arguments, json!({"message": "Tidy"}));
    assert_eq!((&shown.sources[..], shown.diagram.as_deref()), (&[source()][..], Some("erDiagram")));
    assert_eq!(shown.reasoning.as_deref(), Some("First the guide.\n\nIt says so."));
    assert_eq!(shown.usage.output_tokens, 7);
}

async fn messages(engine: &Arc<Engine>, chat: ChatId) -> Vec<ChatMessage> {
    let me = engine.connect(Identity::local());
    let list = Command::ListMessages { chat, limit: 100, skip: 0, ascending: true };
    match engine.execute(&me, list).await.unwrap() {
        Reply::Messages { messages, .. } => messages,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_branch_takes_along_all_that_was_shown_and_so_does_its_own_branch() {
    let house = House::new(thorough()).await;
    let mut client = house.client().await;
    let run = client.send("What happens?").await;
    client.end_of(run).await;
    let first = branch(&house.engine, client.chat, None).await;
    let second = branch(&house.engine, first, Some(2)).await;
    for chat in [first, second] {
        let found = brought(&house.engine, chat, 2).await;
        assert_eq!(found[0], (String::from("What happens?"), None));
        assert_eq!(found[1].0, "Closed [1].");
        check_shown(found[1].1.as_ref().expect("it was shown"));
        assert_eq!(messages(&house.engine, chat).await[1].tools.len(), 1);
    }
    assert_eq!(brought(&house.engine, second, 2).await, brought(&house.engine, first, 2).await);
}

#[tokio::test]
async fn a_question_without_an_answer_takes_along_what_became_of_it() {
    let house = House::new(thorough()).await;
    let mut client = house.client().await;
    let run = client.send("Make trouble").await;
    client.end_of(run).await;
    let found = brought(&house.engine, branch(&house.engine, client.chat, None).await, 1).await;
    let shown = found[0].1.as_ref().expect("it was shown");
    assert_eq!((shown.status, shown.failure.as_deref()), (AnswerStatus::Failed, Some("the model went away")));
    assert_eq!((shown.steps.len(), shown.approvals.len()), (1, 1));
}

#[tokio::test]
async fn chats_that_become_one_take_along_what_was_shown() {
    let house = House::new(thorough()).await;
    let mut client = house.client().await;
    let run = client.send("What happens?").await;
    client.end_of(run).await;
    let Reply::Chat(target) =
        client.execute(Command::OpenChat { settings: ChatSettings::default() }).await.unwrap()
    else {
        panic!("a chat")
    };
    let strategy = MergeStrategy::LatestOnly;
    let merge = Command::MergeChats { sources: vec![client.chat], target: target.chat, strategy };
    client.execute(merge).await.unwrap();
    check_shown(brought(&house.engine, target.chat, 2).await[1].1.as_ref().expect("it was shown"));
}

/// Says its name.
struct Named(&'static str);

#[async_trait]
impl Agent for Named {
    fn name(&self) -> &str {
        self.0
    }

    async fn run(&self, _: Turn, events: Events) {
        say(&events, AgentEvent::RunStarted).await;
        say(&events, finished(self.0)).await;
    }
}

#[tokio::test]
async fn an_answer_is_given_anew_by_whoever_gave_it() {
    let folder = tempfile::tempdir().unwrap();
    let parts = Parts {
        store: open(folder.path()),
        bus: Arc::new(LocalBus::default()),
        agents: Agents::new(Arc::new(Named("explorer"))).with(Arc::new(Named("assistant"))),
        models: Models::new(Arc::new(ScriptedModel::new())),
        embedder: None,
        clock: Arc::new(SystemClock),
        settings: Settings::default(),
    };
    let engine = Engine::start(parts).await.unwrap();
    let mut client = super::rig::Client::follow(&engine, super::rig::SESSION, Some(Seq::START)).await;
    let options = tidewire_engine::conversation::RunOptions {
        agent: Some("assistant".into()),
        model: Some("scripted".into()),
        ..Default::default()
    };
    let ask = Command::SendMessage {
        chat: ChatRef::Id(client.chat),
        message_id: None,
        content: "who?".into(),
        while_running: tidewire_engine::command::WhileRunning::Reject,
        options,
    };
    let Reply::Accepted { run, .. } = client.execute(ask).await.unwrap() else { panic!("it is accepted") };
    client.end_of(run).await;
    let answered = messages(&engine, client.chat).await[1].seq;
    let anew = Command::Regenerate { chat: client.chat, message: answered };
    let Reply::Accepted { run, .. } = client.execute(anew).await.unwrap() else { panic!("it is accepted") };
    let events = client.until(|event| end(event).is_some_and(|(of, _)| of == run)).await;
    let last = end(events.last().unwrap()).unwrap().1;
    assert_eq!(answer(last).text, "assistant");
    let by = Answerer { agent: "assistant".into(), model: Some("scripted".into()) };
    assert_eq!(answer(last).by, Some(by));
}
