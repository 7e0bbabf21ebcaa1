//! The listening socket. One is bound and cloned for every worker; `SO_REUSEPORT` is not used: under it a second
//! process of the same user would silently take half of the calls, and closing one worker's socket would reset
//! the connections that wait on it.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections the kernel holds until a worker accepts them (it caps this at `net.core.somaxconn`).
const BACKLOG: i32 = 1024;

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process, or another listener of this one, has the address.
    #[error("cannot listen on {0}: another process already does")]
    InUse(SocketAddr),
    /// The system refused it.
    #[error("cannot listen on {address}")]
    Refused {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        cause: io::Error,
    },
}

/// Binds and listens. Port 0 picks a free port: ask the listener's `local_addr`. `[::]` listens on IPv4 too.
///
/// The listener is non-blocking, ready for `tokio::net::TcpListener::from_std`; clone it (`try_clone`) for every
/// worker. The kernel closes the socket when the last clone is dropped.
///
/// # Errors
/// The address is in use, not of this machine, or not permitted.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    listen(address).map_err(|cause| {
        if cause.kind() == io::ErrorKind::AddrInUse {
            BindError::InUse(address)
        } else {
            BindError::Refused { address, cause }
        }
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Connections of a process that just ended linger in TIME_WAIT; without this a restart would be refused.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_zero_picks_a_port_and_clones_share_it() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        assert_ne!(address.port(), 0);
        assert_eq!(listener.try_clone().unwrap().local_addr().unwrap(), address);
    }

    #[test]
    fn an_address_in_use_is_an_error_that_names_it() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address).unwrap_err();
        assert!(matches!(error, BindError::InUse(a) if a == address));
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }

    #[test]
    fn a_closed_listener_gives_its_address_back() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        drop(first);
        bind(address).unwrap();
    }

    #[test]
    fn an_address_of_another_machine_is_refused_with_its_cause() {
        // TEST-NET-1 (RFC 5737): nobody's.
        let error = bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
        assert!(matches!(error, BindError::Refused { .. }));
        assert!(std::error::Error::source(&error).is_some());
    }
}
