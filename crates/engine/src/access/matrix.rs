//! The matrix: every kind of asker × every command × what is theirs and what is not, held to the table in `policy`.
//!
//! A command is asked in every form in which it names something: by id, by an id as text, with a second collection or
//! a second chat. Each question is judged twice, by `access` alone and by the whole engine, because both must refuse;
//! and the data desk, which agents and imports ask without a command, is asked by itself. A new command fails to
//! compile here until it has a rule, and fails [`every_command_is_asked`] until it is asked.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use super::policy::{DESK, KINDS, Kind, Rule, Thing, identity, may, rule};
use crate::agent::{Agent, Agents, Events, Records as _, Turn};
use crate::collections::Desk;
use crate::collections::documents::{Document, NewPassage};
use crate::collections::import::Batch;
use crate::command::WhileRunning;
use crate::conversation::{ChatSettings, MergeStrategy, ToolAnswer};
use crate::edit::{Edit, KeyValue};
use crate::event::{AgentEvent, Answer, Usage};
use crate::id::SystemClock;
use crate::model::{Models, scripted::ScriptedModel};
use crate::query::{Body, Join, Projection, Query, Search};
use crate::store::sqlite::Sqlite;
use crate::store::{ChatHead, Operation, Store, Write};
use crate::watch;
use crate::{
    ChatId, ChatRef, Clock as _, Code, Command, Connection, Engine, Error, Identity, LocalBus, Parts, Reply,
    Result, Seq, Settings,
};

/// Where keys are kept.
const KEYS: &str = "_keys";
/// What an asker for a collection of the house hears.
const OURS: &str = "collections that begin with _ are the server's own";

/// Something to ask, and what it needs: all of it.
struct Question {
    command: Command,
    needs: Vec<(Rule, Thing)>,
    /// Whether `access` can judge it. A chat that is named by a text is judged where it is looked up.
    by_access: bool,
}

/// What questions are about.
struct Scene {
    thing: Thing,
    /// The chat in question.
    chat: ChatId,
    /// One of the asker's own, beside it.
    own: ChatId,
    /// The collection in question.
    collection: &'static str,
}

fn questions(scene: &Scene) -> Vec<Question> {
    let plain = commands(scene.chat, scene.collection);
    let plain = plain.into_iter().map(|command| Question {
        needs: vec![(rule(&command), scene.thing)],
        by_access: true,
        command,
    });
    plain.chain(by_text(scene)).chain(beside(scene)).chain(of_the_house()).collect()
}

/// Collections of the house. They are refused by the desk, before it is looked who asks.
fn of_the_house() -> impl Iterator<Item = Question> {
    let named = data_commands(KEYS).into_iter().filter(|command| rule(command) != Rule::Anyone);
    named.map(|command| Question { needs: vec![(rule(&command), Thing::House)], by_access: false, command })
}

/// Chats that are named by their ids as texts. A session of that name is the asker's own, whosever the id is.
fn by_text(scene: &Scene) -> Vec<Question> {
    let text = || scene.chat.to_string().parse().unwrap();
    let known = chat_commands(&ChatRef::Known(text())).into_iter().map(|command| Question {
        needs: vec![(rule(&command), scene.thing)],
        by_access: false,
        command,
    });
    let session = chat_commands(&ChatRef::Session(text())).into_iter().map(|command| Question {
        needs: vec![(Rule::Anyone, scene.thing)],
        by_access: false,
        command,
    });
    known.chain(session).collect()
}

/// Commands that name more than one thing.
fn beside(scene: &Scene) -> Vec<Question> {
    let Scene { thing, chat, own, collection } = *scene;
    let joined = |of: &str, with: &str| {
        let join = Join {
            collections: vec![String::from("orders"), with.into()],
            local_field: "id".into(),
            foreign_field: "id".into(),
            as_field: "more".into(),
        };
        Command::Query(Query { join: Some(join), ..Query::all(of, 9) })
    };
    let settings = || ChatSettings { collections: vec![collection.into()], ..ChatSettings::default() };
    let merge = |sources: Vec<ChatId>, target| Command::MergeChats {
        sources,
        target,
        strategy: MergeStrategy::Chronological,
    };
    let read_both = vec![(Rule::Read, Thing::Own), (Rule::Read, thing)];
    let asked = [
        (joined("orders", collection), read_both.clone()),
        (joined(collection, "orders"), read_both),
        (Command::OpenChat { settings: settings() }, vec![(Rule::Read, thing)]),
        (Command::UpdateChat { chat: own, settings: settings() }, vec![(Rule::Read, thing)]),
        (
            Command::BranchChat { parent: own, messages: None, settings: settings() },
            vec![(Rule::Read, thing)],
        ),
        (merge(vec![own, chat], own), vec![(Rule::OwnChat, thing)]),
        (merge(vec![own], chat), vec![(Rule::OwnChat, thing)]),
    ];
    let asked = asked.into_iter();
    asked.map(|(command, needs)| Question { command, needs, by_access: true }).collect()
}

/// Each command, about this chat and this collection.
fn commands(chat: ChatId, collection: &str) -> Vec<Command> {
    let mut all = chat_commands(&ChatRef::Id(chat));
    all.extend(managed_commands(chat));
    all.extend(free_commands());
    all.extend(data_commands(collection));
    all
}

fn chat_commands(chat: &ChatRef) -> Vec<Command> {
    let chat = || chat.clone();
    let answer = ToolAnswer::Working;
    vec![
        Command::FollowChat { chat: chat(), after: None },
        Command::UnfollowChat { chat: chat() },
        Command::SendMessage {
            chat: chat(),
            message_id: None,
            content: "hello".into(),
            while_running: WhileRunning::Queue(9),
            options: Default::default(),
        },
        Command::StopRun { chat: chat(), run: None },
        Command::RegisterTools { chat: chat(), tools: Vec::new() },
        Command::AnswerTool { chat: chat(), call_id: "c".into(), answer },
        Command::DecideCall { chat: chat(), call_id: "c".into(), approved: true },
    ]
}

fn managed_commands(chat: ChatId) -> Vec<Command> {
    let (message, settings) = (Seq::START.next(), ChatSettings::default());
    vec![
        Command::GetChat { chat },
        Command::UpdateChat { chat, settings: settings.clone() },
        Command::BranchChat { parent: chat, messages: None, settings },
        Command::MergeChats { sources: vec![chat], target: chat, strategy: MergeStrategy::LatestOnly },
        Command::CompactChat { chat, keep_recent: 1 },
        Command::ListMessages { chat, limit: 9, skip: 0, ascending: true },
        Command::GetMessage { chat, message },
        Command::EditMessage { chat, message, content: "other".into() },
        Command::ForgetMessage { chat, message, forgotten: true },
        Command::Regenerate { chat, message },
        Command::DeleteMessage { chat, message },
        Command::DeleteChat { chat },
    ]
}

fn free_commands() -> Vec<Command> {
    vec![
        Command::ListChats { limit: 9 },
        Command::OpenChat { settings: ChatSettings::default() },
        Command::FindChats { limit: 9, skip: 0, ascending: false },
        Command::Complete {
            system: String::new(),
            message: "hello".into(),
            model: None,
            max_tokens: Some(1),
            stream: None,
        },
        Command::Embed { texts: vec!["hello".into()], model: None },
        Command::ListModels,
        Command::ListTools,
        Command::CallTool { name: "nothing".into(), arguments: json!({}) },
        Command::ListCollections,
        Command::KvSet { pairs: vec![pair()], ttl_s: None },
        Command::KvGet { keys: vec!["k".into()] },
        Command::KvFind { pattern: None, include_expired: false },
        Command::KvDelete { keys: vec!["k".into()] },
        Command::KvClear,
    ]
}

fn data_commands(collection: &str) -> Vec<Command> {
    let collection = || collection.to_owned();
    let projection = Projection::All;
    vec![
        Command::Edit { collection: collection(), edits: vec![insert()], together: true },
        Command::Get { collection: collection(), id: "1".into(), projection },
        Command::Query(Query::all(collection(), 9)),
        Command::Count { collection: collection(), filter: None },
        Command::Distinct { collection: collection(), field: "name".into(), filter: None },
        Command::Search(Search::words(collection(), "tea", 9)),
        Command::CreateCollection { collection: collection(), schema: None },
        Command::GetSchema { collection: collection() },
        Command::ChangeSchema { collection: collection(), fields: Vec::new() },
        Command::Watch { collection: collection(), watch: 1, filter: None, after: None },
        Command::Unwatch { collection: collection(), watch: None },
        Command::DropCollection { collection: collection() },
    ]
}

fn insert() -> Edit {
    Edit::Insert { id: None, body: [("text".into(), "tea".into())].into_iter().collect(), ttl: None }
}

fn pair() -> KeyValue {
    KeyValue { key: "k".into(), value: 1.into() }
}

/// Finishes at once.
struct Silent;

#[async_trait]
impl Agent for Silent {
    fn name(&self) -> &str {
        "silent"
    }

    async fn run(&self, _: Turn, events: Events) {
        let (answer, usage) = (Answer::default(), Usage::default());
        events.send(AgentEvent::RunFinished { answer, usage }).await.ok();
    }
}

/// An engine with two collections, and the desk beside it.
struct House {
    engine: Arc<Engine>,
    store: Arc<dyn Store>,
    desk: Desk,
}

impl House {
    async fn open() -> Self {
        let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().unwrap());
        let parts = Parts {
            store: Arc::clone(&store),
            bus: Arc::new(LocalBus::default()),
            agents: Agents::new(Arc::new(Silent)),
            models: Models::new(Arc::new(ScriptedModel::new())),
            embedder: None,
            clock: Arc::new(SystemClock),
            settings: Settings::default(),
        };
        let desk = Desk::new(Arc::clone(&store), Arc::new(SystemClock));
        Self { engine: Engine::start(parts).await.unwrap(), store, desk }
    }

    /// Both collections have a document again, whatever was done to them, and there is a key.
    async fn fill(&self) {
        let key = Write::new(KEYS, "1".into(), Operation::Put(Body::new()));
        self.store.commit(&"system".into(), SystemClock.now(), vec![key]).await.unwrap();
        for collection in ["orders", "salaries"] {
            self.desk.put_document(&Identity::local(), document(collection)).await.unwrap();
        }
    }

    async fn chat_of(&self, connection: &Connection) -> ChatId {
        let name = ChatId::new().to_string();
        let chat = ChatRef::Session(name.parse().unwrap());
        match self.engine.execute(connection, Command::FollowChat { chat, after: None }).await.unwrap() {
            Reply::Following { chat, .. } => chat,
            other => panic!("{other:?}"),
        }
    }

    async fn scene(&self, asker: &Connection, thing: Thing) -> Scene {
        let bob = self.engine.connect(Identity { subject: "bob".into(), ..identity(Kind::Stranger) });
        let chat = self.chat_of(if thing == Thing::Own { asker } else { &bob }).await;
        let collection = if thing == Thing::Own { "orders" } else { "salaries" };
        Scene { thing, chat, own: self.chat_of(asker).await, collection }
    }

    /// How far the logs of all collections, and of this chat, are.
    async fn standing(&self, chat: ChatId) -> (String, Option<ChatHead>) {
        let collections = self.store.collections().await.unwrap();
        (format!("{collections:?}"), self.store.chat(chat).await.unwrap())
    }

    async fn chat_like_none(&self, asker: &Connection) -> Error {
        let follow = Command::FollowChat { chat: ChatRef::Id(ChatId::new()), after: None };
        self.engine.execute(asker, follow).await.unwrap_err()
    }
}

fn document(collection: &str) -> Document {
    let passage = NewPassage { section: None, page: None, text: "tea".into(), hash: "h".into(), parts: 0 };
    Document {
        collection: collection.into(),
        document: "d".into(),
        title: "Tea".into(),
        source: "tea.txt".into(),
        url: None,
        passages: vec![passage],
        words_only: true,
    }
}

/// One question of one asker, held to the table by `access` and by the engine. So many cells it has.
async fn judge(house: &House, kind: Kind, thing: Thing, number: usize) -> usize {
    let asker = house.engine.connect(identity(kind));
    let scene = house.scene(&asker, thing).await;
    let Question { command, needs, by_access } = questions(&scene).swap_remove(number);
    let allowed = needs.iter().all(|(rule, thing)| may(kind, *rule, *thing));
    let changes = allowed && matches!(rule(&command), Rule::Write | Rule::Admin);
    let case = format!("{kind:?}, {thing:?}: {command:?} needs {needs:?}");
    let before = house.standing(scene.chat).await;
    if by_access {
        let verdict = super::check(&house.engine.core, asker.identity(), &command).await;
        assert_eq!(verdict.is_ok(), allowed, "access alone: {case}: {verdict:?}");
    }
    // As a socket does it: what can be answered at once takes another way.
    let result = match house.engine.execute_at_once(&asker, &command) {
        Some(result) => result,
        None => house.engine.execute(&asker, command).await,
    };
    let none = house.chat_like_none(&asker).await;
    if allowed {
        let fine = result.as_ref().err().is_none_or(|error| {
            !matches!(error.code, Code::Forbidden | Code::Unauthenticated) && error.message != none.message
        });
        assert!(fine, "{case}: {result:?}");
    } else {
        check_refused(&result, &needs, &none, &case);
    }
    if !may(kind, Rule::OwnChat, thing) {
        let told = format!("{result:?}").contains(&format!("ChatId({})", scene.chat));
        assert!(!told, "{case} is told of somebody else's chat");
        assert_eq!(house.standing(scene.chat).await.1, before.1, "{case} changed somebody else's chat");
    }
    if !allowed {
        assert_eq!(house.standing(scene.chat).await, before, "{case} was refused and changed something");
    }
    if changes {
        house.fill().await;
    }
    1 + usize::from(by_access)
}

/// A foreign chat looks like none; all else is forbidden, to admins as what is ours.
fn check_refused(result: &Result<Reply>, needs: &[(Rule, Thing)], none: &Error, case: &str) {
    let error = result.as_ref().err().unwrap_or_else(|| panic!("{case} was done"));
    if needs.iter().any(|(_, thing)| *thing == Thing::House) {
        assert!(is_ours(error), "{case}: {error}");
    } else if needs.iter().any(|(rule, _)| *rule == Rule::OwnChat) {
        assert_eq!((error.code, &error.message), (Code::NotFound, &none.message), "{case}");
    } else {
        assert_eq!(error.code, Code::Forbidden, "{case}: {error}");
    }
}

fn is_ours(error: &Error) -> bool {
    error.code == Code::Forbidden || error.message.starts_with(OURS)
}

/// Grows with each command; it is written down so that a matrix that shrinks is noticed.
const CELLS: usize = 2580;
/// The same for the data desk.
const DESK_CELLS: usize = 640;

#[tokio::test]
async fn the_policy_holds_for_every_command_and_everybody() {
    let house = House::open().await;
    house.fill().await;
    let blank = Scene { thing: Thing::Own, chat: ChatId::new(), own: ChatId::new(), collection: "orders" };
    let asked = questions(&blank).len();
    let mut cells = 0;
    for kind in KINDS {
        for number in 0..asked {
            cells += judge(&house, kind, Thing::Own, number).await;
            cells += judge(&house, kind, Thing::Foreign, number).await;
        }
    }
    eprintln!("{cells} cells: {} kinds of askers, {asked} questions, own and foreign things", KINDS.len());
    assert_eq!(cells, CELLS);
}

/// Asks the desk itself. A list that leaves the collection out counts as refused.
async fn ask_desk(desk: &Desk, identity: &Identity, what: &str, collection: &str) -> Result<bool> {
    let (id, named) = ("1".into(), collection.to_owned());
    let done = match what {
        "query" => desk.query(identity, Query::all(collection, 9)).await.map(drop),
        "texts" => desk.texts(identity, Query::all(collection, 9)).await.map(drop),
        "count" => desk.count(identity, collection, None).await.map(drop),
        "search" => desk.search(identity, Search::words(collection, "tea", 9)).await.map(drop),
        "get" => desk.get(identity, collection, &id, &Projection::All).await.map(drop),
        "distinct" => desk.distinct(identity, collection, "text", None).await.map(drop),
        "schema" => desk.schema(identity, collection).await.map(drop),
        "collections" => {
            let list = desk.collections(identity).await?;
            return Ok(list.iter().any(|info| info.name == collection));
        }
        "documents" => return Ok(desk.documents(identity).await?.contains(&named)),
        "edit" => desk.edit(identity, collection, vec![insert()], true).await.map(drop),
        "import" => desk.import(identity, batch(collection)).await.map(drop),
        "import_checkpoint" => desk.import_checkpoint(identity, collection, "f").await.map(drop),
        "missing_vectors" => desk.missing_vectors(identity, collection, Vec::new()).await.map(drop),
        "keep_vectors" => desk.keep_vectors(identity, collection, vec![("h".into(), vec![0.5])]).await,
        "put_document" => desk.put_document(identity, document(collection)).await.map(drop),
        "create_collection" => desk.create_collection(identity, collection, None).await.map(drop),
        "drop_collection" => desk.drop_collection(identity, collection).await,
        "change_schema" => desk.change_schema(identity, collection, Vec::new()).await.map(drop),
        "kv_get" => desk.kv_get(identity, vec!["k".into()]).await.map(drop),
        "kv_find" => desk.kv_find(identity, None, false).await.map(drop),
        "kv_set" => desk.kv_set(identity, vec![pair()], None).await.map(drop),
        "kv_delete" => desk.kv_delete(identity, vec!["k".into()]).await.map(drop),
        "kv_clear" => desk.kv_clear(identity).await,
        other => panic!("{other} is not asked"),
    };
    done.map(|()| true)
}

fn batch(collection: &str) -> Batch {
    Batch {
        collection: collection.into(),
        fingerprint: "f".into(),
        file: "f.csv".into(),
        rows: 0..0,
        records: Vec::new(),
        rejected: 0,
        again: false,
        columns: None,
    }
}

#[tokio::test]
async fn the_policy_holds_for_the_data_desk() {
    let house = House::open().await;
    let mut cells = 0;
    for kind in KINDS {
        for (what, rule) in DESK {
            for (thing, collection) in
                [(Thing::Own, "orders"), (Thing::Foreign, "salaries"), (Thing::House, KEYS)]
            {
                if thing == Thing::House && matches!(rule, Rule::ReadKv | Rule::WriteKv) {
                    continue;
                }
                house.fill().await;
                let answer = ask_desk(&house.desk, &identity(kind), what, collection).await;
                let refused = answer.as_ref().map_or_else(is_ours, |listed| !listed);
                let case = format!("{kind:?}: {what} of {collection}: {answer:?}");
                assert_eq!(refused, !may(kind, rule, thing), "{case}");
                cells += 1;
            }
        }
    }
    eprintln!("{cells} cells at the data desk");
    assert_eq!(cells, DESK_CELLS);
}

/// Watching is judged where it begins too, whoever has let the command pass.
#[tokio::test]
async fn the_policy_holds_where_a_watch_begins() {
    let house = House::open().await;
    let mut cells = 0;
    for kind in KINDS {
        let asker = house.engine.connect(identity(kind));
        for (thing, collection) in
            [(Thing::Own, "orders"), (Thing::Foreign, "salaries"), (Thing::House, KEYS)]
        {
            let begun = watch::watch(&house.engine.core, &asker, collection, 1, None, None).await;
            let refused = begun.as_ref().is_err_and(is_ours);
            assert_eq!(refused, !may(kind, Rule::Read, thing), "{kind:?}: {collection}: {begun:?}");
            cells += 1;
        }
    }
    eprintln!("{cells} cells where a watch begins");
    assert_eq!(cells, KINDS.len() * 3);
}

/// The names of the variants, read from the enum's own text.
fn declared() -> Vec<&'static str> {
    let source = include_str!("../command.rs");
    let (_, body) = source.split_once("pub enum Command {\n").unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let variants = body.lines().filter_map(|line| line.strip_prefix("    "));
    let variants = variants.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    variants.map(|line| line.split([' ', '(', ',']).next().unwrap()).collect()
}

#[test]
fn every_command_is_asked() {
    let name = |command: &Command| format!("{command:?}").split([' ', '(']).next().unwrap().to_owned();
    let mut asked: Vec<_> = commands(ChatId::new(), "orders").iter().map(name).collect();
    let mut declared = declared();
    asked.sort_unstable();
    declared.sort_unstable();
    assert_eq!(asked, declared);
}

/// What the desk does in somebody's name, read from its own text. `commit` is its private hand.
#[test]
fn everything_that_the_desk_does_is_asked() {
    let sources = [
        include_str!("../collections/mod.rs"),
        include_str!("../collections/schemas.rs"),
        include_str!("../collections/pairs.rs"),
        include_str!("../collections/documents.rs"),
        include_str!("../collections/import.rs"),
    ];
    let functions = sources.iter().flat_map(|source| source.split("async fn ").skip(1));
    let named = functions.filter_map(|text| {
        let (head, _) = text.split_once("->").unwrap_or((text, ""));
        let (head, _) = head.split_once(" {\n").unwrap_or((head, ""));
        let (name, parameters) = head.split_once('(')?;
        parameters.contains("identity: &Identity").then_some(name)
    });
    let mut done: Vec<_> = named.filter(|name| *name != "commit").collect();
    let mut asked: Vec<_> = DESK.iter().map(|(name, _)| *name).collect();
    done.sort_unstable();
    asked.sort_unstable();
    assert_eq!(asked, done);
}
