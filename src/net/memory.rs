//! Services of this process, reached by name over in-memory pipes.
//!
//! No socket is involved, so a paused clock holds from end to end, and the scripted provider needs no port.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::io::DuplexStream;

/// Takes the server's end of a new connection; returns at once (it starts a task for the rest).
pub type Acceptor = Arc<dyn Fn(DuplexStream) + Send + Sync>;

/// What either end may write before the other reads: one read of hyper's at its largest.
const PIPE_BYTES: usize = 64 * 1024;

/// Named services. Clones share one registry.
#[derive(Clone, Default)]
pub struct MemoryNet {
    services: Arc<RwLock<HashMap<Box<str>, Acceptor>>>,
}

impl MemoryNet {
    /// A registry without services.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a service under a name, in place of the one that had it.
    pub fn register(&self, name: &str, acceptor: Acceptor) {
        self.services.write().insert(name.into(), acceptor);
    }

    /// Takes a service away; connections that it has stay open. Says whether there was one.
    pub fn unregister(&self, name: &str) -> bool {
        self.services.write().remove(name).is_some()
    }

    /// Connects to a service; [`io::ErrorKind::NotFound`] where no service has the name.
    pub fn connect(&self, name: &str) -> io::Result<DuplexStream> {
        let acceptor = self.services.read().get(name).cloned().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("no in-memory service named `{name}`"))
        })?;
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        // Called without the lock: an acceptor may register services of its own.
        acceptor(theirs);
        Ok(ours)
    }
}

impl fmt::Debug for MemoryNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.services.read().keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_clone_reaches_what_was_registered_with_the_other() {
        let net = MemoryNet::new();
        let accepted = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&accepted);
        net.clone().register("echo", Arc::new(move |pipe| *keep.lock() = Some(pipe)));

        let mut ours = net.connect("echo").unwrap();
        let mut theirs = accepted.lock().take().unwrap();

        ours.write_all(b"ping").await.unwrap();
        let mut read = [0; 4];
        theirs.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"ping");
    }

    #[test]
    fn a_name_without_a_service_is_not_found() {
        let net = MemoryNet::new();
        net.register("a", Arc::new(drop));
        assert!(net.unregister("a"));
        assert!(!net.unregister("a"));
        assert_eq!(net.connect("a").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
