//! The private authority of a control plane, and the certificates that it issues.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fmt;
use std::sync::Arc;

/// The name of every authority. Certificates are checked against the key of the own authority, not against this name.
const AUTHORITY: &str = "inventiv worker authority";
/// The name in the certificate that a control plane shows to workers.
const CONTROL_PLANE: &str = "control-plane";

/// Why a certificate could not be made or read. It never contains a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

impl TlsError {
    fn from(what: &str, error: impl fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate_pem: String,
    /// The private key.
    pub key_pem: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

/// The private authority of a control plane.
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
    key_pem: String,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, AUTHORITY);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // It ends with its control plane, not with a date: an expired authority would cut off every instance.
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2120, 1, 1));
    params
}

impl Authority {
    /// A new authority.
    ///
    /// # Errors
    /// If no key can be generated.
    pub fn create() -> Result<Self, TlsError> {
        let key = KeyPair::generate().map_err(|e| TlsError::from("no key was generated", e))?;
        let certificate =
            authority_params().self_signed(&key).map_err(|e| TlsError::from("the authority was not created", e))?;
        let key_pem = key.serialize_pem();
        Ok(Self { certificate_pem: certificate.pem(), issuer: Issuer::new(authority_params(), key), key_pem })
    }

    /// The authority with this certificate and key.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn read(identity: Identity) -> Result<Self, TlsError> {
        let key = KeyPair::from_pem(&identity.key_pem)
            .map_err(|e| TlsError::from("the key of the authority cannot be read", e))?;
        Ok(Self {
            certificate_pem: identity.certificate_pem,
            issuer: Issuer::new(authority_params(), key),
            key_pem: identity.key_pem,
        })
    }

    /// Its certificate and key, to be stored.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity { certificate_pem: self.certificate_pem.clone(), key_pem: self.key_pem.clone() }
    }

    /// Its certificate, in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Result<Identity, TlsError> {
        let failed = |e: rcgen::Error| TlsError::from("no certificate was issued", e);
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        // A server's clock may be wrong, and an instance may run for years: what ends a certificate is its instance.
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2120, 1, 1));
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// A certificate for the worker of an instance. It cannot be used to call another worker.
    ///
    /// # Errors
    /// If it cannot be issued.
    pub fn for_worker(&self, instance_id: &str) -> Result<Identity, TlsError> {
        self.issue(instance_id, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for calls to workers.
    ///
    /// # Errors
    /// If it cannot be issued.
    pub fn for_control_plane(&self) -> Result<Identity, TlsError> {
        self.issue(CONTROL_PLANE, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// How a control plane connects to workers.
    ///
    /// # Errors
    /// If no certificate can be issued.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        client_config(&self.certificate_pem, Some(&self.for_control_plane()?))
    }
}

/// How a client with this certificate, or with none, connects to the workers of an authority.
///
/// # Errors
/// If a certificate or key cannot be read.
pub fn client_config(authority_pem: &str, identity: Option<&Identity>) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsError::from("TLS is not available", e))?
        .with_root_certificates(roots(authority_pem)?);
    Ok(Arc::new(match identity {
        Some(identity) => builder
            .with_client_auth_cert(certificates(&identity.certificate_pem)?, key(&identity.key_pem)?)
            .map_err(|e| TlsError::from("the certificate does not suit its key", e))?,
        None => builder.with_no_client_auth(),
    }))
}

/// How a worker accepts connections: only from the control plane of its authority.
///
/// # Errors
/// If a certificate or key cannot be read.
pub fn server_config(authority_pem: &str, identity: &Identity) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authority_pem)?), Arc::clone(&provider))
        .build()
        .map_err(|e| TlsError::from("the certificate of the authority cannot be used", e))?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsError::from("TLS is not available", e))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&identity.certificate_pem)?, key(&identity.key_pem)?)
        .map_err(|e| TlsError::from("the certificate does not suit its key", e))?;
    Ok(Arc::new(config))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(TlsError("there is no certificate in the text".to_owned())),
        Err(e) => Err(TlsError::from("a certificate cannot be read", e)),
    }
}

fn key(pem: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|e| TlsError::from("a key cannot be read", e))
}

fn roots(pem: &str) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store.add(certificate).map_err(|e| TlsError::from("the certificate of the authority cannot be used", e))?;
    }
    Ok(store)
}
