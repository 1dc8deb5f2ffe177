//! One chat a number, each with a connection that follows it, for the programs that measure.

use std::sync::Arc;
use std::time::Instant;

use tidewire_engine::command::WhileRunning;
use tidewire_engine::{AgentEvent, ChatBody, ChatRef, Command, Connection, Engine, Identity, Position, Seq};

/// A connection that follows this chat from its beginning.
pub(crate) async fn follow(engine: &Arc<Engine>, number: usize) -> Connection {
    let connection = engine.connect(Identity::local());
    let after = Some(Position { epoch: None, seq: Seq::START });
    let follow = Command::FollowChat { chat: session(number), after };
    engine.execute(&connection, follow).await.expect("it follows");
    connection
}

/// Says something in this chat.
pub(crate) async fn send(engine: &Engine, connection: &Connection, number: usize, content: &str) {
    let send = Command::SendMessage {
        chat: session(number),
        message_id: None,
        content: content.into(),
        while_running: WhileRunning::Reject,
        options: Default::default(),
    };
    engine.execute(connection, send).await.expect("the message is accepted");
}

fn session(number: usize) -> ChatRef {
    ChatRef::Session(format!("session-{number}").parse().expect("it is a session id"))
}

/// Reads to the end of the run. Gives how long each token was under way, in microseconds.
pub(crate) async fn listen(connection: &Connection, born: Instant) -> Vec<u64> {
    let (mut events, mut delays) = (Vec::new(), Vec::new());
    loop {
        connection.next(&mut events).await;
        let now = u64::try_from(born.elapsed().as_micros()).unwrap_or(u64::MAX);
        for event in events.drain(..).filter_map(tidewire_engine::Event::into_chat) {
            let ChatBody::Run { event, .. } = &event.body else { continue };
            if let AgentEvent::TextDelta { text } = event {
                let said = text.split_ascii_whitespace().filter_map(|at| at.parse::<u64>().ok());
                delays.extend(said.map(|at| now.saturating_sub(at)));
            }
            if event.is_end() {
                return delays;
            }
        }
    }
}
