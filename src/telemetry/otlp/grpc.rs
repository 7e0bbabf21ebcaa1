//! Requests to a backend over gRPC, by tonic; the message is bytes already.

use std::error::Error as _;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::codec::{BufferSettings, Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use super::OtlpError;
use super::export::{Refused, rejected};
use super::target::Target;
use crate::net::tls::LazyTls;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(3);

/// A connection to a backend, opened with the first request.
pub(super) struct Grpc {
    channel: Channel,
    method: PathAndQuery,
    metadata: MetadataMap,
    gzip: bool,
}

impl Grpc {
    pub(super) fn new(target: &Target, tls: &LazyTls) -> Result<Self, OtlpError> {
        let mut endpoint = Endpoint::from_shared(target.endpoint.to_string())?.connect_timeout(CONNECT);
        if target.endpoint.is_tls() {
            endpoint = endpoint.tls_config(trust(tls))?;
        }
        let method = target.path.path_and_query().cloned();
        Ok(Self {
            channel: endpoint.connect_lazy(),
            method: method.unwrap_or_else(|| PathAndQuery::from_static("/")),
            metadata: MetadataMap::from_headers(target.headers.clone()),
            gzip: target.gzip,
        })
    }

    /// Sends a request; gives how many spans of it were rejected.
    pub(super) async fn export(&self, request: &Bytes) -> Result<u64, Refused> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        if self.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        client.ready().await.map_err(|error| Refused::ForNow(error.to_string(), None))?;
        let mut request = Request::new(request.clone());
        *request.metadata_mut() = self.metadata.clone();
        let answer =
            client.unary(request, self.method.clone(), Raw).await.map_err(|status| refused(&status))?;
        rejected(&answer.into_inner())
    }
}

/// The system's roots and those of `--extra-ca`, as providers are trusted.
pub(super) fn trust(tls: &LazyTls) -> ClientTlsConfig {
    ClientTlsConfig::new().with_native_roots().trust_anchors(tls.extra_anchors())
}

/// The codes that OTLP's specification calls retryable. What the backend says is not repeated: it may quote what it was
/// sent.
fn refused(status: &Status) -> Refused {
    // A status that has a cause is tonic's word for a connection that broke, as of a backend that starts anew: mostly
    // `Unknown`, which from a backend is final.
    if status.source().is_some() {
        return Refused::ForNow("the connection to the backend broke".to_owned(), None);
    }
    let said = format!("the backend answered {:?}", status.code());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Refused::ForNow(said, None),
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal
        | Code::Unauthenticated => Refused::ForGood(said),
    }
}

/// Messages as bytes, both ways.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, Uri};
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::net::endpoint;
    use crate::telemetry::otlp::Wire;

    #[tokio::test]
    async fn a_connection_that_breaks_under_a_request_is_worth_another_try() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target {
            wire: Wire::Grpc,
            endpoint: endpoint::Endpoint::parse(&format!("http://{}", listener.local_addr().unwrap()))
                .unwrap(),
            path: Uri::from_static("/service/Export"),
            headers: HeaderMap::new(),
            gzip: false,
            timeout: Duration::from_secs(10),
        };
        let backend = Grpc::new(&target, &LazyTls::new(None).unwrap()).unwrap();
        let breaks = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut read = Vec::new();
            while !read.windows(5).any(|bytes| bytes == b"spans") {
                assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0, "the request comes");
            }
        };
        let request = Bytes::from_static(b"spans");
        let (result, ()) = tokio::join!(backend.export(&request), breaks);
        let refused = result.unwrap_err();
        assert!(matches!(refused, Refused::ForNow(..)), "{refused:?}");
    }
}
