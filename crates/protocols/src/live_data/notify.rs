//! Changes as notifications: spelled once per batch for everybody, and handed out at a pace that clients can keep.
//!
//! Clients keep 256 undelivered notifications a subscription and drop what is beyond. So what comes faster than
//! [`BURST`] frames in [`WINDOW`] waits for the window's end and goes out merged: adjacent changes of one kind in one
//! frame, and where kinds alternate too often, what became of each record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use indexmap::IndexMap;
use tidewire_engine::query::Record;
use tidewire_engine::schema::{Kinds, KnownKinds};
use tidewire_engine::{Change, ChangeBatch, ChangeKind, Notice, Selection, Timestamp};

use super::spell::{self, Format};
use super::typed::{self, Manner, Values, put_json};
use super::{pack, wire};
use crate::frame::Frame;

/// The time for which frames are counted.
const WINDOW: Duration = Duration::from_millis(20);
/// Frames that go out at once in a window.
const BURST: usize = 32;
/// After a subscription is confirmed, its client needs a moment before it listens.
const FIRST_AFTER: Duration = Duration::from_millis(5);
/// A frame holds about so many bytes of records, then another one begins.
const FRAME_BYTES: usize = 1 << 20;
/// Where a collection's merged changes would still be more frames than this, records are told of once.
const MERGED_FRAMES: usize = 16;
/// While so many bytes wait for the window's end, nothing more is taken: a client that stops reading then keeps no
/// more than that from being freed.
const WAITING_BYTES: usize = 16 << 10;
/// This dialect's numbers for [`ChangeBatch::spelled`] begin here.
const FIRST_VARIANT: u32 = 0x0200;

/// What is before a notification's payload.
const BEFORE_PAYLOAD: &[u8] = b"{\"type\":\"MutationNotification\",\"payload\":";

/// How a connection reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variant {
    /// In which frames.
    pub(super) format: Format,
    /// How members are written.
    pub(super) values: Values,
}

impl Variant {
    fn number(self) -> u32 {
        let packed = u32::from(self.format == Format::MessagePack);
        let plain = u32::from(self.values == Values::Plain);
        FIRST_VARIANT + 2 * packed + plain
    }
}

/// Adjacent changes of one kind, written.
struct Run {
    kind: ChangeKind,
    count: usize,
    /// The ids without what is around the list.
    ids: Bytes,
    /// The records, likewise; empty for deletions.
    records: Bytes,
    at: Timestamp,
    from: u64,
    to: u64,
    /// A notification of this run alone.
    frame: Frame,
}

/// A run that grows.
struct Growing {
    variant: Variant,
    /// What the members of the records mean.
    kinds: Option<Arc<Kinds>>,
    kind: ChangeKind,
    count: usize,
    ids: Vec<u8>,
    records: Vec<u8>,
    at: Timestamp,
    offsets: Option<(u64, u64)>,
}

impl Growing {
    fn new(variant: Variant, kind: ChangeKind, kinds: Option<Arc<Kinds>>) -> Self {
        Self {
            variant,
            kinds,
            kind,
            count: 0,
            ids: Vec::new(),
            records: Vec::new(),
            at: Timestamp(0),
            offsets: None,
        }
    }

    fn takes(&self, kind: ChangeKind, bytes: usize) -> bool {
        self.kind == kind && self.records.len() + self.ids.len() + bytes <= FRAME_BYTES
    }

    fn push(&mut self, change: &Change) {
        let variant = self.variant;
        let manner = Manner::new(variant.values, self.kinds.as_deref());
        put_part(&mut self.ids, variant.format, |out| put_json(out, &change.id.0));
        if let Some(body) = &change.after {
            put_part(&mut self.records, variant.format, |out| {
                typed::put(out, &change.id.0, body, change.expires_at, manner);
            });
        }
        self.cover(1, change.at, change.offset.0, change.offset.0);
    }

    fn append(&mut self, run: &Run) {
        let comma = self.variant.format == Format::Json && self.count > 0;
        for (to, from) in [(&mut self.ids, &run.ids), (&mut self.records, &run.records)] {
            if comma && !from.is_empty() {
                to.push(b',');
            }
            to.extend_from_slice(from);
        }
        self.cover(run.count, run.at, run.from, run.to);
    }

    fn cover(&mut self, count: usize, at: Timestamp, from: u64, to: u64) {
        self.count += count;
        self.at = self.at.max(at);
        let (first, last) = self.offsets.unwrap_or((from, to));
        self.offsets = Some((first.min(from), last.max(to)));
    }

    /// The notification's content, and where in it ids and records lie.
    fn written(&self, collection: &str) -> (Vec<u8>, usize, usize) {
        match self.variant.format {
            Format::Json => self.written_json(collection),
            Format::MessagePack => self.written_packed(collection),
        }
    }

    fn written_json(&self, collection: &str) -> (Vec<u8>, usize, usize) {
        let mut out = Vec::with_capacity(self.ids.len() + self.records.len() + 256);
        out.extend_from_slice(BEFORE_PAYLOAD);
        out.extend_from_slice(b"{\"collection\":");
        put_json(&mut out, collection);
        out.extend_from_slice(b",\"event\":");
        put_json(&mut out, event(self.kind));
        out.extend_from_slice(b",\"record_ids\":[");
        let ids = out.len();
        out.extend_from_slice(&self.ids);
        out.push(b']');
        let (open, close) = if self.count == 1 { ("", "") } else { ("[", "]") };
        let mut records = out.len();
        if self.kind != ChangeKind::Delete {
            out.extend_from_slice(b",\"records\":");
            out.extend_from_slice(open.as_bytes());
            records = out.len();
            out.extend_from_slice(&self.records);
            out.extend_from_slice(close.as_bytes());
        }
        out.extend_from_slice(b",\"timestamp\":");
        put_json(&mut out, &self.at.to_rfc3339());
        for (name, offset) in self.named_offsets() {
            out.extend_from_slice(format!(",\"{name}\":{offset}").as_bytes());
        }
        out.extend_from_slice(b"}}");
        (out, ids, records)
    }

    fn written_packed(&self, collection: &str) -> (Vec<u8>, usize, usize) {
        let mut out = Vec::with_capacity(self.ids.len() + self.records.len() + 256);
        let offsets = self.named_offsets();
        let members = 4 + usize::from(self.kind != ChangeKind::Delete) + offsets.len();
        // A map of fewer than sixteen members begins with one byte.
        let map = |count: usize| 0x80 | count as u8;
        out.push(map(2));
        put_text(&mut out, "type");
        put_text(&mut out, "MutationNotification");
        put_text(&mut out, "payload");
        out.push(map(members));
        put_text(&mut out, "collection");
        put_text(&mut out, collection);
        put_text(&mut out, "event");
        put_text(&mut out, event(self.kind));
        put_text(&mut out, "record_ids");
        pack::array_head(&mut out, self.count);
        let ids = out.len();
        out.extend_from_slice(&self.ids);
        let mut records = out.len();
        if self.kind != ChangeKind::Delete {
            put_text(&mut out, "records");
            if self.count != 1 {
                pack::array_head(&mut out, self.count);
            }
            records = out.len();
            out.extend_from_slice(&self.records);
        }
        put_text(&mut out, "timestamp");
        put_text(&mut out, &self.at.to_rfc3339());
        for (name, offset) in offsets {
            put_text(&mut out, name);
            put_packed(&mut out, &offset);
        }
        (out, ids, records)
    }

    fn named_offsets(&self) -> Vec<(&'static str, u64)> {
        let named = self.offsets.map(|(from, to)| [("from_offset", from), ("offset", to)]);
        named.into_iter().flatten().collect()
    }

    fn frame(&self, collection: &str) -> Frame {
        binary_or_text(self.variant.format, self.written(collection).0.into())
    }

    fn finish(self, collection: &str) -> Run {
        let (written, ids, records) = self.written(collection);
        let written = Bytes::from(written);
        let (from, to) = self.offsets.unwrap_or_default();
        Run {
            kind: self.kind,
            count: self.count,
            ids: written.slice(ids..ids + self.ids.len()),
            records: written.slice(records..records + self.records.len()),
            at: self.at,
            from,
            to,
            frame: binary_or_text(self.variant.format, written),
        }
    }
}

fn binary_or_text(format: Format, content: Bytes) -> Frame {
    match format {
        Format::Json => Frame::Text(content),
        Format::MessagePack => Frame::Binary(content),
    }
}

fn put_packed<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let json = serde_json::to_vec(value).unwrap_or_default();
    append_or_nil(out, &json);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_packed(out, text);
}

/// A value that MessagePack cannot hold (it nests too deep) becomes nil.
fn append_or_nil(out: &mut Vec<u8>, json: &[u8]) {
    let before = out.len();
    if pack::append_json(out, json).is_none() {
        out.truncate(before);
        out.push(0xc0);
    }
}

/// Appends one element in a format, behind a comma where that needs one.
fn put_part(out: &mut Vec<u8>, format: Format, put: impl FnOnce(&mut Vec<u8>)) {
    match format {
        Format::Json => {
            if !out.is_empty() {
                out.push(b',');
            }
            put(out);
        }
        Format::MessagePack => {
            let mut json = Vec::new();
            put(&mut json);
            append_or_nil(out, &json);
        }
    }
}

fn event(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Insert => "insert",
        ChangeKind::Update => "update",
        ChangeKind::Delete => "delete",
    }
}

/// The runs of a batch, made once for all connections that read it in the same way.
fn runs(batch: &ChangeBatch, selection: &Selection, variant: Variant, known: &KnownKinds) -> Arc<Vec<Run>> {
    let kinds = || known.of(&batch.collection);
    batch.spelled(variant.number(), selection, || spell_runs(batch, selection, variant, &kinds()))
}

fn spell_runs(
    batch: &ChangeBatch,
    selection: &Selection,
    variant: Variant,
    kinds: &Option<Arc<Kinds>>,
) -> Vec<Run> {
    let mut done = Vec::new();
    let mut growing: Option<Growing> = None;
    for change in batch.selected(selection) {
        if let Some(full) = growing.take_if(|run| !run.takes(change.kind, 0)) {
            done.push(full.finish(&batch.collection));
        }
        growing.get_or_insert_with(|| Growing::new(variant, change.kind, kinds.clone())).push(change);
    }
    if let Some(mut last) = growing {
        // What was not selected is covered too: who resumes need not read it again.
        last.cover(0, last.at, batch.to().0, batch.to().0);
        done.push(last.finish(&batch.collection));
    }
    done
}

/// The notifications of a batch without the message around them, each with the last offset that it covers.
pub(super) fn payloads(
    batch: &ChangeBatch,
    selection: &Selection,
    (values, known): (Values, &KnownKinds),
    mut put: impl FnMut(&[u8], u64),
) {
    for run in runs(batch, selection, Variant { format: Format::Json, values }, known).iter() {
        let message = match &run.frame {
            Frame::Text(message) => message,
            Frame::Binary(_) | Frame::Close { .. } => continue,
        };
        let payload = message.strip_prefix(BEFORE_PAYLOAD).and_then(|rest| rest.strip_suffix(b"}"));
        put(payload.unwrap_or(message), run.to);
    }
}

/// What waits for the window's end.
enum Waiting {
    Changes { batch: Arc<ChangeBatch>, selection: Selection, variant: Variant },
    Frames { of: Arc<str>, frames: Vec<Frame> },
}

impl Waiting {
    fn collection(&self) -> &str {
        match self {
            Self::Changes { batch, .. } => &batch.collection,
            Self::Frames { of, .. } => of,
        }
    }

    fn bytes(&self, known: &KnownKinds) -> usize {
        match self {
            Self::Changes { batch, selection, variant } => {
                runs(batch, selection, *variant, known).iter().map(|run| run.frame.len()).sum()
            }
            Self::Frames { frames, .. } => frames.iter().map(Frame::len).sum(),
        }
    }
}

/// One connection's notifications.
pub(super) struct Notifications {
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
    /// Since when the oldest waits.
    since: Option<Instant>,
    /// Nothing goes out before.
    not_before: Option<Instant>,
    window: Instant,
    sent: usize,
    known: Arc<KnownKinds>,
}

impl Notifications {
    /// Nothing was said yet.
    pub(super) fn new(now: Instant, known: Arc<KnownKinds>) -> Self {
        Self {
            waiting: Vec::new(),
            waiting_bytes: 0,
            since: None,
            not_before: None,
            window: now,
            sent: 0,
            known,
        }
    }

    /// A subscription was confirmed.
    pub(super) fn subscribed(&mut self, now: Instant) {
        self.not_before = Some(now + FIRST_AFTER);
    }

    /// The last subscription of a collection ended: what waits of it is not said any more. Who subscribes again from an
    /// offset would otherwise take it for an answer to that.
    pub(super) fn unsubscribed(&mut self, collection: &str) {
        self.waiting.retain(|waiting| waiting.collection() != collection);
        self.waiting_bytes = self.waiting.iter().map(|waiting| waiting.bytes(&self.known)).sum();
        if self.waiting.is_empty() {
            self.since = None;
        }
    }

    /// The connection heard of something.
    pub(super) fn notice(&mut self, notice: &Notice, variant: Variant, now: Instant, out: &mut Vec<Frame>) {
        match notice {
            Notice::Changes { batch, selection } => self.changes(batch, selection, variant, now, out),
            Notice::Gap { collection, resume } => {
                let gap = wire::Gap { collection: collection.to_string(), offset: resume.0 };
                let frame = spell::message(&wire::ServerMessage::Gap(gap), variant.format);
                self.frames(collection, vec![frame], now, out);
            }
            Notice::Snapshot { collection, records, last } => {
                let kinds = self.known.of(collection);
                let frames = snapshot(collection, records, *last, variant, kinds.as_deref());
                self.frames(collection, frames, now, out);
            }
            Notice::Schema { collection, version, primary_key } => {
                let changed = wire::SchemaChanged {
                    collection: collection.to_string(),
                    version: *version,
                    primary_key_alias: primary_key.to_string(),
                };
                let frame = spell::message(&wire::ServerMessage::SchemaChanged(changed), variant.format);
                self.frames(collection, vec![frame], now, out);
            }
        }
    }

    fn changes(
        &mut self,
        batch: &Arc<ChangeBatch>,
        selection: &Selection,
        variant: Variant,
        now: Instant,
        out: &mut Vec<Frame>,
    ) {
        self.open_window(now);
        if self.may_speak(now) {
            let runs = runs(batch, selection, variant, &self.known);
            if self.sent + runs.len() <= BURST {
                self.sent += runs.len();
                out.extend(runs.iter().map(|run| run.frame.clone()));
                return;
            }
        }
        let selection = selection.clone();
        self.wait(Waiting::Changes { batch: Arc::clone(batch), selection, variant }, now);
    }

    fn frames(&mut self, of: &Arc<str>, frames: Vec<Frame>, now: Instant, out: &mut Vec<Frame>) {
        self.open_window(now);
        if self.may_speak(now) {
            self.sent += frames.len();
            out.extend(frames);
        } else {
            self.wait(Waiting::Frames { of: Arc::clone(of), frames }, now);
        }
    }

    fn open_window(&mut self, now: Instant) {
        if now >= self.window + WINDOW {
            self.window = now;
            self.sent = 0;
        }
    }

    fn may_speak(&self, now: Instant) -> bool {
        self.waiting.is_empty() && self.not_before.is_none_or(|at| at <= now)
    }

    fn wait(&mut self, waiting: Waiting, now: Instant) {
        self.since.get_or_insert(now);
        self.waiting_bytes += waiting.bytes(&self.known);
        self.waiting.push(waiting);
    }

    /// Whether more may come: enough waits already.
    pub(super) fn takes_more(&self) -> bool {
        self.waiting_bytes < WAITING_BYTES
    }

    /// When something that waits is to go out.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let since = self.since?;
        let window = if self.sent == 0 { since } else { self.window + WINDOW };
        let at = self.not_before.map_or(window, |at| at.max(window));
        Some(at.min(since + WINDOW))
    }

    /// The deadline may have passed.
    pub(super) fn tick(&mut self, now: Instant, out: &mut Vec<Frame>) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.flush(now, out);
        }
    }

    fn flush(&mut self, now: Instant, out: &mut Vec<Frame>) {
        let before = out.len();
        let mut merging: IndexMap<Arc<str>, Merging> = IndexMap::new();
        for waiting in self.waiting.drain(..) {
            match waiting {
                Waiting::Changes { batch, selection, variant } => {
                    let key = Arc::clone(&batch.collection);
                    merging.entry(key).or_default().push((batch, selection, variant));
                }
                Waiting::Frames { frames, .. } => {
                    write_all(&mut merging, &self.known, out);
                    out.extend(frames);
                }
            }
        }
        write_all(&mut merging, &self.known, out);
        self.waiting = Vec::new();
        self.waiting_bytes = 0;
        self.since = None;
        self.not_before = None;
        self.window = now;
        self.sent = out.len() - before;
    }
}

/// Batches of one collection, in order.
type Merging = Vec<(Arc<ChangeBatch>, Selection, Variant)>;

fn write_all(merging: &mut IndexMap<Arc<str>, Merging>, known: &KnownKinds, out: &mut Vec<Frame>) {
    for (collection, batches) in merging.drain(..) {
        write_merged(&collection, &batches, known, out);
    }
}

fn write_merged(collection: &str, batches: &Merging, known: &KnownKinds, out: &mut Vec<Frame>) {
    let runs: Vec<Arc<Vec<Run>>> =
        batches.iter().map(|(batch, selection, variant)| runs(batch, selection, *variant, known)).collect();
    let Some((_, _, variant)) = batches.last() else { return };
    let runs: Vec<&Run> = runs.iter().flat_map(|runs| runs.iter()).collect();
    let groups = grouped(&runs);
    if groups.len() > MERGED_FRAMES {
        return write_records(collection, batches, *variant, known.of(collection), out);
    }
    for group in groups {
        match group {
            [alone] => out.push(alone.frame.clone()),
            several => {
                let mut merged = Growing::new(*variant, several[0].kind, None); // written already
                several.iter().for_each(|run| merged.append(run));
                out.push(merged.frame(collection));
            }
        }
    }
}

/// Adjacent runs that make one frame.
fn grouped<'a, 'b>(runs: &'b [&'a Run]) -> Vec<&'b [&'a Run]> {
    let mut groups = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (place, run) in runs.iter().enumerate() {
        let size = run.ids.len() + run.records.len();
        if place > start && (runs[start].kind != run.kind || bytes + size > FRAME_BYTES) {
            groups.push(&runs[start..place]);
            (start, bytes) = (place, 0);
        }
        bytes += size;
    }
    if start < runs.len() {
        groups.push(&runs[start..]);
    }
    groups
}

/// What became of each record: at most one frame a kind, or as many as their size needs. Only the last one says
/// offsets, because only with it everything up to there was told.
fn write_records(
    collection: &str,
    batches: &Merging,
    variant: Variant,
    kinds: Option<Arc<Kinds>>,
    out: &mut Vec<Frame>,
) {
    let mut net: IndexMap<&str, (bool, &Change)> = IndexMap::new();
    let changes = batches.iter().flat_map(|(batch, selection, _)| batch.selected(selection));
    for change in changes {
        net.entry(&change.id.0).or_insert((change.before.is_some(), change)).1 = change;
    }
    let mut growing = Vec::new();
    for kind in [ChangeKind::Insert, ChangeKind::Update, ChangeKind::Delete] {
        let mut one: Option<Growing> = None;
        for (existed, change) in net.values().filter(|(existed, change)| net_kind(*existed, change) == kind) {
            debug_assert_eq!(net_kind(*existed, change), kind);
            if let Some(full) = one.take_if(|run| !run.takes(kind, 0)) {
                growing.push(full);
            }
            one.get_or_insert_with(|| Growing::new(variant, kind, kinds.clone())).push(change);
        }
        growing.extend(one);
    }
    let first = batches.first().map_or(0, |(batch, ..)| batch.after().0 + 1);
    let last = batches.last().map_or(0, |(batch, ..)| batch.to().0);
    let count = growing.len();
    for (place, mut run) in growing.into_iter().enumerate() {
        run.offsets = (place + 1 == count).then_some((first, last));
        out.push(run.frame(collection));
    }
}

fn net_kind(existed: bool, change: &Change) -> ChangeKind {
    match (existed, &change.after) {
        (_, None) => ChangeKind::Delete,
        (true, Some(_)) => ChangeKind::Update,
        (false, Some(_)) => ChangeKind::Insert,
    }
}

/// Records after a gap, in frames of bounded size.
fn snapshot(
    collection: &str,
    records: &[Record],
    last: bool,
    variant: Variant,
    kinds: Option<&Kinds>,
) -> Vec<Frame> {
    let mut pieces: Vec<Vec<u8>> = vec![Vec::new()];
    for record in records {
        let mut written = Vec::new();
        typed::put_record(&mut written, record, Manner::new(variant.values, kinds));
        match pieces.last_mut() {
            Some(piece) if piece.is_empty() => *piece = written,
            Some(piece) if piece.len() + written.len() < FRAME_BYTES => {
                piece.push(b',');
                piece.extend(written);
            }
            Some(_) | None => pieces.push(written),
        }
    }
    let count = pieces.len();
    let frame = |(place, piece): (usize, Vec<u8>)| {
        let mut out = b"{\"type\":\"Snapshot\",\"payload\":{\"collection\":".to_vec();
        put_json(&mut out, collection);
        out.extend_from_slice(b",\"records\":[");
        out.extend(piece);
        out.extend_from_slice(b"],\"last\":");
        put_json(&mut out, &(last && place + 1 == count));
        out.extend_from_slice(b"}}");
        spell::frame(out, variant.format)
    };
    pieces.into_iter().enumerate().map(frame).collect()
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
