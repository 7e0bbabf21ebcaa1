//! Policies as text.

use std::net::SocketAddr;

/// A policy with one provider on a port: models `small` and `large`, a local tenant that may ask for `small` and
/// has room for calls without end.
pub(super) fn one_provider(at: SocketAddr) -> String {
    with(&format!("{{ dialect: openai, baseUrl: \"http://{at}/v1\" }}"), "[small]", "{}")
}

/// The same with a provider, an allow list and limits of your own.
pub(super) fn with(provider: &str, allow: &str, limits: &str) -> String {
    format!(
        "apiVersion: egret.dev/v1alpha1
kind: Policy
allowMock: true
providers:
  fake: {provider}
models:
  small: {{ provider: fake, contextTokens: 8000, maxOutputTokens: 1000 }}
  large: {{ provider: fake, contextTokens: 8000, maxOutputTokens: 1000 }}
tenants:
  app:
    local: true
    access: {{ allow: {allow} }}
    limits: {limits}
"
    )
}

/// A policy whose only provider is scripted, inside egret.
pub(super) fn scripted() -> String {
    with("{ mock: {} }", "[small]", "{}")
}
