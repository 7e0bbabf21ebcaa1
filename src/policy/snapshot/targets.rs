//! The request targets of a model's operations: joined once, so that a call copies nothing.

use http::Uri;
use smallvec::SmallVec;

use crate::dialect::{Api, Dialect, paths};
use crate::net::endpoint::Endpoint;

/// Where each operation of a provider's dialect is asked of a model.
#[derive(Debug)]
pub struct Targets(SmallVec<[Target; 5]>);

#[derive(Debug)]
struct Target {
    api: Api,
    stream: bool,
    uri: Uri,
}

impl Targets {
    /// The targets below an endpoint's base path, for a model of this name there. With `version` they are those of Azure's
    /// dated API.
    pub fn at(endpoint: &Endpoint, dialect: Dialect, model: &str, version: Option<&str>) -> Self {
        let apis = Api::ALL.into_iter().filter(|api| api.dialect() == dialect);
        let both = apis.flat_map(|api| [(api, false), (api, true)]);
        // Only Gemini says in the path whether it is a stream.
        let both = both.filter(|(api, stream)| !stream || paths::tells_streams(*api));
        Self(
            both.map(|(api, stream)| {
                let path = match version {
                    Some(version) => paths::at_dated_azure(api, model, version),
                    None => paths::at_provider(api, model, stream),
                };
                Target { api, stream, uri: Uri::from(endpoint.path(&path)) }
            })
            .collect(),
        )
    }

    /// The target of an operation of the provider's dialect, in origin form.
    pub fn of(&self, api: Api, stream: bool) -> Option<&Uri> {
        let stream = stream && paths::tells_streams(api);
        let target = self.0.iter().find(|target| target.api == api && target.stream == stream);
        target.map(|target| &target.uri)
    }
}
