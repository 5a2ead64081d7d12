//! The process at the other end of a connection.
//!
//! osquery alone has reason to ask an extension: `osqueryi --connect` asks osquery, which asks us. Whoever else may open
//! the socket is answered as well, after osquery.

use std::os::unix::net::UnixStream;

/// Its number; none where the system does not tell. It is that of who connected, or of who listens.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn process(stream: &UnixStream) -> Option<i32> {
    let peer = rustix::net::sockopt::socket_peercred(stream).ok()?;
    Some(peer.pid.as_raw_nonzero().get())
}

/// Its number; none where the system does not tell. It is that of who used the other end last.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn process(stream: &UnixStream) -> Option<i32> {
    use nix::sys::socket::{getsockopt, sockopt::LocalPeerPid};

    getsockopt(stream, LocalPeerPid)
        .ok()
        .filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;

    #[test]
    fn either_end_tells_the_process_of_the_other() {
        let (one, other) = UnixStream::pair().unwrap();
        let own = i32::try_from(process::id()).ok();
        assert_eq!([super::process(&one), super::process(&other)], [own; 2]);
    }
}
