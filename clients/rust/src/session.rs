//! What a connection knows of the dialect: its frames, and when each message was written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use schematic_runtime::{Attempt, Enclosed, Error, ErrorKind, Frame, Request, Session, Target, Transport};
use serde_json::Value;

use crate::access::Access;
use crate::generated::client::LiveSession;
use crate::generated::wire::{ClientMessage, ServerMessage};

/// A message on its way out.
pub(crate) struct Outgoing {
    id: String,
    message: ClientMessage,
    written: Written,
}

impl Outgoing {
    pub(crate) fn new(id: String, message: ClientMessage) -> Self {
        Self { id, message, written: Written::default() }
    }

    /// Its id, as the answer repeats it.
    pub(crate) fn id(&self) -> String {
        self.id.clone()
    }

    pub(crate) fn written(&self) -> Written {
        self.written.clone()
    }
}

/// On which link a message was written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written(Arc<AtomicU64>);

impl Written {
    /// The link's number from 1; 0 if it was not written so far.
    pub(crate) fn on(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The dialect, as the runtime asks for it.
pub(crate) struct Live {
    address: String,
    access: Arc<Access>,
    /// Links so far.
    link: u64,
}

impl Live {
    pub(crate) fn new(address: String, access: Arc<Access>) -> Self {
        Self { address, access, link: 0 }
    }
}

impl Session for Live {
    type In = Enclosed<ServerMessage>;
    type Out = Outgoing;

    async fn target(&mut self, _: Attempt) -> Result<Target, Error> {
        self.access.open(Target::new(self.address.as_str())).await
    }

    fn encode(out: &Outgoing) -> Result<Frame, Error> {
        let id = serde_json::value::to_raw_value(&out.id);
        let id = id.map_err(|error| Error::new(ErrorKind::Shape, error.to_string()))?;
        Ok(Frame::Text(out.message.encode(Some(&id))))
    }

    fn decode(frame: Frame) -> Result<Self::In, Error> {
        LiveSession::decode(frame)
    }

    /// Nothing is said first; the place where a new link is counted.
    fn opening(&mut self, _: Attempt) -> Vec<Outgoing> {
        self.link += 1;
        Vec::new()
    }

    fn said(&mut self, out: &Outgoing) {
        out.written.0.store(self.link, Ordering::Release);
    }

    fn reply_id(&self, message: &Self::In) -> Option<Value> {
        let answers = matches!(message.message, ServerMessage::Success(_) | ServerMessage::Error(_));
        message.id.clone().filter(|_| answers)
    }
}

/// Opens links, and lets a refused token be renewed instead of giving up.
pub(crate) struct Renewing<T> {
    pub(crate) inner: T,
    pub(crate) access: Arc<Access>,
}

impl<T: Transport + Sync> Transport for Renewing<T> {
    type Link = T::Link;

    async fn connect(&self, request: &Request) -> Result<T::Link, Error> {
        let opened = self.inner.connect(request).await;
        match &opened {
            Ok(_) => self.access.accepted(),
            Err(error) if error.kind == ErrorKind::Auth && self.access.refused() => {
                return Err(Error::new(ErrorKind::Connect, "the token was refused; another one is obtained"));
            }
            Err(_) => {}
        }
        opened
    }
}
