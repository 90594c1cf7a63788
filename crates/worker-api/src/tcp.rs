//! Options of the TCP connections between a control plane and its workers.

use socket2::{SockRef, TcpKeepalive};
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a connection may be silent until the other machine is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(10);
/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// After so many questions without an answer the connection is broken.
const QUESTIONS: u32 = 4;
/// How long sent data may stay unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// For the side that sends requests: the same as [`tune`], and sent data must be acknowledged within 30 seconds.
pub fn tune_client(tcp: &TcpStream) {
    tune(tcp);
    #[cfg(target_os = "linux")]
    let _ = SockRef::from(tcp).set_tcp_user_timeout(Some(UNACKNOWLEDGED));
}

/// Sends small messages at once, and breaks the connection 30 seconds after the other machine has vanished.
///
/// A server that is frozen, or cut off from the network, closes nothing: without this, a request to it ends when its
/// time is over, minutes later. A busy machine acknowledges as always, so that a long answer is never cut off. The side
/// that sends answers sets no limit for acknowledgements: a client may read slowly.
///
/// What the system does not support is left as it is: the connection works without it.
pub fn tune(tcp: &TcpStream) {
    let _ = tcp.set_nodelay(true);
    let socket = SockRef::from(tcp);
    let keepalive = TcpKeepalive::new().with_time(QUIET).with_interval(ASK_EVERY).with_retries(QUESTIONS);
    let _ = socket.set_tcp_keepalive(&keepalive);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_breaks_soon_after_the_other_machine_has_vanished() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        tune_client(&tcp);
        let socket = SockRef::from(&tcp);
        assert!(tcp.nodelay().unwrap() && socket.keepalive().unwrap());
        let silent = socket.tcp_keepalive_time().unwrap()
            + socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
        assert_eq!(silent, Duration::from_secs(30));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(30)));
    }
}
