//! The sockets that are listened on: bound here, or inherited from whoever listened before. An inherited socket goes from
//! one process to the next with everything that is queued at it, which no binding anew can do: what is queued at a socket
//! is reset when it is closed.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::limits::ACCEPT_BACKLOG;

/// The name under which the probes' socket is handed over.
const HEALTH: &str = "health";

/// The name under which the operators' socket is handed over.
const ADMIN: &str = "admin";

/// Sockets that somebody else opened: systemd, or whoever replaces one process by the next.
#[derive(Debug, Default)]
pub struct InheritedSockets {
    pub(crate) public: Vec<Listener>,
    pub(crate) health: Option<Listener>,
    pub(crate) admin: Option<Listener>,
}

/// Why an inherited socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// It is not one that accepts TCP connections.
    #[error(
        "the inherited socket {name:?} does not listen for TCP connections\nhint: hand over `ListenStream=` sockets with a \
         port, and `Accept=no`"
    )]
    NotListening {
        /// Its name.
        name: String,
    },
    /// The system does not say what it is.
    #[error("the inherited socket {name:?} cannot be used: {source}")]
    Unusable {
        /// Its name.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// Two have a name of which there can be one.
    #[error("there are two inherited sockets {name:?}\nhint: hand over one; several may be public ones")]
    Twice {
        /// Their name.
        name: &'static str,
    },
}

/// A socket that accepts connections, and its address.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    is_inherited: bool,
}

impl InheritedSockets {
    /// Sorts sockets by their names: `health` and `admin` are the private listeners', all others are public.
    ///
    /// # Errors
    /// If one of them does not listen for TCP connections, or is there twice.
    pub fn of(named: Vec<(String, TcpListener)>) -> Result<Self, InheritError> {
        let mut inherited = Self::default();
        for (name, socket) in named {
            let listener = Listener::inherit(&name, socket)?;
            let (place, name) = match name.as_str() {
                HEALTH => (&mut inherited.health, HEALTH),
                ADMIN => (&mut inherited.admin, ADMIN),
                _ => {
                    inherited.public.push(listener);
                    continue;
                }
            };
            if place.replace(listener).is_some() {
                return Err(InheritError::Twice { name });
            }
        }
        Ok(inherited)
    }
}

impl Listener {
    fn inherit(name: &str, socket: TcpListener) -> Result<Self, InheritError> {
        let unusable = |source| InheritError::Unusable { name: name.to_owned(), source };
        let not_listening = || InheritError::NotListening { name: name.to_owned() };
        let address = SockRef::from(&socket).local_addr().map_err(unusable)?;
        let address = address.as_socket().ok_or_else(not_listening)?;
        if !accepts(&socket).map_err(unusable)? {
            return Err(not_listening());
        }
        socket.set_nonblocking(true).map_err(unusable)?;
        Ok(Self { socket, address, is_inherited: true })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether another process may go on listening on it.
    pub(crate) fn is_inherited(&self) -> bool {
        self.is_inherited
    }

    /// The socket, for the runtime that accepts from it.
    pub(crate) fn into_socket(self) -> TcpListener {
        self.socket
    }
}

#[cfg(unix)]
fn accepts(socket: &TcpListener) -> io::Result<bool> {
    SockRef::from(socket).is_listener()
}

#[cfg(not(unix))]
fn accepts(_: &TcpListener) -> io::Result<bool> {
    Ok(true)
}

/// Binds an address; port 0 takes a free one.
pub(crate) fn bind(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of the process before, which the system still remembers, do not keep this one from starting. On
    // Windows the option would let two processes have one port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(ACCEPT_BACKLOG)?;
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from(socket);
    let address = socket.local_addr()?;
    Ok(Listener { socket, address, is_inherited: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening() -> TcpListener {
        TcpListener::bind(("127.0.0.1", 0)).expect("a port")
    }

    #[test]
    fn sockets_are_sorted_by_their_names() {
        let names = ["firegate.socket", "health", "unknown"];
        let named = names.map(|name| (name.to_owned(), listening()));
        let addresses = named.each_ref().map(|(_, socket)| socket.local_addr().expect("an address"));
        let inherited = InheritedSockets::of(named.into()).expect("they listen");
        let public = inherited.public.iter().map(Listener::address).collect::<Vec<_>>();
        assert_eq!(public, [addresses[0], addresses[2]]);
        assert_eq!(inherited.health.map(|health| health.address()), Some(addresses[1]));
        assert!(inherited.admin.is_none());
    }

    #[test]
    fn two_sockets_of_one_name_are_refused() {
        let named = ["admin", "admin"].map(|name| (name.to_owned(), listening()));
        let refused = InheritedSockets::of(named.into()).expect_err("one is too many");
        assert!(matches!(refused, InheritError::Twice { name: "admin" }), "{refused}");
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_that_accepts_nothing_is_refused() {
        let bound = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
        bound.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
        let refused = InheritedSockets::of(vec![("public".to_owned(), bound.into())]).expect_err("it is");
        assert!(matches!(&refused, InheritError::NotListening { name } if name == "public"), "{refused}");
    }

    #[test]
    fn a_taken_port_is_not_bound_again() {
        let first = bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let refused = bind(first.address()).expect_err("it is taken");
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }
}
