//! The engine: the way in.
//!
//! It holds the parts together, gives out connections, and hands each command to the desk that it belongs to: chat
//! commands to `chat`, the others to the collections. What happens then comes out of [`Connection::next`].

use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access;
use crate::agent::run_loop::Limits as RunLimits;
use crate::agent::{Agents, Records, Waits};
use crate::bus::Bus;
use crate::chat::journal::{Journal, Scribe};
use crate::chat::managed::{self, Part};
use crate::chat::sessions::Sessions;
use crate::chat::{self, Message, combine, recovery};
use crate::collections;
use crate::command::{Command, Reply};
use crate::connection::{Connection, Delivery, Limits};
use crate::direct;
use crate::error::{Code, Error, Result};
use crate::hub::Hub;
use crate::id::{Clock, Timestamp};
use crate::identity::Identity;
use crate::model::{Embedder, Models};
use crate::schema::KnownKinds;
use crate::stats::{Calls, RunsEnded, Tally};
use crate::store::Store;
use crate::watch::{self, WatchHub};

/// How often chats are looked through for those that were not used for long.
const ARCHIVE_EVERY: Duration = Duration::from_secs(60 * 60);

/// How long a drain waits for the last writes of runs that it has interrupted.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// What an engine is made of.
pub struct Parts {
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// The bell.
    pub bus: Arc<dyn Bus>,
    /// Who answers.
    pub agents: Agents,
    /// The models that chats and askers may choose from.
    pub models: Models,
    /// What turns texts into vectors, if anything does.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Sizes and times.
    pub settings: Settings,
}

/// Sizes and times, each with a default that fits a small machine. A size of 0 is taken as 1.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Events of an agent that wait for the log, each delta counted; an agent that is faster waits. 256.
    pub agent_queue: usize,
    /// Events that wait for one connection. A connection for which more would wait is served from the log. 256.
    pub outbox_events: usize,
    /// Bytes of their content, roughly, that wait for one connection; beyond them as above. 256 KiB.
    pub outbox_bytes: usize,
    /// Events that [`Connection::next`] gives at once, and log entries that it reads at once. 128.
    pub batch: usize,
    /// Chats that one connection may follow. 256.
    pub follow_limit: usize,
    /// Watches that one connection may have. 64.
    pub watch_limit: usize,
    /// Bytes of changes, as they lie in memory, that wait for one connection; beyond them it is served from the log.
    /// 16 KiB.
    pub watch_bytes: usize,
    /// Messages of the conversation, the question included, that an agent is given. 40.
    pub history_messages: usize,
    /// How long an agent may go on after its run was stopped before it is dropped. 1 s.
    pub stop_grace: Duration,
    /// How long those outside have to answer for a run: clients for calls of their tools (60 s), persons for calls
    /// that they must agree to (5 min).
    pub waits: Waits,
    /// How long and how much for models and tools that are asked without a chat.
    pub direct: RunLimits,
    /// How long a run may take at most. 15 min.
    pub run_deadline: Duration,
    /// When to come back, as told to somebody whose message found the chat's queue full. 5 s.
    pub retry_after: Duration,
    /// How often rooms that nobody uses are forgotten, and ends of runs that could not be written are tried again.
    /// 10 s.
    pub sweep_every: Duration,
    /// After what time without use a chat is archived; `None` is never. 24 h.
    pub archive_after: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            agent_queue: 256,
            outbox_events: 256,
            outbox_bytes: 256 * 1024,
            batch: 128,
            follow_limit: 256,
            watch_limit: 64,
            watch_bytes: 16 * 1024,
            history_messages: 40,
            stop_grace: Duration::from_secs(1),
            waits: Waits::default(),
            direct: RunLimits::default(),
            run_deadline: Duration::from_secs(15 * 60),
            retry_after: Duration::from_secs(5),
            sweep_every: Duration::from_secs(10),
            archive_after: Some(Duration::from_secs(24 * 60 * 60)),
        }
    }
}

/// What goes on, in numbers, for metrics. Those that end in `_total` only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Connections that are open.
    pub connections: usize,
    /// Chats that are held in memory.
    pub rooms: usize,
    /// Runs that go on.
    pub running: usize,
    /// Runs that wait for their turn.
    pub queued: usize,
    /// Messages that were accepted.
    pub messages_total: u64,
    /// Log entries that were written.
    pub entries_total: u64,
    /// Transactions that they took.
    pub appends_total: u64,
    /// Transactions that failed.
    pub append_failures_total: u64,
    /// How often a connection fell behind and was served from the log.
    pub fell_behind_total: u64,
    /// Watches of all connections.
    pub watches: usize,
    /// Notices that connections took: batches of changes, gaps, pieces of snapshots, schemas.
    pub notices_total: u64,
    /// How often a watch fell behind and was served from the log.
    pub watches_fell_behind_total: u64,
    /// Bytes of changes that wait for being told to those who watch; beyond 16 MiB they are
    /// served from the log.
    pub watch_queue_bytes: usize,
    /// How runs ended.
    pub ended: RunsEnded,
    /// What became of tool calls.
    pub calls: Calls,
}

/// What everything in the engine shares.
pub(crate) struct Core {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) agents: Agents,
    pub(crate) models: Models,
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) journal: Journal,
    pub(crate) sessions: Sessions,
    pub(crate) hub: Hub,
    pub(crate) watches: Arc<WatchHub>,
    pub(crate) counters: Arc<Counters>,
    /// Cancelled when runs may go on no longer.
    pub(crate) interrupt: CancellationToken,
    /// Cancelled when the engine is dropped; every task ends with it.
    ended: CancellationToken,
    runs: TaskTracker,
    draining: Mutex<bool>,
}

/// The figures behind [`Stats`].
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicUsize,
    pub(crate) open_runs: AtomicUsize,
    pub(crate) running: AtomicUsize,
    pub(crate) messages: AtomicU64,
    pub(crate) entries: AtomicU64,
    pub(crate) appends: AtomicU64,
    pub(crate) append_failures: AtomicU64,
    pub(crate) fell_behind: AtomicU64,
    pub(crate) watches: AtomicUsize,
    pub(crate) notices: AtomicU64,
    pub(crate) watchers_fell_behind: AtomicU64,
    pub(crate) watch_queue: Arc<AtomicUsize>,
    pub(crate) tally: Tally,
}

impl Settings {
    /// The same, with nothing so small that the engine would stand still.
    fn usable(mut self) -> Self {
        for size in [&mut self.agent_queue, &mut self.outbox_events, &mut self.batch] {
            *size = (*size).max(1);
        }
        self.sweep_every = self.sweep_every.max(Duration::from_millis(1));
        self
    }

    fn limits(&self) -> Limits {
        Limits { events: self.outbox_events, bytes: self.outbox_bytes, watch_bytes: self.watch_bytes }
    }
}

impl Core {
    fn new(parts: Parts) -> Self {
        let Parts { store, bus, agents, models, embedder, clock, settings } = parts;
        let settings = settings.usable();
        let (counters, ended) = (Arc::new(Counters::default()), CancellationToken::new());
        let scribe = Scribe {
            store: Arc::clone(&store),
            bus,
            clock: Arc::clone(&clock),
            counters: Arc::clone(&counters),
            limits: settings.limits(),
        };
        let watches = Arc::<WatchHub>::default();
        let delivery =
            Delivery { counters: Arc::clone(&counters), limits: settings.limits(), batch: settings.batch };
        store.listen(watches.start(delivery, ended.clone()));
        Self {
            journal: scribe.start(ended.clone()),
            sessions: Sessions::start(Arc::clone(&store), ended.clone()),
            watches,
            store,
            agents,
            models,
            embedder,
            clock,
            settings,
            hub: Hub::default(),
            counters,
            interrupt: CancellationToken::new(),
            ended,
            runs: TaskTracker::new(),
            draining: Mutex::new(false),
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.settings.limits()
    }

    /// Fails while the server drains. Whoever holds what this gives may spawn a run, which a drain then waits for.
    pub(crate) fn pass_gate(&self) -> Result<MutexGuard<'_, bool>> {
        let draining = self.draining.lock().unwrap_or_else(PoisonError::into_inner);
        if *draining {
            return Err(Error::new(
                Code::Draining,
                "the server is restarting and takes no new messages; connect again and send it then",
            ));
        }
        Ok(draining)
    }

    /// Starts a run's task, which ends when the engine is dropped.
    pub(crate) fn spawn(&self, run: impl Future<Output = ()> + Send + 'static) {
        let ended = self.ended.clone();
        self.runs.spawn(async move {
            ended.run_until_cancelled(run).await;
        });
    }

    /// Forgets rooms, pays what rooms owe, and archives chats, until the engine ends.
    async fn keep_house(self: Arc<Self>) {
        let mut every = tokio::time::interval(self.settings.sweep_every);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut archived: Option<Instant> = None;
        loop {
            every.tick().await;
            self.watches.sweep();
            for room in self.hub.sweep() {
                // An empty job: the journal writes what the room owes before it.
                let _ = self.journal.write(&room, Vec::new()).wait().await;
            }
            if archived.is_none_or(|at| at.elapsed() >= ARCHIVE_EVERY) {
                archived = Some(Instant::now());
                self.archive().await;
            }
        }
    }

    async fn archive(&self) {
        let Some(after) = self.settings.archive_after else { return };
        let after = i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp(self.clock.now().0.saturating_sub(after));
        if let Err(error) = self.store.archive_chats(before).await {
            tracing::warn!(%error, cause = ?error.cause, "old chats could not be archived");
        }
    }
}

/// The way in. Dropping it ends its tasks as a killed process would: runs stay open in the log, and the next start
/// marks them as interrupted. [`drain`](Self::drain) ends them properly.
pub struct Engine {
    pub(crate) core: Arc<Core>,
    collections: collections::Desk,
}

impl Engine {
    /// Starts with these parts. Runs that an earlier process left without an end go on where their agents can, under
    /// their ids and in the name of whoever asked; the others are ended first, as interrupted and with the text that
    /// they had.
    ///
    /// Fails if the store cannot be read or written.
    pub async fn start(parts: Parts) -> Result<Arc<Self>> {
        Self::start_for(parts, |_| Ok(())).await
    }

    /// The same, where a run goes on only if whoever asked is still welcome: the error's sentence ends it otherwise.
    pub async fn start_for(
        parts: Parts,
        is_welcome: impl Fn(&Identity) -> Result<()> + Send + Sync,
    ) -> Result<Arc<Self>> {
        let recovery::Recovered { ended, go_on } = recovery::recover(&parts, &is_welcome).await?;
        if ended + go_on.len() > 0 {
            tracing::info!(ended, go_on = go_on.len(), "found runs that an earlier process left open");
        }
        let collections = collections::Desk::new(Arc::clone(&parts.store), Arc::clone(&parts.clock));
        let core = Arc::new(Core::new(parts));
        core.watches.learn(&*core.store).await?;
        let (stop, house) = (core.ended.clone(), Arc::clone(&core).keep_house());
        tokio::spawn(async move { stop.run_until_cancelled(house).await });
        for run in go_on {
            recovery::go_on(&core, run).await?;
        }
        Ok(Arc::new(Self { core, collections }))
    }

    /// What the members of collections mean, as their schemas say.
    pub fn kinds(&self) -> &Arc<KnownKinds> {
        self.core.watches.kinds()
    }

    /// The names of those who answer; the first one answers whatever nobody asks another one for.
    pub fn agents(&self) -> impl Iterator<Item = &str> {
        self.core.agents.names()
    }

    /// A new client. Dropping the connection releases everything that it holds.
    pub fn connect(self: &Arc<Self>, identity: Identity) -> Connection {
        Connection::new(identity, Arc::clone(&self.core))
    }

    /// Does what needs nothing but a look into memory, as [`execute`](Self::execute) would; `None` where a command needs
    /// more.
    pub fn execute_at_once(&self, connection: &Connection, command: &Command) -> Option<Result<Reply>> {
        if !is_in_memory(command) {
            return None;
        }
        let judged = access::check_at_once(connection.identity(), command);
        Some(judged.and_then(|()| self.answer_from_memory(connection, command)))
    }

    fn answer_from_memory(&self, connection: &Connection, command: &Command) -> Result<Reply> {
        match command {
            Command::ListModels => Ok(Reply::Models(self.core.models.list())),
            Command::ListTools => Ok(direct::tools(&self.core)),
            Command::Unwatch { collection, watch: number } => {
                Ok(watch::unwatch(connection, collection, *number))
            }
            _ => Err(later("this command")),
        }
    }

    /// Does what a client asks. Events that follow come out of the connection's [`next`](Connection::next); those
    /// that belong to a `FollowChat` come after its reply if both are called from one task.
    ///
    /// Dropping the future takes nothing back that was begun: a message that is being accepted is accepted.
    pub async fn execute(&self, connection: &Connection, command: Command) -> Result<Reply> {
        let core = &self.core;
        access::check(core, connection.identity(), &command).await?;
        match command {
            Command::FollowChat { chat, after } => chat::follow(core, connection, chat, after).await,
            Command::UnfollowChat { chat } => chat::unfollow(core, connection, chat).await,
            Command::SendMessage { chat, message_id, content, while_running, options } => {
                let message = Message { message_id, content, while_running, options };
                chat::send(core, connection, &chat, message).await
            }
            Command::StopRun { chat, run } => chat::stop(core, connection, &chat, run).await,
            Command::ListChats { limit } => chat::list(core, connection.identity(), limit).await,
            Command::OpenChat { .. }
            | Command::GetChat { .. }
            | Command::FindChats { .. }
            | Command::UpdateChat { .. }
            | Command::DeleteChat { .. }
            | Command::BranchChat { .. }
            | Command::MergeChats { .. }
            | Command::CompactChat { .. } => self.managed(connection.identity(), command).await,
            Command::ListMessages { .. }
            | Command::GetMessage { .. }
            | Command::EditMessage { .. }
            | Command::ForgetMessage { .. }
            | Command::DeleteMessage { .. }
            | Command::Regenerate { .. } => self.messages(connection.identity(), command).await,
            Command::RegisterTools { chat, tools } => {
                chat::outside::register(core, connection, &chat, tools).await
            }
            Command::AnswerTool { chat, call_id, answer } => {
                chat::outside::answer(core, connection, &chat, &call_id, answer).await
            }
            Command::DecideCall { chat, call_id, approved } => {
                chat::outside::decide(core, connection, &chat, &call_id, approved).await
            }
            Command::Complete { system, message, model, max_tokens, stream } => {
                let question = direct::Question { system, message, model, max_tokens, stream };
                direct::complete(core, connection, question).await
            }
            Command::Embed { texts, model } => direct::embed(core, texts, model.as_deref()).await,
            Command::ListModels | Command::ListTools | Command::Unwatch { .. } => {
                self.answer_from_memory(connection, &command)
            }
            Command::CallTool { name, arguments } => {
                direct::call_tool(core, connection.identity(), &name, arguments).await
            }
            Command::Watch { collection, watch: number, filter, after } => {
                watch::watch(core, connection, &collection, number, filter, after).await
            }
            command => self.data(connection.identity(), command).await,
        }
    }

    /// What is done with chats as things.
    async fn managed(&self, identity: &Identity, command: Command) -> Result<Reply> {
        let core = &self.core;
        match command {
            Command::OpenChat { settings } => managed::open(core, identity, settings).await,
            Command::GetChat { chat } => managed::get(core, identity, chat).await,
            Command::FindChats { limit, skip, ascending } => {
                managed::find(core, identity, Part { limit, skip, ascending }).await
            }
            Command::UpdateChat { chat, settings } => managed::update(core, identity, chat, settings).await,
            Command::DeleteChat { chat } => managed::delete(core, identity, chat).await,
            Command::BranchChat { parent, messages, settings } => {
                combine::branch(core, identity, parent, messages, settings).await
            }
            Command::MergeChats { sources, target, strategy } => {
                combine::merge(core, identity, sources, target, strategy).await
            }
            Command::CompactChat { chat, keep_recent } => {
                combine::compact(core, identity, chat, keep_recent).await
            }
            _ => Err(later("this command")),
        }
    }

    /// What is done with a chat's messages.
    async fn messages(&self, identity: &Identity, command: Command) -> Result<Reply> {
        let core = &self.core;
        match command {
            Command::ListMessages { chat, limit, skip, ascending } => {
                managed::messages(core, identity, chat, Part { limit, skip, ascending }).await
            }
            Command::GetMessage { chat, message } => managed::message(core, identity, chat, message).await,
            Command::EditMessage { chat, message, content } => {
                managed::edit(core, identity, chat, message, content).await
            }
            Command::ForgetMessage { chat, message, forgotten } => {
                managed::forget(core, identity, chat, message, forgotten).await
            }
            Command::DeleteMessage { chat, message } => {
                managed::delete_message(core, identity, chat, message).await
            }
            Command::Regenerate { chat, message } => managed::regenerate(core, identity, chat, message).await,
            _ => Err(later("this command")),
        }
    }

    /// What the data desk does.
    async fn data(&self, identity: &Identity, command: Command) -> Result<Reply> {
        let desk = &self.collections;
        match command {
            Command::Edit { collection, edits, together } => {
                let _under_way = self.core.watches.edits();
                self.core.watches.told(&collection).await;
                desk.edit(identity, &collection, edits, together).await.map(Reply::Edited)
            }
            Command::Get { collection, id, projection } => {
                desk.get(identity, &collection, &id, &projection).await.map(Reply::Record)
            }
            Command::Query(query) => desk.texts(identity, query).await.map(Reply::Records),
            Command::Count { collection, filter } => {
                desk.count(identity, &collection, filter).await.map(Reply::Count)
            }
            Command::Search(search) => desk.search(identity, search).await.map(Reply::Hits),
            Command::Distinct { collection, field, filter } => {
                desk.distinct(identity, &collection, &field, filter.as_ref()).await.map(Reply::Values)
            }
            Command::ListCollections => desk.collections(identity).await.map(Reply::Collections),
            Command::CreateCollection { collection, schema } => desk
                .create_collection(identity, &collection, schema)
                .await
                .map(|s| Reply::Schema(Box::new(s))),
            Command::DropCollection { collection } => {
                desk.drop_collection(identity, &collection).await.map(|()| Reply::Done)
            }
            Command::GetSchema { collection } => {
                desk.schema(identity, &collection).await.map(|s| Reply::Schema(Box::new(s)))
            }
            Command::ChangeSchema { collection, fields } => {
                desk.change_schema(identity, &collection, fields).await.map(|s| Reply::Schema(Box::new(s)))
            }
            command => self.pairs(identity, command).await,
        }
    }

    /// What the data desk does with the key-value store.
    async fn pairs(&self, identity: &Identity, command: Command) -> Result<Reply> {
        let desk = &self.collections;
        match command {
            Command::KvSet { pairs, ttl_s } => desk.kv_set(identity, pairs, ttl_s).await.map(Reply::KvDone),
            Command::KvGet { keys } => desk.kv_get(identity, keys).await.map(Reply::KvValues),
            Command::KvDelete { keys } => desk.kv_delete(identity, keys).await.map(Reply::KvDone),
            Command::KvFind { pattern, include_expired } => {
                desk.kv_find(identity, pattern.as_deref(), include_expired).await.map(Reply::KvPairs)
            }
            Command::KvClear => desk.kv_clear(identity).await.map(|()| Reply::Done),
            _ => Err(later("this command")),
        }
    }

    /// Prepares the end: messages are refused as draining, and runs may finish until `within` has passed. What still
    /// goes on then is left for the next process if its agent can go on with it there, and else ended as interrupted.
    /// When this returns, everything is written.
    pub async fn drain(&self, within: Duration) {
        *self.core.draining.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.core.runs.close();
        if tokio::time::timeout(within, self.core.runs.wait()).await.is_ok() {
            return;
        }
        self.core.interrupt.cancel();
        if tokio::time::timeout(LAST_WRITES, self.core.runs.wait()).await.is_err() {
            tracing::error!("the store does not answer; the next start ends the runs that are still open");
        }
    }

    #[cfg(test)]
    pub(crate) fn watch_hub(&self) -> Arc<WatchHub> {
        Arc::clone(&self.core.watches)
    }

    /// What goes on now.
    pub fn stats(&self) -> Stats {
        let counters = &self.core.counters;
        let running = counters.running.load(Ordering::Relaxed);
        Stats {
            connections: counters.connections.load(Ordering::Relaxed),
            rooms: self.core.hub.len(),
            running,
            queued: counters.open_runs.load(Ordering::Relaxed).saturating_sub(running),
            messages_total: counters.messages.load(Ordering::Relaxed),
            entries_total: counters.entries.load(Ordering::Relaxed),
            appends_total: counters.appends.load(Ordering::Relaxed),
            append_failures_total: counters.append_failures.load(Ordering::Relaxed),
            fell_behind_total: counters.fell_behind.load(Ordering::Relaxed),
            watches: counters.watches.load(Ordering::Relaxed),
            notices_total: counters.notices.load(Ordering::Relaxed),
            watches_fell_behind_total: counters.watchers_fell_behind.load(Ordering::Relaxed),
            watch_queue_bytes: counters.watch_queue.load(Ordering::Relaxed),
            ended: counters.tally.ended(),
            calls: counters.tally.calls(),
        }
    }
}

/// Whether a command is answered from memory alone.
fn is_in_memory(command: &Command) -> bool {
    matches!(command, Command::Unwatch { .. } | Command::ListModels | Command::ListTools)
}

fn later(what: &str) -> Error {
    Error::new(Code::Unimplemented, format!("{what} are not served by this version"))
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.core.ended.cancel();
    }
}
