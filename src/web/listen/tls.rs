//! HTTPS: certificates, which can be replaced while the server runs, and whom they admit.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion, version,
};

use crate::config::MinTlsVersion;
use crate::error::{Error, ErrorKind, Result};
use crate::web::listen::validity::Validity;

/// What one listener's TLS is made from; the paths are absolute.
pub struct TlsSettings<'a> {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub min_version: MinTlsVersion,
    /// Of TLS 1.2, by their registered names; empty for all.
    pub cipher_suites: &'a [String],
    /// Whose certificates clients must show; `None` asks for none.
    pub clients: Option<ClientAuthorities>,
}

/// Files with the authorities of clients' certificates.
pub struct ClientAuthorities {
    pub certificates: Vec<PathBuf>,
    pub revocation_lists: Vec<PathBuf>,
}

/// The TLS of one listener.
pub struct Tls {
    config: Arc<ServerConfig>,
    certificate: Arc<Certificate>,
    clients: Option<Arc<Clients>>,
}

impl Tls {
    /// # Errors
    /// A file that cannot be used, or an unknown cipher suite; both are named.
    pub fn new(settings: TlsSettings<'_>) -> Result<Self> {
        let mut provider = aws_lc_rs::default_provider();
        choose_suites(&mut provider, settings.cipher_suites)?;
        let provider = Arc::new(provider);
        let certificate =
            Arc::new(Certificate::read(settings.certificate, settings.key, provider.clone())?);
        let clients = settings.clients.map(|files| Clients::read(files, provider.clone()));
        let clients = clients.transpose()?.map(Arc::new);
        let versions: &[&SupportedProtocolVersion] = match settings.min_version {
            MinTlsVersion::Tls12 => &[&version::TLS13, &version::TLS12],
            MinTlsVersion::Tls13 => &[&version::TLS13],
        };
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| refused("TLS", error))?;
        let builder = match &clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(clients.clone()),
        };
        let mut config = builder.with_cert_resolver(certificate.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if clients.is_some() {
            // Who resumes a session shows no certificate: one that was revoked meanwhile
            // would still open the door.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self { config: Arc::new(config), certificate, clients })
    }

    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// The certificate that is presented, also after it was replaced.
    pub fn certificate(&self) -> Arc<Certificate> {
        self.certificate.clone()
    }

    /// Reads the files again; connections that are open go on, new ones see what was read.
    /// Whether anything has changed.
    ///
    /// # Errors
    /// A file that cannot be used, which is named; what it is about stays as it was.
    pub fn reload(&self) -> Result<bool> {
        let has_changed = self.certificate.reload();
        let lists = self.clients.as_ref().map_or(Ok(false), |clients| clients.reload());
        Ok(has_changed? | lists?)
    }
}

/// Leaves only the named suites of TLS 1.2, and all of TLS 1.3.
fn choose_suites(provider: &mut CryptoProvider, names: &[String]) -> Result<()> {
    let name_of = |suite: &rustls::SupportedCipherSuite| suite.suite().as_str().unwrap_or_default();
    let is_old = |suite: &rustls::SupportedCipherSuite| suite.tls13().is_none();
    let known: Vec<&str> =
        provider.cipher_suites.iter().filter(|suite| is_old(suite)).map(name_of).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Error::invalid(format!(
            "tls_cipher_suites: {unknown:?} is not supported; supported for TLS 1.2 are {}",
            known.join(", ")
        )));
    }
    if !names.is_empty() {
        provider
            .cipher_suites
            .retain(|suite| !is_old(suite) || names.iter().any(|name| name == name_of(suite)));
    }
    Ok(())
}

/// The certificate of a server with its files.
pub struct Certificate {
    file: PathBuf,
    key_file: PathBuf,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    fn read(file: PathBuf, key_file: PathBuf, provider: Arc<CryptoProvider>) -> Result<Self> {
        let current = RwLock::new(Arc::new(read_pair(&file, &key_file, &provider)?));
        Ok(Self { file, key_file, provider, current })
    }

    /// Where it is read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// How long the one in use is good for; `None` if that cannot be read.
    pub fn validity(&self) -> Option<Validity> {
        self.current().cert.first().and_then(|certificate| Validity::of_x509(certificate))
    }

    fn current(&self) -> Arc<CertifiedKey> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn reload(&self) -> Result<bool> {
        let fresh = read_pair(&self.file, &self.key_file, &self.provider)?;
        let has_changed = fresh.cert != self.current().cert;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(has_changed)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("file", &self.file).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

/// Reads a certificate chain with its key, which must belong together.
fn read_pair(file: &Path, key_file: &Path, provider: &CryptoProvider) -> Result<CertifiedKey> {
    let of_file = || format!("certificate_file {}", file.display());
    let of_key = || format!("certificate_key_file {}", key_file.display());
    let chain = certificates(file).map_err(|error| error.wrap(of_file()))?;
    let pem = std::fs::read(key_file).map_err(|error| Error::from_io(of_key(), error))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        // What is in there could be part of a key: only that it cannot be used is told.
        Error::invalid(format!("{}: has no private key in PEM format", of_key()))
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => Error::invalid(format!(
            "{}: is not the key of the certificate {}",
            of_key(),
            file.display()
        )),
        error => refused(&format!("{}, {}", of_file(), of_key()), error),
    })
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = std::fs::read(file).map_err(|error| Error::from_io("cannot be read", error))?;
    let chain: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(Error::invalid("has no certificate in PEM format")),
    }
}

/// Verifies the certificates of clients.
struct Clients {
    roots: Arc<RootCertStore>,
    hints: Vec<DistinguishedName>,
    revocation_lists: Vec<PathBuf>,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<Verifier>>,
}

struct Verifier {
    inner: Arc<dyn ClientCertVerifier>,
    lists: Vec<CertificateRevocationListDer<'static>>,
}

impl Clients {
    fn read(files: ClientAuthorities, provider: Arc<CryptoProvider>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for file in &files.certificates {
            let at = || format!("ca_certificates: {}", file.display());
            for certificate in certificates(file).map_err(|error| error.wrap(at()))? {
                roots.add(certificate).map_err(|error| refused(&at(), error))?;
            }
        }
        if roots.is_empty() {
            return Err(Error::invalid(
                "client_auth_type: needs authorities in `httpd.ca_certificates`",
            ));
        }
        let roots = Arc::new(roots);
        let hints = roots.subjects();
        let current = verifier(&roots, &files.revocation_lists, &provider)?;
        Ok(Self {
            roots,
            hints,
            revocation_lists: files.revocation_lists,
            provider,
            current: RwLock::new(Arc::new(current)),
        })
    }

    fn current(&self) -> Arc<Verifier> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn reload(&self) -> Result<bool> {
        let fresh = verifier(&self.roots, &self.revocation_lists, &self.provider)?;
        let has_changed = fresh.lists != self.current().lists;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(has_changed)
    }
}

/// A verifier with the revocation lists as they are now.
fn verifier(
    roots: &Arc<RootCertStore>,
    files: &[PathBuf],
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier> {
    let mut lists = Vec::new();
    for file in files {
        let at = || format!("ca_revocation_lists: {}", file.display());
        let bytes = std::fs::read(file).map_err(|error| Error::from_io(at(), error))?;
        if !bytes.starts_with(b"-----") && bytes.first() == Some(&0x30) {
            lists.push(CertificateRevocationListDer::from(bytes));
            continue;
        }
        let before = lists.len();
        for list in CertificateRevocationListDer::pem_slice_iter(&bytes) {
            lists.push(list.map_err(|_| {
                Error::invalid(format!("{}: is no revocation list in PEM format", at()))
            })?);
        }
        if lists.len() == before {
            return Err(Error::invalid(format!("{}: has no revocation list", at())));
        }
    }
    let inner = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
        .with_crls(lists.clone())
        // An authority need not have a list.
        .allow_unknown_revocation_status()
        .build()
        .map_err(|error| {
            Error::with_source(
                ErrorKind::InvalidInput,
                "ca_revocation_lists: cannot be used",
                error,
            )
        })?;
    Ok(Verifier { inner, lists })
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Clients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> std::result::Result<ClientCertVerified, rustls::Error> {
        self.current().inner.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.current().inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.current().inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current().inner.supported_verify_schemes()
    }
}

fn refused(what: &str, error: rustls::Error) -> Error {
    Error::with_source(ErrorKind::InvalidInput, format!("{what}: cannot be used"), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(names: &[&str]) -> Result<Vec<String>> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut provider = aws_lc_rs::default_provider();
        choose_suites(&mut provider, &names)?;
        let names = provider.cipher_suites.iter().filter_map(|suite| suite.suite().as_str());
        Ok(names.map(str::to_owned).collect())
    }

    #[test]
    fn named_suites_are_those_of_tls_1_2() {
        let all = offered(&[]).expect("the default");
        let one = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
        let some = offered(&[one]).expect("known");
        assert!(some.len() < all.len());
        let old: Vec<&String> = some.iter().filter(|name| name.contains("_WITH_")).collect();
        assert_eq!(old, [one]);
        assert!(some.len() > 1, "those of TLS 1.3 stay: {some:?}");
    }

    #[test]
    fn an_unknown_suite_is_told_with_the_known_ones() {
        for name in ["TLS_RSA_WITH_RC4_128_SHA", "TLS13_AES_128_GCM_SHA256", "nonsense", ""] {
            let error = offered(&[name]).expect_err(name).to_string();
            assert!(error.contains(name) && error.contains("TLS_ECDHE_RSA_WITH"), "{error}");
        }
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let dir = tempfile::tempdir().expect("directory");
        let (file, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        let provider = aws_lc_rs::default_provider();
        let why = || read_pair(&file, &key, &provider).expect_err("refused").to_string();
        assert!(why().contains("c.pem"));
        std::fs::write(&file, "precious text").expect("written");
        let told = why();
        assert!(told.contains("c.pem") && !told.contains("precious"), "{told}");
    }
}
