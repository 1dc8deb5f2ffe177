//! Opening sessions. Those that are asked for at the same moment are opened together: one transaction costs little
//! more for many than for one.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::ended;
use crate::error::Result;
use crate::store::{ChatHead, SessionOpening, Store};

/// Sessions that one transaction opens at most.
const BATCH: usize = 256;

/// The way to who opens them.
pub(crate) struct Sessions {
    /// It has no size of its own: a connection asks for one thing after the other.
    asked: mpsc::UnboundedSender<Asked>,
}

struct Asked {
    opening: SessionOpening,
    answer: oneshot::Sender<Result<ChatHead>>,
}

impl Sessions {
    /// Starts the task; it ends with `ended`, or when nobody can ask any more.
    pub(crate) fn start(store: Arc<dyn Store>, ended: CancellationToken) -> Self {
        let (asked, queue) = mpsc::unbounded_channel();
        tokio::spawn(async move { ended.run_until_cancelled(run(store, queue)).await });
        Self { asked }
    }

    /// The chat of a session; see [`Store::open_session`].
    pub(crate) async fn open(&self, opening: SessionOpening) -> Result<ChatHead> {
        let (answer, opened) = oneshot::channel();
        // Without the task the answer is dropped, and who waits hears that the engine has ended.
        let _ = self.asked.send(Asked { opening, answer });
        opened.await.unwrap_or_else(|_| Err(ended()))
    }
}

async fn run(store: Arc<dyn Store>, mut queue: mpsc::UnboundedReceiver<Asked>) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        // Others who are about to ask do so first.
        tokio::task::yield_now().await;
        while batch.len() < BATCH
            && let Ok(asked) = queue.try_recv()
        {
            batch.push(asked);
        }
        serve(&*store, std::mem::take(&mut batch)).await;
    }
}

async fn serve(store: &dyn Store, asked: Vec<Asked>) {
    let openings = asked.iter().map(|asked| asked.opening.clone()).collect();
    match store.open_sessions(openings).await {
        Ok(heads) => asked.into_iter().zip(heads).for_each(|(asked, head)| answer(asked, Ok(head))),
        Err(error) if asked.len() == 1 => {
            asked.into_iter().for_each(|asked| answer(asked, Err(error.clone())))
        }
        Err(_) => serve_singly(store, asked).await,
    }
}

/// One that cannot be opened takes no other with it.
async fn serve_singly(store: &dyn Store, asked: Vec<Asked>) {
    for asked in asked {
        let SessionOpening { owner, session, at } = &asked.opening;
        let opened = store.open_session(owner, session, *at).await;
        answer(asked, opened);
    }
}

fn answer(asked: Asked, opened: Result<ChatHead>) {
    // Whoever asked may have gone; what is opened stays open.
    let _ = asked.answer.send(opened);
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::id::Timestamp;
    use crate::store::sqlite::Sqlite;

    fn opening(session: &str) -> SessionOpening {
        SessionOpening { owner: "ann".into(), session: session.parse().unwrap(), at: Timestamp(1) }
    }

    #[tokio::test]
    async fn each_asker_gets_its_own_chat_and_the_same_session_the_same_one() {
        let store = Arc::new(Sqlite::in_memory().unwrap());
        let sessions = Sessions::start(store, CancellationToken::new());
        let names = ["a", "b", "a", "c", "b"];
        let heads = join_all(names.map(|name| sessions.open(opening(name)))).await;
        let heads: Vec<_> = heads.into_iter().map(Result::unwrap).collect();
        for (name, head) in names.iter().zip(&heads) {
            assert_eq!(head.session.as_ref().unwrap().as_str(), *name);
        }
        assert_eq!((heads[0].chat, heads[1].chat), (heads[2].chat, heads[4].chat));
        assert_ne!(heads[0].chat, heads[1].chat);
    }

    #[tokio::test]
    async fn a_store_that_is_closed_says_so_to_each() {
        let store = Arc::new(Sqlite::in_memory().unwrap());
        store.close().await.unwrap();
        let sessions = Sessions::start(store, CancellationToken::new());
        let asked = join_all(["a", "b"].map(|name| sessions.open(opening(name)))).await;
        assert!(asked.iter().all(Result::is_err));
    }
}
