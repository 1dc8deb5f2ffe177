//! Chats as things: their settings and messages, branching, merging, summing up, deletion.

use std::sync::Arc;

use serde_json::json;
use tidewire_engine::agent::Agents;
use tidewire_engine::agent::explorer::Explorer;
use tidewire_engine::collections::Desk;
use tidewire_engine::command::WhileRunning;
use tidewire_engine::conversation::{AnswerStatus, ChatInfo, ChatMessage, ChatSettings, MergeStrategy, Role};
use tidewire_engine::event::Amendment;
use tidewire_engine::id::SystemClock;
use tidewire_engine::identity::Grants;
use tidewire_engine::model::scripted::{Script, ScriptedModel};
use tidewire_engine::model::{Message, Models};
use tidewire_engine::store::sqlite::Sqlite;
use tidewire_engine::{
    AgentEvent, ChatBody, ChatId, ChatRef, Code, Command, Connection, Engine, Event, Identity, LocalBus,
    Parts, Position, Reply, Result, Seq, Settings,
};

use super::rig::open;

struct Scene {
    engine: Arc<Engine>,
    me: Connection,
    model: Arc<ScriptedModel>,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new(model: ScriptedModel) -> Self {
        let (folder, model) = (tempfile::tempdir().unwrap(), Arc::new(model));
        let engine = start(&folder, &model).await;
        Self { me: engine.connect(Identity::local()), engine, model, folder }
    }

    /// As after a restart.
    async fn again(self) -> Self {
        let Self { engine, me, model, folder } = self;
        engine.drain(std::time::Duration::from_secs(5)).await;
        drop((engine, me));
        let store = super::restart::reopen(folder.path()).await;
        let engine = start_over(store, &model).await;
        Self { me: engine.connect(Identity::local()), engine, model, folder }
    }

    async fn run(&self, command: Command) -> Result<Reply> {
        self.engine.execute(&self.me, command).await
    }

    async fn open(&self, settings: ChatSettings) -> ChatId {
        info(self.run(Command::OpenChat { settings }).await).chat
    }

    /// Says something and waits for the run's end.
    async fn say(&self, chat: ChatId, content: &str) {
        self.run(Command::FollowChat { chat: ChatRef::Id(chat), after: None }).await.unwrap();
        let send = Command::SendMessage {
            chat: ChatRef::Id(chat),
            message_id: None,
            content: content.into(),
            while_running: WhileRunning::Reject,
            options: Default::default(),
        };
        self.run(send).await.unwrap();
        self.end(chat).await;
    }

    async fn end(&self, chat: ChatId) {
        let is_end = |event: &Event| {
            event.as_chat().is_some_and(|event| {
                event.chat == chat && matches!(&event.body, ChatBody::Run { event, .. } if event.is_end())
            })
        };
        let mut events = Vec::new();
        while !events.iter().any(is_end) {
            self.me.next(&mut events).await;
        }
    }

    async fn messages(&self, chat: ChatId) -> Vec<ChatMessage> {
        let list = Command::ListMessages { chat, limit: 100, skip: 0, ascending: true };
        match self.run(list).await.unwrap() {
            Reply::Messages { messages, .. } => messages,
            other => panic!("{other:?}"),
        }
    }

    async fn shown(&self, chat: ChatId) -> Vec<String> {
        self.messages(chat).await.iter().map(line).collect()
    }

    /// What the model was shown at last.
    fn told(&self) -> Vec<String> {
        let request = self.model.requests().pop().unwrap();
        let line = |message: &Message| match message {
            Message::User(text) => format!("u:{text}"),
            Message::Assistant { text, .. } => format!("a:{text}"),
            Message::Tool { name, .. } => format!("t:{name}"),
        };
        request.messages.iter().map(line).collect()
    }
}

async fn start(folder: &tempfile::TempDir, model: &Arc<ScriptedModel>) -> Arc<Engine> {
    start_over(open(folder.path()), model).await
}

async fn start_over(
    store: Arc<dyn tidewire_engine::store::Store>,
    model: &Arc<ScriptedModel>,
) -> Arc<Engine> {
    let records = Desk::new(Arc::new(Sqlite::in_memory().unwrap()), Arc::new(SystemClock));
    let parts = Parts {
        store,
        bus: Arc::new(LocalBus::default()),
        agents: Agents::new(Arc::new(Explorer::new(Arc::clone(model) as _, Arc::new(records)))),
        models: Models::new(Arc::clone(model) as _).with(Arc::new(ScriptedModel::new().named("other/one"))),
        embedder: None,
        clock: Arc::new(SystemClock),
        settings: Settings::default(),
    };
    Engine::start(parts).await.unwrap()
}

fn line(message: &ChatMessage) -> String {
    let who = match message.role {
        Role::User => "u",
        Role::Assistant => "a",
    };
    let forgotten = if message.forgotten { " (forgotten)" } else { "" };
    format!("{who}:{}{forgotten}", message.content)
}

fn info(reply: Result<Reply>) -> ChatInfo {
    match reply.unwrap() {
        Reply::Chat(info) => *info,
        other => panic!("{other:?}"),
    }
}

fn found(reply: Result<Reply>) -> (Vec<ChatInfo>, u64) {
    match reply.unwrap() {
        Reply::FoundChats { chats, total } => (chats, total),
        other => panic!("{other:?}"),
    }
}

fn one(reply: Result<Reply>) -> ChatMessage {
    match reply.unwrap() {
        Reply::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

/// Answers what it is asked with a number that grows.
fn counting() -> ScriptedModel {
    let count = std::sync::atomic::AtomicUsize::new(0);
    ScriptedModel::new().reading(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        Some(Script::new().text(format!("answer {number}")))
    })
}

#[tokio::test]
async fn a_chat_is_led_by_its_settings_and_keeps_them() {
    let scene = Scene::new(counting()).await;
    let settings = ChatSettings {
        title: Some("Tea".into()),
        system_prompt: Some("You are a tea master.".into()),
        max_context_messages: Some(2),
        max_tokens: Some(99),
        temperature: Some(0.25),
        extra: json!({"provider": "ours", "a": 1}).as_object().unwrap().clone(),
        ..ChatSettings::default()
    };
    let chat = scene.open(settings.clone()).await;
    for question in ["one", "two", "three"] {
        scene.say(chat, question).await;
    }
    let request = scene.model.requests().pop().unwrap();
    assert!(
        request.system.starts_with("You are a tea master.\n\nYou are the explorer"),
        "{}",
        request.system
    );
    assert_eq!((request.max_tokens, request.temperature), (Some(99), Some(0.25)));
    assert_eq!(scene.told(), ["u:two", "a:answer 2", "u:three"]);

    let changes = ChatSettings {
        model: Some("one".into()),
        extra: json!({"a": 2}).as_object().unwrap().clone(),
        ..ChatSettings::default()
    };
    let expected = ChatSettings {
        model: Some("one".into()),
        extra: json!({"provider": "ours", "a": 2}).as_object().unwrap().clone(),
        ..settings
    };
    let updated = info(scene.run(Command::UpdateChat { chat, settings: changes }).await);
    assert_eq!((&updated.settings, updated.message_count), (&expected, 6));
    let scene = scene.again().await;
    assert_eq!(info(scene.run(Command::GetChat { chat }).await).settings, expected);
    scene.say(chat, "four").await;
    let last = scene.messages(chat).await.pop().unwrap();
    assert_eq!(last.content, "I have nothing to say to that.", "the other model answers now");
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused() {
    let scene = Scene::new(counting()).await;
    let wrong = [
        ChatSettings { model: Some("oracle".into()), ..Default::default() },
        ChatSettings { temperature: Some(f64::NAN), ..Default::default() },
        ChatSettings { temperature: Some(2.5), ..Default::default() },
        ChatSettings { max_tokens: Some(0), ..Default::default() },
        ChatSettings { title: Some("x".repeat(2000)), ..Default::default() },
        ChatSettings { system_prompt: Some("x".repeat(70_000)), ..Default::default() },
    ];
    for settings in wrong {
        let error = scene.run(Command::OpenChat { settings }).await.unwrap_err();
        assert_eq!(error.code, Code::Invalid, "{error}");
    }
}

#[tokio::test]
async fn messages_are_a_projection_of_the_log() {
    let scene = Scene::new(counting()).await;
    let chat = scene.open(ChatSettings::default()).await;
    for question in ["one", "two", "three"] {
        scene.say(chat, question).await;
    }
    let all = scene.messages(chat).await;
    let expected = ["u:one", "a:answer 1", "u:two", "a:answer 2", "u:three", "a:answer 3"];
    assert_eq!(all.iter().map(line).collect::<Vec<_>>(), expected);
    assert!(all.iter().all(|message| message.run.is_some() && message.status == AnswerStatus::Finished));

    let edited =
        one(scene.run(Command::EditMessage { chat, message: all[0].seq, content: "ONE".into() }).await);
    assert_eq!((edited.seq, edited.content.as_str()), (all[0].seq, "ONE"));
    assert!(edited.updated_at > edited.created_at);
    let forget = |forgotten| Command::ForgetMessage { chat, message: all[1].seq, forgotten };
    assert!(one(scene.run(forget(true)).await).forgotten);
    assert!(matches!(scene.run(Command::DeleteMessage { chat, message: all[2].seq }).await, Ok(Reply::Done)));

    let now = ["u:ONE", "a:answer 1 (forgotten)", "a:answer 2", "u:three", "a:answer 3"];
    assert_eq!(scene.shown(chat).await, now);
    scene.say(chat, "four").await;
    assert_eq!(scene.told(), ["u:ONE", "a:answer 2", "u:three", "a:answer 3", "u:four"]);
    assert!(!one(scene.run(forget(false)).await).forgotten);

    let scene = scene.again().await;
    let now = ["u:ONE", "a:answer 1", "a:answer 2", "u:three", "a:answer 3", "u:four", "a:answer 4"];
    assert_eq!(scene.shown(chat).await, now);
    let part = Command::ListMessages { chat, limit: 2, skip: 1, ascending: false };
    let Reply::Messages { messages, total: 7 } = scene.run(part).await.unwrap() else { panic!("seven") };
    assert_eq!(messages.iter().map(line).collect::<Vec<_>>(), ["u:four", "a:answer 3"]);

    for gone in [all[2].seq, Seq(2), Seq(999)] {
        let commands = [
            Command::GetMessage { chat, message: gone },
            Command::EditMessage { chat, message: gone, content: "x".into() },
            Command::DeleteMessage { chat, message: gone },
            Command::Regenerate { chat, message: gone },
        ];
        for command in commands {
            assert_eq!(scene.run(command).await.unwrap_err().code, Code::NotFound);
        }
    }
    let empty = Command::EditMessage { chat, message: all[0].seq, content: " ".into() };
    assert_eq!(scene.run(empty).await.unwrap_err().code, Code::Invalid);
}

#[tokio::test]
async fn a_deleted_message_is_read_by_nobody_who_joins_later() {
    let scene = Scene::new(counting()).await;
    let chat = scene.open(ChatSettings::default()).await;
    scene.say(chat, "my secret").await;
    let all = scene.messages(chat).await;
    for message in &all {
        scene.run(Command::DeleteMessage { chat, message: message.seq }).await.unwrap();
    }
    assert_eq!(scene.shown(chat).await, Vec::<String>::new());
    let late = scene.engine.connect(Identity::local());
    let after = Some(Position { epoch: None, seq: Seq::START });
    scene.engine.execute(&late, Command::FollowChat { chat: ChatRef::Id(chat), after }).await.unwrap();
    let mut events = Vec::new();
    while events
        .iter()
        .filter_map(Event::as_chat)
        .filter(|event| matches!(event.body, ChatBody::Amended { .. }))
        .count()
        < 2
    {
        late.next(&mut events).await;
    }
    let text = format!("{events:?}");
    assert!(!text.contains("secret") && !text.contains("answer 1"), "{text}");
}

#[tokio::test]
async fn an_answer_is_given_anew() {
    let scene = Scene::new(counting()).await;
    let chat = scene.open(ChatSettings::default()).await;
    for question in ["one", "two", "three"] {
        scene.say(chat, question).await;
    }
    let all = scene.messages(chat).await;
    let question = scene.run(Command::Regenerate { chat, message: all[2].seq }).await.unwrap_err();
    assert_eq!(question.code, Code::Invalid, "a question is no answer");
    let reply = scene.run(Command::Regenerate { chat, message: all[3].seq }).await.unwrap();
    assert!(matches!(reply, Reply::Accepted { duplicate: None, .. }));
    scene.end(chat).await;
    assert_eq!(scene.told(), ["u:one", "a:answer 1", "u:two"]);
    let now = [
        "u:one",
        "a:answer 1",
        "u:two",
        "a:answer 2 (forgotten)",
        "u:three (forgotten)",
        "a:answer 3 (forgotten)",
        "a:answer 4",
    ];
    assert_eq!(scene.shown(chat).await, now);
    // The new answer can itself be given anew, also after a restart.
    let scene = scene.again().await;
    let last = scene.messages(chat).await.pop().unwrap();
    scene.run(Command::FollowChat { chat: ChatRef::Id(chat), after: None }).await.unwrap();
    scene.run(Command::Regenerate { chat, message: last.seq }).await.unwrap();
    scene.end(chat).await;
    assert_eq!(scene.told(), ["u:one", "a:answer 1", "u:two"]);
    scene.say(chat, "four").await;
    assert_eq!(scene.told(), ["u:one", "a:answer 1", "u:two", "a:answer 5", "u:four"]);
}

#[tokio::test]
async fn a_branch_begins_with_its_parents_messages_and_goes_its_own_way() {
    let scene = Scene::new(counting()).await;
    let settings = ChatSettings { system_prompt: Some("Be brief.".into()), ..Default::default() };
    let parent = scene.open(settings).await;
    scene.say(parent, "one").await;
    scene.say(parent, "two").await;
    let all = scene.messages(parent).await;
    let forget = Command::ForgetMessage { chat: parent, message: all[0].seq, forgotten: true };
    scene.run(forget).await.unwrap();
    let settings = ChatSettings { title: Some("Aside".into()), ..Default::default() };
    let branch = info(scene.run(Command::BranchChat { parent, messages: Some(3), settings }).await);
    assert_eq!((branch.parent, branch.message_count), (Some(parent), 3));
    assert_eq!(branch.settings.system_prompt.as_deref(), Some("Be brief."));
    assert_eq!(scene.shown(branch.chat).await, ["u:one (forgotten)", "a:answer 1", "u:two"]);
    assert_eq!(scene.messages(branch.chat).await[0].created_at, all[0].created_at);
    scene.say(branch.chat, "three").await;
    assert_eq!(scene.told(), ["u:two", "u:three"]);
    assert_eq!(scene.messages(parent).await.len(), 4, "the parent stays as it is");
    scene.run(Command::DeleteChat { chat: parent }).await.unwrap();
    assert_eq!(scene.messages(branch.chat).await.len(), 5);
}

#[tokio::test]
async fn chats_are_merged_in_four_ways() {
    let scene = Scene::new(counting()).await;
    let (one, two) = (scene.open(ChatSettings::default()).await, scene.open(ChatSettings::default()).await);
    for (chat, question) in [(one, "a"), (two, "b"), (one, "c")] {
        scene.say(chat, question).await;
    }
    let ways: [(_, &[&str]); 4] = [
        (MergeStrategy::Chronological, &["u:a", "a:answer 1", "u:b", "a:answer 2", "u:c", "a:answer 3"]),
        (MergeStrategy::LatestOnly, &["u:c", "a:answer 3", "u:b", "a:answer 2"]),
        (MergeStrategy::Interleaved, &["u:a", "u:b", "a:answer 1", "a:answer 2", "u:c", "a:answer 3"]),
        (MergeStrategy::Summarized, &["a:answer 4", "a:answer 5"]),
    ];
    for (strategy, expected) in ways {
        let target = scene.open(ChatSettings::default()).await;
        let merge = Command::MergeChats { sources: vec![one, two], target, strategy };
        assert_eq!(info(scene.run(merge).await).message_count, expected.len() as u64);
        assert_eq!(scene.shown(target).await, expected, "{strategy:?}");
    }
    let merge =
        |sources, target| Command::MergeChats { sources, target, strategy: MergeStrategy::LatestOnly };
    assert_eq!(scene.run(merge(vec![], one)).await.unwrap_err().code, Code::Invalid);
    assert_eq!(scene.run(merge(vec![one], one)).await.unwrap_err().code, Code::Invalid);
    assert_eq!(scene.run(merge(vec![ChatId::new()], one)).await.unwrap_err().code, Code::NotFound);
}

#[tokio::test]
async fn old_messages_are_summed_up_for_the_model() {
    let scene = Scene::new(counting()).await;
    let chat = scene.open(ChatSettings::default()).await;
    for question in ["one", "two", "three"] {
        scene.say(chat, question).await;
    }
    let compact = |keep_recent| scene.run(Command::CompactChat { chat, keep_recent });
    let Reply::Compacted { folded: 4, kept: 2, summary_chars: 8, summary: Some(summary) } =
        compact(2).await.unwrap()
    else {
        panic!("four are folded")
    };
    let asked = scene.told().pop().unwrap();
    assert_eq!(asked, "u:User: one\nAssistant: answer 1\nUser: two\nAssistant: answer 2");
    let message = one(scene.run(Command::GetMessage { chat, message: summary }).await);
    assert_eq!((message.content.as_str(), message.run), ("answer 4", None));
    scene.say(chat, "four").await;
    assert_eq!(scene.told(), ["u:three", "a:answer 3", "u:four"]);
    let system = scene.model.requests().pop().unwrap().system;
    assert!(system.starts_with("What was said before, summed up:\nanswer 4\n\n"), "{system}");

    let Reply::Compacted { folded: 0, kept: 4, summary: None, .. } = compact(9).await.unwrap() else {
        panic!("there is nothing to fold")
    };
    compact(0).await.unwrap();
    let asked = scene.told().pop().unwrap();
    assert!(asked.starts_with("u:answer 4\nUser: three\n"), "the old summary goes into the new one: {asked}");
    // A branch takes the summary along.
    let branch = Command::BranchChat { parent: chat, messages: None, settings: Default::default() };
    let branch = info(scene.run(branch).await).chat;
    scene.say(branch, "five").await;
    assert_eq!(scene.told(), ["u:five"]);
    assert!(scene.model.requests().pop().unwrap().system.contains("summed up:\nanswer 6"));
}

#[tokio::test]
async fn chats_are_found_in_parts() {
    let scene = Scene::new(counting()).await;
    let mut chats = Vec::new();
    for number in 0..3 {
        let title = Some(format!("chat {number}"));
        chats.push(scene.open(ChatSettings { title, ..Default::default() }).await);
    }
    scene.say(chats[0], "hello").await;
    let find = |limit, skip, ascending| scene.run(Command::FindChats { limit, skip, ascending });
    let (newest, total) = found(find(2, 0, false).await);
    assert_eq!((newest[0].chat, newest[0].message_count, total), (chats[0], 2, 3));
    assert_eq!(newest[1].chat, chats[2]);
    let (oldest, _) = found(find(1, 1, true).await);
    assert_eq!((oldest.len(), oldest[0].settings.title.as_deref()), (1, Some("chat 2")));
}

#[tokio::test]
async fn a_deleted_chat_is_gone_and_its_run_is_stopped() {
    let scene = Scene::new(ScriptedModel::new().otherwise(Script::new().text("so far ").hang())).await;
    let session = ChatRef::Session("s1".parse().unwrap());
    let follow = Command::FollowChat { chat: session.clone(), after: None };
    let Reply::Following { chat, .. } = scene.run(follow.clone()).await.unwrap() else { panic!("it opens") };
    let send = Command::SendMessage {
        chat: session,
        message_id: None,
        content: "go".into(),
        while_running: WhileRunning::Queue(3),
        options: Default::default(),
    };
    scene.run(send.clone()).await.unwrap();
    scene.run(send).await.unwrap();
    assert!(matches!(scene.run(Command::DeleteChat { chat }).await, Ok(Reply::Done)));
    let mut events = Vec::new();
    let is_told = |event: &Event| {
        event.as_chat().is_some_and(|event| {
            matches!(event.body, ChatBody::Amended { amendment: Amendment::ChatDeleted, .. })
        })
    };
    while !events.iter().any(is_told) {
        scene.me.next(&mut events).await;
    }
    let stopped = events
        .iter()
        .filter_map(Event::as_chat)
        .filter(|event| matches!(event.body, ChatBody::Run { event: AgentEvent::RunStopped { .. }, .. }));
    assert_eq!(stopped.count(), 2);
    assert_eq!(scene.engine.stats().running + scene.engine.stats().queued, 0);

    let gone = scene.run(Command::GetChat { chat }).await.unwrap_err();
    let never = scene.run(Command::GetChat { chat: ChatId::new() }).await.unwrap_err();
    assert_eq!((gone.code, &gone.message), (Code::NotFound, &never.message));
    let Reply::Chats(chats) = scene.run(Command::ListChats { limit: 9 }).await.unwrap() else { panic!() };
    assert!(chats.is_empty());
    let Reply::Following { chat: new, last_seq, .. } = scene.run(follow).await.unwrap() else { panic!() };
    assert!(new != chat && last_seq == Seq::START, "its session opens another one");
}

#[tokio::test]
async fn somebody_elses_chat_cannot_be_managed() {
    let scene = Scene::new(counting()).await;
    let chat = scene.open(ChatSettings::default()).await;
    scene.say(chat, "one").await;
    let bob = Identity { key: None, subject: "bob".into(), grants: Grants::Collections(Vec::new()) };
    let bob = scene.engine.connect(bob);
    let mine = Command::OpenChat { settings: ChatSettings::default() };
    let mine = info(scene.engine.execute(&bob, mine).await).chat;
    let settings = ChatSettings::default;
    let commands = [
        Command::GetChat { chat },
        Command::UpdateChat { chat, settings: settings() },
        Command::DeleteChat { chat },
        Command::BranchChat { parent: chat, messages: None, settings: settings() },
        Command::MergeChats { sources: vec![chat], target: mine, strategy: MergeStrategy::Chronological },
        Command::CompactChat { chat, keep_recent: 0 },
        Command::ListMessages { chat, limit: 9, skip: 0, ascending: true },
        Command::GetMessage { chat, message: Seq(1) },
        Command::Regenerate { chat, message: Seq(1) },
    ];
    for command in commands {
        let error = scene.engine.execute(&bob, command.clone()).await.unwrap_err();
        assert_eq!(error.code, Code::NotFound, "{command:?}");
    }
    let find = Command::FindChats { limit: 9, skip: 0, ascending: true };
    assert_eq!(found(scene.engine.execute(&bob, find).await).1, 1);
    assert_eq!(scene.messages(chat).await.len(), 2);
}

#[tokio::test]
async fn an_answer_shows_the_tools_that_it_took() {
    let model = ScriptedModel::new()
        .then(Script::new().call("list_tables", json!({"limit": 0})).call("nothing", json!({})))
        .then(Script::new().text("Done."));
    let scene = Scene::new(model).await;
    let chat = scene.open(ChatSettings::default()).await;
    scene.say(chat, "list").await;
    let answer = scene.messages(chat).await.pop().unwrap();
    let tools: Vec<_> = answer.tools.iter().map(|tool| (tool.name.as_str(), tool.error.is_some())).collect();
    assert_eq!(tools.len(), 2);
    assert_eq!(tools[1], ("nothing", true));
    assert!(answer.tools.iter().all(|tool| tool.result.is_some()));
    assert!(answer.usage.is_some());
}
