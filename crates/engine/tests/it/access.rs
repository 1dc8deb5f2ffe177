//! Who may do what: every command, asked by every kind of identity, of what is theirs and of what is not.
//!
//! [`rule`] and [`TABLE`] are the whole policy. A new command fails to compile here until it has a rule, and fails
//! [`every_command_is_asked`] until it is asked.

use std::sync::Arc;

use tidewire_engine::command::WhileRunning;
use tidewire_engine::conversation::{ChatSettings, MergeStrategy, ToolAnswer};
use tidewire_engine::edit::{Edit, KeyValue};
use tidewire_engine::identity::{Grant, Grants, KV};
use tidewire_engine::query::{Join, Projection, Query, Search};
use tidewire_engine::store::sqlite::Sqlite;
use tidewire_engine::store::{ChatHead, Store};
use tidewire_engine::{
    ChatId, ChatRef, Code, Command, Connection, Engine, Error, Identity, Reply, Seq, Settings,
};

use crate::chat::rig::{counting, session, start};

/// What a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// To be let in.
    Anyone,
    /// To own the chat, or to be an admin.
    OwnChat,
    /// To read the collection.
    Read,
    /// To write it.
    Write,
    /// To read the key-value store.
    ReadKv,
    /// To write it.
    WriteKv,
    /// To be an admin.
    Admin,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Local,
    AdminKey,
    Reader,
    Writer,
    ReaderOfAnother,
    KvReader,
    KvWriter,
    Stranger,
}

/// Of what: the chat of the asker and the collection `orders`, or somebody else's chat and the collection `salaries`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    Own,
    Foreign,
}

const KINDS: [Kind; 8] = [
    Kind::Local,
    Kind::AdminKey,
    Kind::Reader,
    Kind::Writer,
    Kind::ReaderOfAnother,
    Kind::KvReader,
    Kind::KvWriter,
    Kind::Stranger,
];

/// Who may, in the order of [`KINDS`].
#[rustfmt::skip]
const TABLE: [(Rule, Thing, [bool; 8]); 14] = [
    //                              local  admin  reader writer another kv r.  kv w.  stranger
    (Rule::Anyone,  Thing::Own,     [true, true,  true,  true,  true,  true,  true,  true]),
    (Rule::Anyone,  Thing::Foreign, [true, true,  true,  true,  true,  true,  true,  true]),
    (Rule::OwnChat, Thing::Own,     [true, true,  true,  true,  true,  true,  true,  true]),
    (Rule::OwnChat, Thing::Foreign, [true, true,  false, false, false, false, false, false]),
    (Rule::Read,    Thing::Own,     [true, true,  true,  true,  false, false, false, false]),
    (Rule::Read,    Thing::Foreign, [true, true,  false, false, true,  false, false, false]),
    (Rule::Write,   Thing::Own,     [true, true,  false, true,  false, false, false, false]),
    (Rule::Write,   Thing::Foreign, [true, true,  false, false, false, false, false, false]),
    (Rule::ReadKv,  Thing::Own,     [true, true,  false, false, false, true,  true,  false]),
    (Rule::ReadKv,  Thing::Foreign, [true, true,  false, false, false, true,  true,  false]),
    (Rule::WriteKv, Thing::Own,     [true, true,  false, false, false, false, true,  false]),
    (Rule::WriteKv, Thing::Foreign, [true, true,  false, false, false, false, true,  false]),
    (Rule::Admin,   Thing::Own,     [true, true,  false, false, false, false, false, false]),
    (Rule::Admin,   Thing::Foreign, [true, true,  false, false, false, false, false, false]),
];

/// The rule of each command. No wildcard: a new command needs a rule.
fn rule(command: &Command) -> Rule {
    match command {
        Command::UnfollowChat { .. }
        | Command::ListChats { .. }
        | Command::FindChats { .. }
        | Command::OpenChat { .. }
        | Command::Complete { .. }
        | Command::Embed { .. }
        | Command::ListModels
        | Command::ListTools
        | Command::CallTool { .. }
        | Command::ListCollections
        | Command::Unwatch { .. } => Rule::Anyone,
        Command::FollowChat { .. }
        | Command::SendMessage { .. }
        | Command::StopRun { .. }
        | Command::GetChat { .. }
        | Command::UpdateChat { .. }
        | Command::DeleteChat { .. }
        | Command::BranchChat { .. }
        | Command::MergeChats { .. }
        | Command::CompactChat { .. }
        | Command::ListMessages { .. }
        | Command::GetMessage { .. }
        | Command::EditMessage { .. }
        | Command::ForgetMessage { .. }
        | Command::DeleteMessage { .. }
        | Command::Regenerate { .. }
        | Command::RegisterTools { .. }
        | Command::AnswerTool { .. }
        | Command::DecideCall { .. } => Rule::OwnChat,
        Command::Get { .. }
        | Command::Query(_)
        | Command::Count { .. }
        | Command::Distinct { .. }
        | Command::Search(_)
        | Command::GetSchema { .. }
        | Command::Watch { .. } => Rule::Read,
        Command::Edit { .. } => Rule::Write,
        Command::CreateCollection { .. } | Command::DropCollection { .. } | Command::ChangeSchema { .. } => {
            Rule::Admin
        }
        Command::KvGet { .. } | Command::KvFind { .. } => Rule::ReadKv,
        Command::KvSet { .. } | Command::KvDelete { .. } | Command::KvClear => Rule::WriteKv,
    }
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
        Command::CallTool { name: "nothing".into(), arguments: serde_json::json!({}) },
        Command::ListCollections,
        Command::KvSet { pairs: vec![KeyValue { key: "k".into(), value: 1.into() }], ttl_s: None },
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
    Edit::Insert { id: None, body: [("name".into(), "tea".into())].into_iter().collect(), ttl: None }
}

fn identity(kind: Kind) -> Identity {
    let granted = |collection: &str, write| {
        let grants = vec![Grant { collection: collection.into(), write }];
        Identity { key: Some("k".into()), subject: "ann".into(), grants: Grants::Collections(grants) }
    };
    match kind {
        Kind::Local => Identity::local(),
        Kind::AdminKey => Identity { key: Some("k".into()), subject: "admin".into(), grants: Grants::Admin },
        Kind::Reader => granted("orders", false),
        Kind::Writer => granted("orders", true),
        Kind::ReaderOfAnother => granted("salaries", false),
        Kind::KvReader => granted(KV, false),
        Kind::KvWriter => granted(KV, true),
        Kind::Stranger => {
            Identity { key: Some("k".into()), subject: "ann".into(), grants: Grants::Collections(Vec::new()) }
        }
    }
}

fn may(kind: Kind, rule: Rule, thing: Thing) -> bool {
    let place = KINDS.iter().position(|known| *known == kind).unwrap();
    let row = TABLE.iter().find(|(of, about, _)| (*of, *about) == (rule, thing));
    row.unwrap_or_else(|| panic!("{rule:?} of {thing:?} is not in the table")).2[place]
}

/// An engine with two collections, and what it is asked about.
struct House {
    engine: Arc<Engine>,
    store: Arc<dyn Store>,
}

impl House {
    async fn open() -> Self {
        let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().unwrap());
        let engine = start(Arc::clone(&store), counting(1), Settings::default()).await;
        Self { engine, store }
    }

    /// Both collections have a record again, whatever was done to them.
    async fn fill(&self) {
        let admin = self.engine.connect(Identity::local());
        for collection in ["orders", "salaries"] {
            let edit = Command::Edit { collection: collection.into(), edits: vec![insert()], together: true };
            self.engine.execute(&admin, edit).await.unwrap();
        }
    }

    async fn chat_of(&self, connection: &Connection) -> ChatId {
        let name = ChatId::new().to_string();
        let follow = Command::FollowChat { chat: session(&name), after: None };
        match self.engine.execute(connection, follow).await.unwrap() {
            Reply::Following { chat, .. } => chat,
            other => panic!("{other:?}"),
        }
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

/// One command of one asker, compared with the table.
async fn judge(house: &House, kind: Kind, thing: Thing, number: usize) {
    house.fill().await;
    let asker = house.engine.connect(identity(kind));
    let bob = house.engine.connect(Identity { subject: "bob".into(), ..identity(Kind::Stranger) });
    let chat = house.chat_of(if thing == Thing::Own { &asker } else { &bob }).await;
    let collection = if thing == Thing::Own { "orders" } else { "salaries" };
    let command = commands(chat, collection).swap_remove(number);
    let (rule, before) = (rule(&command), house.standing(chat).await);
    let case = format!("{kind:?}, {thing:?}: {command:?}");
    let result = house.engine.execute(&asker, command).await;
    let none = house.chat_like_none(&asker).await;
    if may(kind, rule, thing) {
        let Err(error) = result else { return };
        assert!(!matches!(error.code, Code::Forbidden | Code::Unauthenticated), "{case}: {error}");
        assert_ne!(error.message, none.message, "{case}");
        return;
    }
    let error = result.err().unwrap_or_else(|| panic!("{case} was done"));
    if rule == Rule::OwnChat {
        assert_eq!((error.code, &error.message), (Code::NotFound, &none.message), "{case}");
    } else {
        assert_eq!(error.code, Code::Forbidden, "{case}: {error}");
    }
    assert_eq!(house.standing(chat).await, before, "{case} was refused and changed something");
}

#[tokio::test]
async fn the_table_holds_for_every_command_and_everybody() {
    let house = House::open().await;
    for kind in KINDS {
        for number in 0..commands(ChatId::new(), "orders").len() {
            judge(&house, kind, Thing::Own, number).await;
            judge(&house, kind, Thing::Foreign, number).await;
        }
    }
}

/// The names of the variants, read from the enum's own text.
fn declared() -> Vec<&'static str> {
    let source = include_str!("../../src/command.rs");
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

#[tokio::test]
async fn what_a_command_names_beside_its_own_thing_is_judged_too() {
    let house = House::open().await;
    house.fill().await;
    let reader = house.engine.connect(identity(Kind::Reader));
    let join = Join {
        collections: vec!["orders".into(), "salaries".into()],
        local_field: "id".into(),
        foreign_field: "id".into(),
        as_field: "more".into(),
    };
    let query = Query { join: Some(join), ..Query::all("orders", 9) };
    let settings = ChatSettings { collections: vec!["salaries".into()], ..ChatSettings::default() };
    for command in [Command::Query(query), Command::OpenChat { settings }] {
        let refused = house.engine.execute(&reader, command).await.unwrap_err();
        assert_eq!(refused.code, Code::Forbidden);
    }
    let own = house.chat_of(&reader).await;
    let bob = house.engine.connect(Identity { subject: "bob".into(), ..identity(Kind::Stranger) });
    let theirs = house.chat_of(&bob).await;
    let strategy = MergeStrategy::Chronological;
    let merge = Command::MergeChats { sources: vec![own, theirs], target: own, strategy };
    let refused = house.engine.execute(&reader, merge).await.unwrap_err();
    assert_eq!(refused.code, Code::NotFound);
}
