//! A TCP relay that can interrupt a connection: close it at once, or hold back all data without an error.
//!
//! Data that was held back arrives once the relay is open again, however late, as on a real network.

use parking_lot::Mutex;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// The target of a relay.
#[derive(Debug, Clone)]
pub enum Target {
    /// A port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// The state of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// All data passes.
    Open,
    /// Existing and new connections are closed.
    Closed,
    /// No data passes, and no side gets an error.
    Swallowing,
}

/// A relay. Dropping it closes all connections.
pub struct Relay {
    address: SocketAddr,
    /// Its state, and how often all connections were closed.
    line: watch::Sender<State>,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    line: Line,
    closings: u64,
}

struct Shared {
    target: Mutex<Target>,
    /// The text of a request to hold back, and whether one is held back.
    held: watch::Sender<Held>,
}

#[derive(Debug, Clone, Default)]
struct Held {
    part: Option<String>,
    caught: bool,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Relay {
    /// An open relay to `target`.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn to(target: Target) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it has an address");
        let (line, _) = watch::channel(State { line: Line::Open, closings: 0 });
        let shared = Arc::new(Shared { target: Mutex::new(target), held: watch::channel(Held::default()).0 });
        let (state, of_all) = (line.subscribe(), shared.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if state.borrow().line != Line::Closed {
                    tokio::spawn(pass(client, of_all.clone(), state.clone()));
                }
            }
        });
        Self { address, line, shared, accepting }
    }

    /// The address that processes connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets its state.
    pub fn set(&self, line: Line) {
        self.line.send_modify(|state| {
            state.line = line;
            state.closings += u64::from(line == Line::Closed);
        });
    }

    /// Closes all connections; later ones go to another target.
    pub fn lead_to(&self, target: Target) {
        *self.shared.target.lock() = target;
        self.set(Line::Closed);
        self.set(Line::Open);
    }

    /// Holds back the next request with `part` in its first line or headers.
    pub fn hold(&self, part: &str) {
        self.shared.held.send_replace(Held { part: Some(part.to_owned()), caught: false });
    }

    /// Waits until a request is held back.
    pub async fn until_held(&self) {
        let _ = self.shared.held.subscribe().wait_for(|h| h.caught).await;
    }

    /// Lets the request that is held back pass.
    pub fn release(&self) {
        self.shared.held.send_replace(Held::default());
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(mut client: TcpStream, shared: Arc<Shared>, state: watch::Receiver<State>) {
    // While data is held back, no new connection is made either, without an error.
    let born = state.borrow().closings;
    if !opens(&mut state.clone(), born).await {
        return;
    }
    let target = shared.target.lock().clone();
    let server: Box<dyn Stream> = match target {
        Target::Tcp(address) => match TcpStream::connect(address).await {
            Ok(stream) => Box::new(stream),
            Err(_) => return,
        },
        Target::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => Box::new(stream),
            Err(_) => return,
        },
    };
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = tokio::io::split(server);
    // When one end closes, close the other.
    tokio::select! {
        () = one_way(from_client, to_server, Some(&shared), (state.clone(), born)) => {}
        () = one_way(from_server, to_client, None, (state, born)) => {}
    }
}

/// Waits while data is held back. `false`: the relay was closed.
async fn opens(state: &mut watch::Receiver<State>, born: u64) -> bool {
    let decided = state.wait_for(|s| s.closings != born || s.line != Line::Swallowing).await;
    decided.is_ok_and(|s| s.closings == born)
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    asks: Option<&Shared>,
    (mut state, born): (watch::Receiver<State>, u64),
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(n) if n > 0 => n,
                _ => return,
            },
            changed = state.wait_for(|s| s.closings != born) => {
                drop(changed);
                return;
            }
        };
        if let Some(shared) = asks {
            let mut caught = false;
            shared.held.send_if_modified(|held| {
                caught = !held.caught && held.part.as_ref().is_some_and(|p| contains(&buffer[..n], p.as_bytes()));
                held.caught |= caught;
                caught
            });
            if caught {
                let _ = shared.held.subscribe().wait_for(|held| !held.caught).await;
            }
        }
        if !opens(&mut state, born).await || to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len().max(1)).any(|w| w == part)
}
