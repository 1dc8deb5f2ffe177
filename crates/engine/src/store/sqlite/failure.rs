//! What SQLite's failures mean to a client: its result codes become the house's error codes, its text goes to the log.

use rusqlite::ErrorCode;

use crate::error::{Code, Error};

const FULL: &str = "the server's disk is full; try again when space has been freed";
const READ_ONLY: &str = "the server cannot write to its data folder; check its permissions";
const DAMAGED: &str = "the server's data is damaged; restore the data folder from a backup";
const IO: &str = "the server cannot reach its disk; check the drive, then try again";
const BUSY: &str = "another program holds the server's database; try again";
const MEMORY: &str = "the server is out of memory; try again later";
const TOO_BIG: &str = "this is larger than the database can hold; make it smaller";
const STOPPED: &str = "the request was given up";

/// The error of a store that was closed while somebody still asked.
pub(super) fn closed() -> Error {
    Error::new(Code::Draining, "the server is going away; connect again")
}

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Self {
        let meaning = cause.sqlite_error_code().and_then(meaning);
        match meaning {
            Some((code, message)) => Self::new(code, message).caused_by(cause),
            None => Self::internal(cause),
        }
    }
}

/// The code and the sentence for what somebody outside can do something about.
fn meaning(code: ErrorCode) -> Option<(Code, &'static str)> {
    match code {
        ErrorCode::DiskFull => Some((Code::Unavailable, FULL)),
        ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
            Some((Code::Unavailable, READ_ONLY))
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Some((Code::Unavailable, DAMAGED)),
        ErrorCode::SystemIoFailure | ErrorCode::NoLargeFileSupport => Some((Code::Unavailable, IO)),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            Some((Code::Unavailable, BUSY))
        }
        ErrorCode::OutOfMemory => Some((Code::Unavailable, MEMORY)),
        ErrorCode::TooBig => Some((Code::TooLarge, TOO_BIG)),
        ErrorCode::OperationInterrupted => Some((Code::Cancelled, STOPPED)),
        _ => None, // the list is SQLite's and open; what is left is our fault
    }
}
