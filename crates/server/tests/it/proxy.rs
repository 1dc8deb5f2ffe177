//! A line between client and server that can be made worse: delayed, slow, cut inside a frame, silent without an end,
//! or overtaken by the next one.
//!
//! It knows just enough of RFC 6455 to say where a frame begins and ends. What a link suffers is planned when it is
//! made; [`Proxy::cut`] and [`Proxy::silence`] befall the links that stand.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// So many pieces are under way in each direction; who sends more has to wait.
const UNDER_WAY: usize = 64;
/// How long a link that was cut goes on listening to what its client still says.
const LAST_WORDS: Duration = Duration::from_millis(50);
/// How long what a client said last may be held back.
const HELD: Duration = Duration::from_secs(5);

/// Enough chance for a test, and the same for the same seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What a link suffers; usually nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// How long each piece takes, either way.
    pub(crate) delay: Duration,
    /// So many bytes a second reach the client; more of them wait at the server.
    pub(crate) bytes_a_second: Option<u32>,
    /// Where it is cut.
    pub(crate) cut: Option<Cut>,
    /// When it is cut, what the client said last reaches the server behind the first words of the next link.
    pub(crate) late: bool,
}

/// Where a link is cut: at the first fitting byte behind so many that followed the upgrade.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cut {
    pub(crate) after: u64,
    /// Inside a frame; else between two.
    pub(crate) inside: bool,
    /// By what the client says; else by what the server says.
    pub(crate) upward: bool,
}

/// What all links share.
struct Shared {
    links: AtomicUsize,
    cuts: AtomicUsize,
    inside: AtomicUsize,
    late: AtomicUsize,
    /// Nothing is cut by plan any more.
    calm: AtomicBool,
    cut: Notify,
    /// Links up to this number are silent.
    silent: watch::Sender<usize>,
    /// The highest number of a link that has spoken behind its upgrade.
    spoken: watch::Sender<usize>,
}

/// The line.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A line that does no harm unless it is told to.
    pub(crate) async fn before(server: SocketAddr) -> Self {
        Self::with(server, |_| Faults::default()).await
    }

    /// A line whose links, which are counted from 1, suffer what is planned for them.
    pub(crate) async fn with(server: SocketAddr, plan: impl FnMut(usize) -> Faults + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            links: AtomicUsize::new(0),
            cuts: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            late: AtomicUsize::new(0),
            calm: AtomicBool::new(false),
            cut: Notify::new(),
            silent: watch::Sender::new(0),
            spoken: watch::Sender::new(0),
        });
        tokio::spawn(accept(listener, server, Arc::clone(&shared), plan));
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many links there were so far.
    pub(crate) fn links(&self) -> usize {
        self.shared.links.load(Ordering::Relaxed)
    }

    /// Cuts by plan, and those of them inside a frame.
    pub(crate) fn cuts(&self) -> (usize, usize) {
        (self.shared.cuts.load(Ordering::Relaxed), self.shared.inside.load(Ordering::Relaxed))
    }

    /// How often last words came behind the next link's first.
    pub(crate) fn late(&self) -> usize {
        self.shared.late.load(Ordering::Relaxed)
    }

    /// Cuts all links that stand.
    pub(crate) fn cut(&self) {
        self.shared.cut.notify_waiters();
    }

    /// Nothing passes any more on the links that stand, and nobody is told that one end has left.
    pub(crate) fn silence(&self) {
        self.shared.silent.send_replace(self.links());
    }

    /// From now on nothing is cut by plan.
    pub(crate) fn calm(&self) {
        self.shared.calm.store(true, Ordering::Relaxed);
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    shared: Arc<Shared>,
    mut plan: impl FnMut(usize) -> Faults + Send + 'static,
) {
    while let Ok((client, _)) = listener.accept().await {
        let number = shared.links.fetch_add(1, Ordering::Relaxed) + 1;
        let link = Link { number, faults: plan(number), shared: Arc::clone(&shared) };
        // A server that is gone refuses; the client's connection is dropped then.
        tokio::spawn(async move {
            let cut = link.shared.cut.notified();
            if let Ok(server) = TcpStream::connect(server).await {
                tokio::select! {
                    () = link.carry(client, server) => {}
                    () = cut => {}
                }
            }
        });
    }
}

/// How one direction ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Gone,
    Cut,
}

struct Link {
    number: usize,
    faults: Faults,
    shared: Arc<Shared>,
}

impl Link {
    async fn carry(&self, client: TcpStream, server: TcpStream) {
        // What is passed on piece by piece must not wait for more.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let end = tokio::select! {
            end = self.pump(&mut from_client, &mut to_server, true) => end,
            end = self.pump(&mut from_server, &mut to_client, false) => end,
        };
        if end == End::Cut && self.faults.late {
            let mut words = vec![0; 64 * 1024];
            let read = timeout(LAST_WORDS, from_client.read(&mut words)).await;
            drop((from_client, to_client));
            if let Ok(Ok(read @ 1..)) = read {
                self.say_late(&words[..read], from_server, to_server).await;
            }
        }
    }

    /// Passes last words on when the next link has spoken.
    async fn say_late(&self, words: &[u8], mut from_server: OwnedReadHalf, mut to_server: OwnedWriteHalf) {
        let mut spoken = self.shared.spoken.subscribe();
        let next = timeout(HELD, spoken.wait_for(|number| *number > self.number)).await.is_ok();
        if !next || to_server.write_all(words).await.is_err() {
            return;
        }
        self.shared.late.fetch_add(1, Ordering::Relaxed);
        // The server may answer; closing with unread bytes would take its words back.
        let mut answer = [0; 4096];
        while let Ok(Ok(1..)) = timeout(LAST_WORDS, from_server.read(&mut answer)).await {}
    }

    async fn pump(&self, from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, upward: bool) -> End {
        let (sender, receiver) = mpsc::channel(UNDER_WAY);
        let (end, ()) = tokio::join!(self.read(from, sender, upward), self.write(to, receiver, upward));
        end
    }

    async fn read(
        &self,
        from: &mut OwnedReadHalf,
        pieces: mpsc::Sender<(Instant, Vec<u8>)>,
        upward: bool,
    ) -> End {
        let mut frames = Frames::default();
        let mut buffer = [0; 4096];
        let cut = self.faults.cut.filter(|cut| cut.upward == upward);
        loop {
            let read = from.read(&mut buffer).await.unwrap_or(0);
            if *self.shared.silent.borrow() >= self.number {
                return pending().await;
            }
            if read == 0 {
                return End::Gone;
            }
            let place = frames.pass(&buffer[..read], cut);
            if upward && frames.count > 0 {
                self.shared.spoken.send_if_modified(|spoken| {
                    let is_newer = self.number > *spoken;
                    *spoken = self.number.max(*spoken);
                    is_newer
                });
            }
            let end = place.filter(|_| !self.shared.calm.load(Ordering::Relaxed));
            let piece = buffer[..end.unwrap_or(read)].to_vec();
            if pieces.send((Instant::now() + self.faults.delay, piece)).await.is_err() {
                return End::Gone;
            }
            if end.is_some() {
                self.shared.cuts.fetch_add(1, Ordering::Relaxed);
                let inside = cut.is_some_and(|cut| cut.inside);
                self.shared.inside.fetch_add(usize::from(inside), Ordering::Relaxed);
                return End::Cut;
            }
        }
    }

    async fn write(
        &self,
        to: &mut OwnedWriteHalf,
        mut pieces: mpsc::Receiver<(Instant, Vec<u8>)>,
        upward: bool,
    ) {
        while let Some((due, piece)) = pieces.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
            if let Some(rate) = self.faults.bytes_a_second.filter(|_| !upward) {
                sleep(Duration::from_secs_f64(piece.len() as f64 / f64::from(rate))).await;
            }
        }
    }
}

/// Where a stream of frames is, in either direction.
#[derive(Default)]
struct Frames {
    /// The upgrade is over.
    upgraded: bool,
    /// The bytes of the upgrade so far.
    head: Vec<u8>,
    /// The frame's header so far.
    header: Vec<u8>,
    /// Bytes of its mask and payload that are to come.
    left: u64,
    /// Bytes behind the upgrade so far.
    count: u64,
}

impl Frames {
    /// Follows these bytes. How many of them pass before the cut, if it lies in them.
    fn pass(&mut self, bytes: &[u8], cut: Option<Cut>) -> Option<usize> {
        for (place, byte) in bytes.iter().enumerate() {
            self.take(*byte);
            let within = !self.header.is_empty() || self.left > 0;
            if self.upgraded && cut.is_some_and(|cut| self.count >= cut.after && within == cut.inside) {
                return Some(place + 1);
            }
        }
        None
    }

    fn take(&mut self, byte: u8) {
        if !self.upgraded {
            self.head.push(byte);
            self.upgraded = self.head.ends_with(b"\r\n\r\n");
            return;
        }
        self.count += 1;
        if self.left > 0 {
            self.left -= 1;
            return;
        }
        self.header.push(byte);
        let [_, second, rest @ ..] = &self.header[..] else { return };
        let length = match (second & 0x7f, rest) {
            (126, [high, low]) => u64::from(*high) << 8 | u64::from(*low),
            (127, [_, _, _, _, _, _, _, _]) => rest.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            (126 | 127, _) => return,
            (length, _) => u64::from(length),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        self.header.clear();
        self.left = mask + length;
    }
}

const HEAD: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

fn stream(frames: &[&[u8]]) -> Vec<u8> {
    [&[HEAD], frames].concat().concat()
}

#[test]
fn a_cut_is_inside_a_frame_or_between_two() {
    let plain: &[u8] = &[0x81, 3, b'a', b'b', b'c'];
    let masked: &[u8] = &[0x81, 0x83, 1, 2, 3, 4, b'a', b'b', b'c'];
    let empty: &[u8] = &[0x89, 0];
    for (frames, after, inside, expected) in [
        ([plain, plain], 1, false, Some(5)),
        ([plain, plain], 1, true, Some(1)),
        ([plain, plain], 5, true, Some(6)),
        ([masked, plain], 1, false, Some(9)),
        ([empty, masked], 2, true, Some(3)),
        ([empty, masked], 99, true, None),
    ] {
        let mut seen = Frames::default();
        let place = seen.pass(&stream(&frames), Some(Cut { after, inside, upward: false }));
        assert_eq!(place.map(|place| place - HEAD.len()), expected, "{frames:?} after {after}");
    }
}
