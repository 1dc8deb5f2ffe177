//! The policy, as one table: who may do what with whose. It is written without a look at the checks, and `matrix`
//! holds them to it.

use crate::command::Command;
use crate::identity::{Grant, Grants, Identity, KV};

/// What a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
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
pub(super) enum Kind {
    /// Whoever reaches a server without keys.
    Local,
    AdminKey,
    /// Reads `orders`.
    Reader,
    /// Reads and writes `orders`.
    Writer,
    /// Reads and writes `salaries`.
    WriterOfAnother,
    KvReader,
    KvWriter,
    /// Has a key, and no grant.
    Stranger,
    /// An agent that works for an admin, in a chat that reads `orders` alone.
    AgentOfAdmin,
    /// An agent that works for the reader of `orders`, in a chat that asks for both collections.
    AgentOfReader,
}

/// Of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    /// The asker's chat, and the collection `orders`.
    Own,
    /// Somebody else's chat, and the collection `salaries`.
    Foreign,
    /// A collection of the house itself, where the keys are.
    House,
}

pub(super) const KINDS: [Kind; 10] = [
    Kind::Local,
    Kind::AdminKey,
    Kind::Reader,
    Kind::Writer,
    Kind::WriterOfAnother,
    Kind::KvReader,
    Kind::KvWriter,
    Kind::Stranger,
    Kind::AgentOfAdmin,
    Kind::AgentOfReader,
];

/// Who may, in the order of [`KINDS`]: `x` may, `-` may not.
#[rustfmt::skip]
const TABLE: [(Rule, Thing, &str); 14] = [
    //                              local admin reader writer another kv-r kv-w stranger agent-a agent-r
    (Rule::Anyone,  Thing::Own,     "x     x     x      x      x       x    x    x        x       x"),
    (Rule::Anyone,  Thing::Foreign, "x     x     x      x      x       x    x    x        x       x"),
    (Rule::OwnChat, Thing::Own,     "x     x     x      x      x       x    x    x        x       x"),
    (Rule::OwnChat, Thing::Foreign, "x     x     -      -      -       -    -    -        -       -"),
    (Rule::Read,    Thing::Own,     "x     x     x      x      -       -    -    -        x       x"),
    (Rule::Read,    Thing::Foreign, "x     x     -      -      x       -    -    -        -       -"),
    (Rule::Write,   Thing::Own,     "x     x     -      x      -       -    -    -        -       -"),
    (Rule::Write,   Thing::Foreign, "x     x     -      -      x       -    -    -        -       -"),
    (Rule::ReadKv,  Thing::Own,     "x     x     -      -      -       x    x    -        -       -"),
    (Rule::ReadKv,  Thing::Foreign, "x     x     -      -      -       x    x    -        -       -"),
    (Rule::WriteKv, Thing::Own,     "x     x     -      -      -       -    x    -        -       -"),
    (Rule::WriteKv, Thing::Foreign, "x     x     -      -      -       -    x    -        -       -"),
    (Rule::Admin,   Thing::Own,     "x     x     -      -      -       -    -    -        -       -"),
    (Rule::Admin,   Thing::Foreign, "x     x     -      -      -       -    -    -        -       -"),
];

/// What the table says. Nobody reaches what is the house's own, admins included.
pub(super) fn may(kind: Kind, rule: Rule, thing: Thing) -> bool {
    if thing == Thing::House {
        return false;
    }
    let place = KINDS.iter().position(|known| *known == kind).unwrap();
    let row = TABLE.iter().find(|(of, about, _)| (*of, *about) == (rule, thing));
    let (_, _, row) = row.unwrap_or_else(|| panic!("{rule:?} of {thing:?} is not in the table"));
    match row.split_whitespace().nth(place) {
        Some("x") => true,
        Some("-") => false,
        other => panic!("{other:?} is not x or -"),
    }
}

/// The rule of each command. No wildcard: a new command needs a rule.
pub(super) fn rule(command: &Command) -> Rule {
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

/// What the data desk needs by itself, for those who ask it without a command: an agent's tools, imports, documents.
/// Its own rule for collections as such is to write them; that a client must be an admin is said above.
#[rustfmt::skip]
pub(super) const DESK: [(&str, Rule); 23] = [
    ("query", Rule::Read), ("texts", Rule::Read), ("count", Rule::Read), ("search", Rule::Read), ("get", Rule::Read),
    ("distinct", Rule::Read), ("schema", Rule::Read), ("collections", Rule::Read), ("documents", Rule::Read),
    ("edit", Rule::Write), ("import", Rule::Write), ("import_checkpoint", Rule::Write),
    ("missing_vectors", Rule::Write), ("keep_vectors", Rule::Write), ("put_document", Rule::Write),
    ("create_collection", Rule::Write), ("drop_collection", Rule::Write), ("change_schema", Rule::Write),
    ("kv_get", Rule::ReadKv), ("kv_find", Rule::ReadKv),
    ("kv_set", Rule::WriteKv), ("kv_delete", Rule::WriteKv), ("kv_clear", Rule::WriteKv),
];

/// An asker of each kind. All but local and the admin are the same person, so that nothing but their grants differs.
pub(super) fn identity(kind: Kind) -> Identity {
    let ann = |grants: Vec<Grant>| Identity {
        key: Some("k".into()),
        subject: "ann".into(),
        grants: Grants::Collections(grants),
    };
    let granted = |collection: &str, write| ann(vec![Grant { collection: collection.into(), write }]);
    let admin = || Identity { key: Some("k".into()), subject: "admin".into(), grants: Grants::Admin };
    let (orders, salaries) = (String::from("orders"), String::from("salaries"));
    match kind {
        Kind::Local => Identity::local(),
        Kind::AdminKey => admin(),
        Kind::Reader => granted("orders", false),
        Kind::Writer => granted("orders", true),
        Kind::WriterOfAnother => granted("salaries", true),
        Kind::KvReader => granted(KV, false),
        Kind::KvWriter => granted(KV, true),
        Kind::Stranger => ann(Vec::new()),
        Kind::AgentOfAdmin => admin().narrowed(&[orders]),
        Kind::AgentOfReader => granted("orders", false).narrowed(&[orders, salaries]),
    }
}
