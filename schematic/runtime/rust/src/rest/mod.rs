//! What generated clients of REST APIs stand on.
//!
//! A generated method makes a [`Call`] and gives it to a [`Client`], which writes the address, adds the credential, sends,
//! follows redirects, repeats what may be repeated, and hands back a [`Reply`] of a status that counts as success. Every
//! other status is an [`Error`]: one that the API has declared is typed, one that it has not is kept with its body.

mod call;
mod client;
mod clock;
mod error;
mod exchange;
mod form;
mod items;
mod pages;
mod reply;

pub use call::Call;
pub use client::{Api, Auth, Client, Options, Retry};
pub use clock::{Clock, SystemClock};
pub use error::{Error, Fault, NoFault};
pub use form::{Form, Upload};
pub use items::Items;
pub use pages::{Pages, Turn};
pub use reply::{Opened, Reply};
pub use reqwest::Method;
