//! Why a call did not give what it promises.

use std::convert::Infallible;
use std::fmt;

use super::Reply;

/// The errors that an API declares for an endpoint. Generated code implements it.
pub trait Fault: Sized {
    /// The error that a reply stands for; `None` if its status is not declared. Fails if the body is not as declared.
    fn read(reply: &Reply) -> Option<Result<Self, crate::Error>>;
}

/// The errors of an endpoint that declares none.
pub type NoFault = Infallible;

impl Fault for Infallible {
    fn read(_: &Reply) -> Option<Result<Self, crate::Error>> {
        None
    }
}

/// Why a call did not give what it promises. Bodies are without the client's credentials.
#[derive(Debug, Clone, PartialEq)]
pub enum Error<E> {
    /// An error that the API declares
    Status(E),
    /// A status that the API does not declare
    Unexpected {
        /// The status
        status: u16,
        /// The beginning of the body, at most [`crate::RECEIVED_LIMIT`] bytes; what is no UTF-8 is replaced
        body: String,
    },
    /// There is no reply, or not one that can be read
    Call(crate::Error),
}

impl<E> From<crate::Error> for Error<E> {
    fn from(error: crate::Error) -> Self {
        Self::Call(error)
    }
}

impl<E: Fault> Error<E> {
    /// What a reply means whose status is not a success.
    pub(super) fn from_reply(reply: &Reply) -> Self {
        match E::read(reply) {
            Some(Ok(fault)) => Self::Status(fault),
            Some(Err(error)) => Self::Call(error),
            None => Self::Unexpected { status: reply.status(), body: reply.excerpt() },
        }
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(fault) => fault.fmt(f),
            Self::Unexpected { status, .. } => {
                write!(f, "The server answered {status}, which the API does not declare")
            }
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for Error<E> {}
