//! Questions over one's own material, and their answers with sources, over one connection that comes back.
//!
//! [`ChatService`] asks; an [`AnswerStream`] tells what happens. When the connection is lost, each answer goes on after the
//! last sequence number that it saw: nothing is lost, nothing comes twice.
//!
//! ```no_run
//! # async fn example() -> tidewire_client::Result<()> {
//! use tidewire_client::chat_service::{AnswerEvent, ChatService, Question};
//!
//! let chats = ChatService::builder("http://localhost:8080").key("the key").build();
//! let mut answer = chats.ask(Question::new("user123", "How are keys kept?"))?;
//! while let Some(event) = answer.next().await {
//!     if let AnswerEvent::Text(added) = event {
//!         print!("{added}");
//!     }
//! }
//! chats.close();
//! # Ok(())
//! # }
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `client.rs` `request.rs` | what callers call, and say |
//! | `answer.rs` | what callers read |
//! | `track.rs` | one answer over any number of connections: what is said for it, what is new, its end |
//! | `keeper.rs` | the task that owns the connection and takes the answers along |

mod answer;
mod client;
mod keeper;
mod request;
mod track;

pub use crate::generated::chat_service::wire::{
    AnswerStatus, ApprovalData, ApprovalStatus, ChatOptions, ErrorData, FinalData, Highlight, MessageData,
    MessageRole, RunData, Source, ToolData, ToolSpec, ToolStatus, WhileRunning, WrongField,
};
pub use answer::{AnswerEvent, AnswerStream};
pub use client::{ChatService, ChatServiceBuilder, Metrics};
pub use request::{Question, Resume};
