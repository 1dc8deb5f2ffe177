//! What the generator writes: the same every time, compiled, and right about which message is which.
//!
//! The golden files are modules of this test, so what is compared is also compiled.

mod asyncapi;
mod clients;
mod command;
mod envelope;
mod golden;
mod guide;
mod hostile;
mod openapi;
mod policies;
mod recognise;
mod rest;
mod rest_hostile;
mod samples;
mod transcripts;
mod written;
