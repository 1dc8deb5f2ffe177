//! From the log, and from the records themselves: what a connection gets that is behind.

use std::sync::Arc;
use std::time::Duration;

use super::inbox::{Reading, Snapshot, What, select};
use super::weight;
use crate::change::{ChangeBatch, Notice};
use crate::connection::Inbox;
use crate::engine::Core;
use crate::error::{Code, Result};
use crate::event::Event;
use crate::id::Offset;
use crate::query::Record;
use crate::store::Page;

/// Bytes of JSON after which a piece of a log, or a page of records, ends.
const PIECE: usize = 16 << 10;
/// How long a reader waits before it tries again to read what could not be read.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Reads on for a connection. Returns how many notices that gave.
pub(crate) async fn serve(core: &Core, inbox: &Inbox, reading: &Reading, into: &mut Vec<Event>) -> usize {
    let read = match &reading.what {
        What::Log(after, _) => log(core, inbox, reading, *after).await,
        What::Page(snapshot) => page(core, inbox, reading, snapshot).await,
    };
    match read {
        Ok(notice) => {
            let count = usize::from(notice.is_some());
            into.extend(notice.map(Event::Data));
            count
        }
        Err(error) => {
            let collection = &*reading.topic.collection;
            tracing::error!(collection, %error, cause = ?error.cause, "a watched collection cannot be read");
            tokio::time::sleep(READ_AGAIN_AFTER).await;
            0
        }
    }
}

async fn log(core: &Core, inbox: &Inbox, reading: &Reading, after: Offset) -> Result<Option<Notice>> {
    let is_written = reading.topic.lock().has_more(after);
    let batch = match piece(core, reading, after).await {
        Ok(Some(batch)) if batch.after() == after => batch,
        // What comes next is not there yet, or came only now.
        Ok(None) if !is_written => {
            end(inbox, reading, after);
            return Ok(None);
        }
        // What should come next is not there.
        Ok(_) => return begin_snapshot(core, inbox, reading).await,
        Err(error) if error.code == Code::NotFound => return begin_snapshot(core, inbox, reading).await,
        Err(error) => return Err(error),
    };
    let What::Log(_, watches) = &reading.what else { return Ok(None) };
    let selection = select(watches, &reading.interest, &batch);
    let is_wanted = {
        let shared = reading.topic.lock();
        inbox.lock().watches().is_some_and(|watches| watches.served(reading, batch.to(), &shared))
    };
    Ok(selection.filter(|_| is_wanted).map(|selection| Notice::Changes { batch, selection }))
}

/// Nothing came after this offset; if the topic still knows of nothing either, the connection is live.
fn end(inbox: &Inbox, reading: &Reading, after: Offset) {
    let shared = reading.topic.lock();
    if !shared.has_more(after)
        && let Some(watches) = inbox.lock().watches()
    {
        watches.served(reading, after, &shared);
    }
}

/// The changes after an offset: those that somebody else has just read, or from the store.
async fn piece(core: &Core, reading: &Reading, after: Offset) -> Result<Option<Arc<ChangeBatch>>> {
    let topic = &reading.topic;
    if let Some(piece) = topic.piece(after) {
        return Ok(Some(piece));
    }
    let Ok(_place) = topic.readers.acquire().await else { return Ok(None) };
    if let Some(piece) = topic.piece(after) {
        return Ok(Some(piece));
    }
    let changes = core.store.changes_within(&topic.collection, after, core.settings.batch, PIECE).await?;
    if changes.is_empty() {
        return Ok(None);
    }
    let piece = Arc::new(ChangeBatch::new(Arc::clone(&topic.collection), changes));
    topic.keep_piece(Arc::clone(&piece), weight::of_batch(&piece));
    Ok(Some(piece))
}

/// The log does not reach back so far: the records as they are come next.
async fn begin_snapshot(core: &Core, inbox: &Inbox, reading: &Reading) -> Result<Option<Notice>> {
    let span = core.store.log(&reading.topic.collection).await?;
    let shared = reading.topic.lock();
    let resume = shared.written.unwrap_or_default().max(span.last);
    if let Some(watches) = inbox.lock().watches() {
        watches.begin_snapshot(reading, resume);
    }
    Ok(None)
}

/// The gap is told first, then come the pages. One in which nothing fits is passed over, unless it is the last.
async fn page(core: &Core, inbox: &Inbox, reading: &Reading, at: &Snapshot) -> Result<Option<Notice>> {
    let collection = &reading.topic.collection;
    if !at.told {
        let next = Snapshot { told: true, ..at.clone() };
        let notice = Notice::Gap { collection: Arc::clone(collection), resume: at.resume };
        return Ok(advance(inbox, reading, at, Some(next)).then_some(notice));
    }
    let Page { mut records, last } = read_page(core, reading, at).await?;
    let after = records.last().map(|record| record.id.clone()).or_else(|| at.after.clone());
    records.retain(|record| reading.interest.fits_record(record));
    let next = (!last).then(|| Snapshot { after, ..at.clone() });
    let is_wanted = advance(inbox, reading, at, next) && (last || !records.is_empty());
    Ok(is_wanted.then(|| snapshot(reading, records, last)))
}

fn snapshot(reading: &Reading, records: Vec<Record>, last: bool) -> Notice {
    Notice::Snapshot { collection: Arc::clone(&reading.topic.collection), records, last }
}

fn advance(inbox: &Inbox, reading: &Reading, at: &Snapshot, next: Option<Snapshot>) -> bool {
    let shared = reading.topic.lock();
    inbox.lock().watches().is_some_and(|watches| watches.advance_snapshot(reading, at, next, &shared))
}

/// The store filters if there is one filter; several are held against the records here.
async fn read_page(core: &Core, reading: &Reading, at: &Snapshot) -> Result<Page> {
    let (collection, limit) = (&reading.topic.collection, core.settings.batch);
    let filter = reading.interest.only_filter();
    match core.store.page(collection, at.after.as_ref(), filter, limit, PIECE).await {
        // The page's own condition was one too many for the filter's limits.
        Err(error) if error.code == Code::Invalid && filter.is_some() => {
            core.store.page(collection, at.after.as_ref(), None, limit, PIECE).await
        }
        page => page,
    }
}
