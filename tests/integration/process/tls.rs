//! Providers behind TLS: whom the process trusts, and what it speaks to them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use super::client::{ask, chat, stream};
use super::policy;
use super::provider::Provider;
use super::support::{Egret, PolicyFile};

#[test]
fn a_provider_of_an_extra_ca_is_called_by_the_protocol_it_offers() {
    let ca = Ca::new();
    for (offered, agreed) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1"), (&[], "")] {
        let provider = Provider::tls(ca.server(offered));
        let file = PolicyFile::new(&policy::with(&at(&provider), "[small]", "{}"));
        let egret =
            Egret::run(&file.path, &["--extra-ca", ca.file(&file).to_str().unwrap(), "--workers", "1"]);
        for _ in 0..3 {
            assert_eq!(ask(egret.listen, &chat("small")).status, 200, "{offered:?}");
            assert!(ask(egret.listen, &stream("small")).body.ends_with("data: [DONE]\n\n"));
        }
        assert_eq!(provider.agreed(), [agreed], "one connection, kept");
        assert_eq!(provider.seen().len(), 6);
    }
}

#[test]
fn a_provider_of_another_ca_is_passed_over_and_never_asked() {
    let (trusted, other) = (Ca::new(), Ca::new());
    let (stranger, known) = (Provider::tls(other.server(&["h2"])), Provider::tls(trusted.server(&["h2"])));
    let text = policy::with(&at(&stranger), "[chat, small]", "{}")
        .replace("models:\n", &format!("  known: {}\nmodels:\n", at(&known)))
        .replace("  large: { provider: fake", "  large: { provider: known")
        .replace(
            "tenants:\n",
            "routes: { chat: { targets: [{ model: small }, { model: large }] } }\ntenants:\n",
        );
    let file = PolicyFile::new(&text);
    let egret = Egret::run(&file.path, &["--extra-ca", trusted.file(&file).to_str().unwrap()]);

    let answer = ask(egret.listen, &chat("chat"));
    assert_eq!((answer.status, answer.header("x-egret-provider")), (200, Some("known")));
    assert_eq!(answer.header("x-egret-attempts"), Some("2"));
    let refused = ask(egret.listen, &chat("small"));
    assert_eq!((refused.status, refused.code().as_str()), (503, "no_provider_available"));
    assert!(stranger.seen().is_empty());
}

/// By name: the certificate is for `localhost`.
fn at(provider: &Provider) -> String {
    format!("{{ dialect: openai, baseUrl: \"https://localhost:{}/v1\" }}", provider.address.port())
}

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate, beside the policy.
    fn file(&self, policy: &PolicyFile) -> PathBuf {
        let path = policy.beside("ca.pem");
        fs::write(&path, self.0.pem()).unwrap();
        path
    }

    /// A server with a certificate of this CA that offers these protocols.
    fn server(&self, alpn: &[&str]) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }
}
