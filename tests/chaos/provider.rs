//! Three scripted providers on sockets of their own.

use std::net::SocketAddr;
use std::sync::Arc;

use egret::mock::Mock;
use egret::tasks::Tasks;
use tokio::net::TcpListener;

use crate::weather::Weather;

/// How many there are.
pub(crate) const PROVIDERS: usize = 3;

/// One provider.
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    pub(crate) weather: Arc<Weather>,
    connections: Tasks,
}

impl Provider {
    /// Starts the provider of this number.
    pub(crate) async fn start(number: usize, seed: u64, tasks: &Tasks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Tasks::new());
        let weather = Arc::new(Weather::new(seed, number));
        let (faults, accepted) = (Arc::clone(&weather), connections.clone());
        let mock = Mock::new(move || faults.next());
        tasks.spawn("provider", async move {
            while let Ok((socket, _)) = listener.accept().await {
                let mock = mock.clone();
                let _ = socket.set_nodelay(true);
                accepted.spawn("connection", async move { mock.serve(socket).await });
            }
        });
        Self { address, weather, connections }
    }

    /// Starts all of them; those of the same seed do the same.
    pub(crate) async fn all(seed: u64, tasks: &Tasks) -> Vec<Self> {
        let mut all = Vec::new();
        for number in 1..=PROVIDERS {
            all.push(Self::start(number, seed, tasks).await);
        }
        all
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.connections.running()
    }
}
