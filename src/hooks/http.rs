//! HTTP servers as hooks: one client for all of them, with the settings of the section
//! `http`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Identity, StatusCode, redirect};
use serde::Serialize;

use crate::config::HttpConfig;
use crate::error::{Error, ErrorKind, Result};

/// Largest answer of a hook.
const MAX_ANSWER: usize = 1024 * 1024;

/// Asks HTTP hooks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client,
    /// By the start of the address they are for.
    headers: Arc<[(String, HeaderMap)]>,
}

impl HttpClient {
    /// Reads the certificates that the configuration names.
    pub fn new(config: &HttpConfig, config_dir: &Path) -> Result<Self> {
        let read = |key: &str, name: &str| {
            std::fs::read(config_dir.join(name))
                .map_err(|error| Error::from_io(format!("`http.{key}`: cannot read {name}"), error))
        };
        let mut builder = Client::builder()
            .timeout(Duration::from_secs_f64(config.timeout))
            // Whoever runs the hook decides where secrets go, not its answer.
            .redirect(redirect::Policy::none())
            .tls_danger_accept_invalid_certs(config.skip_tls_verify);
        for name in &config.ca_certificates {
            let pem = read("ca_certificates", name)?;
            let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| {
                Error::invalid(format!("`http.ca_certificates`: {name}: {error}"))
            })?;
            builder = builder.tls_certs_merge(authorities);
        }
        if let Some(pair) = config.certificates.first() {
            let mut pem = read("certificates[0].cert", &pair.cert)?;
            pem.extend_from_slice(&read("certificates[0].key", &pair.key)?);
            let identity = Identity::from_pem(&pem)
                .map_err(|error| Error::invalid(format!("`http.certificates[0]`: {error}")))?;
            builder = builder.identity(identity);
        }
        let client = builder.build().map_err(|error| {
            Error::with_source(ErrorKind::InvalidInput, "the section `http`", error)
        })?;
        Ok(Self { client, headers: headers(config)?.into() })
    }

    /// Posts JSON; the body of the answer if its status is 200.
    pub async fn post(&self, url: &str, body: &impl Serialize) -> Result<Vec<u8>> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::with_source(ErrorKind::Internal, "encoding a hook", error))?;
        let mut request =
            self.client.post(url).header("Content-Type", "application/json").body(body);
        for (prefix, headers) in self.headers.iter() {
            if url.starts_with(prefix.as_str()) {
                request = request.headers(headers.clone());
            }
        }
        let failed = |error: reqwest::Error| {
            // Its address may hold credentials.
            Error::with_source(ErrorKind::Unavailable, "asking the hook", error.without_url())
        };
        let mut response = request.send().await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("the hook answered with status {status}"),
            ));
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if answer.len() + chunk.len() > MAX_ANSWER {
                return Err(Error::invalid(format!(
                    "the hook answered with more than {MAX_ANSWER} bytes"
                )));
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

fn headers(config: &HttpConfig) -> Result<Vec<(String, HeaderMap)>> {
    let mut all = Vec::new();
    for (at, header) in config.headers.iter().enumerate() {
        if header.key.is_empty() || header.value.expose().is_empty() {
            continue;
        }
        let name = HeaderName::try_from(&header.key).map_err(|_| {
            Error::invalid(format!("`http.headers[{at}].key`: not the name of a header"))
        })?;
        let mut value = HeaderValue::try_from(header.value.expose()).map_err(|_| {
            Error::invalid(format!("`http.headers[{at}].value`: not the value of a header"))
        })?;
        value.set_sensitive(true);
        all.push((header.url.clone(), HeaderMap::from_iter([(name, value)])));
    }
    Ok(all)
}
