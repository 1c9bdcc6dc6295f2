//! Advertising the service of `portable` by multicast DNS (RFC 6762), as
//! `_sftp-ssh._tcp` (RFC 6763).

use std::net::IpAddr;
use std::time::Duration;

use mdns_sd::{IfKind, ServiceDaemon, ServiceInfo};

use crate::error::{Error, ErrorKind, Result};

const SERVICE_TYPE: &str = "_sftp-ssh._tcp.local.";

/// How long the farewell may take when the advertisement ends.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);

/// What is told to the local network.
#[derive(Clone)]
pub struct Announcement {
    /// Address of the SSH server, when it listens on one only: the service is
    /// advertised on the network of that address, and nowhere else.
    pub address: Option<IpAddr>,
    /// Port of the SSH server.
    pub port: u16,
    /// Name and password of the account, when they may be told.
    pub credentials: Option<Credentials>,
}

/// Login data that anybody on the network may read.
#[derive(Clone)]
pub struct Credentials {
    pub username: String,
    /// `None` when the account has public keys only.
    pub password: Option<String>,
}

/// A running advertisement; it ends with [`Advertisement::stop`] or when it is dropped.
pub struct Advertisement {
    daemon: ServiceDaemon,
    full_name: String,
    is_running: bool,
}

impl Advertisement {
    /// Starts to advertise. Host addresses are followed as they change.
    ///
    /// # Errors
    /// `Unavailable` when the network does not allow it.
    pub fn start(announcement: &Announcement) -> Result<Self> {
        let service = describe(announcement, &host_name())?;
        let full_name = service.get_fullname().to_owned();
        let daemon = ServiceDaemon::new().map_err(|error| failed("starting", error))?;
        if let Some(address) = announcement.address {
            daemon
                .disable_interface(IfKind::All)
                .and_then(|()| daemon.enable_interface(IfKind::Addr(address)))
                .map_err(|error| failed("choosing the network", error))?;
        }
        daemon.register(service).map_err(|error| failed("registering", error))?;
        Ok(Self { daemon, full_name, is_running: true })
    }

    /// The name others see, e.g. `sftpgo portable 53705._sftp-ssh._tcp.local.`.
    pub fn full_name(&self) -> &str {
        &self.full_name
    }

    /// Tells the network that the service is gone, and ends. Waits a moment for
    /// the message to leave.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if !std::mem::take(&mut self.is_running) {
            return;
        }
        if let Ok(farewell) = self.daemon.unregister(&self.full_name) {
            let _ = farewell.recv_timeout(FAREWELL_TIMEOUT);
        }
        // The daemon ends by itself when its queue is full of work, too.
        let _ = self.daemon.shutdown();
    }
}

impl Drop for Advertisement {
    fn drop(&mut self) {
        self.end();
    }
}

fn failed(step: &str, error: mdns_sd::Error) -> Error {
    Error::with_source(ErrorKind::Unavailable, format!("multicast DNS: {step}"), error)
}

/// The service record and its TXT properties.
fn describe(announcement: &Announcement, host: &str) -> Result<ServiceInfo> {
    let instance = format!("SFTPGo portable {}", announcement.port);
    let mut properties = Vec::new();
    if let Some(Credentials { username, password }) = &announcement.credentials {
        if let Some(password) = password {
            properties.push(("password", password.clone()));
        }
        properties.push(("user", username.clone()));
    }
    properties.push(("version", crate::version::LONG.to_owned()));
    ServiceInfo::new(
        SERVICE_TYPE,
        &instance,
        &format!("{host}.local."),
        "",
        announcement.port,
        &properties[..],
    )
    .map(ServiceInfo::enable_addr_auto)
    .map_err(|error| failed("service record", error))
}

/// The first label of the host's name.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .unwrap_or_default();
    let label: String = name
        .trim()
        .split('.')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|char| char.is_ascii_alphanumeric() || *char == '-')
        .take(63)
        .collect();
    if label.is_empty() { "sftpgo".to_owned() } else { label }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mdns_sd::ServiceEvent;

    fn properties(announcement: &Announcement) -> Vec<(String, String)> {
        let service = describe(announcement, "p1").expect("service");
        assert_eq!(service.get_type(), SERVICE_TYPE);
        assert_eq!(service.get_hostname(), "p1.local.");
        assert_eq!(service.get_port(), announcement.port);
        assert_eq!(service.get_fullname(), "SFTPGo portable 53705._sftp-ssh._tcp.local.");
        service
            .get_properties()
            .iter()
            .map(|property| (property.key().to_owned(), property.val_str().to_owned()))
            .collect()
    }

    #[test]
    fn credentials_are_told_only_when_they_are_given() {
        let version = ("version".to_owned(), crate::version::LONG.to_owned());
        let silent = Announcement { address: None, port: 53705, credentials: None };
        assert_eq!(properties(&silent), std::slice::from_ref(&version));
        let credentials = |password: Option<&str>| Announcement {
            address: None,
            port: 53705,
            credentials: Some(Credentials {
                username: "user".to_owned(),
                password: password.map(str::to_owned),
            }),
        };
        let user = ("user".to_owned(), "user".to_owned());
        assert_eq!(properties(&credentials(None)), [user.clone(), version.clone()]);
        let password = ("password".to_owned(), "EWOo6pJe".to_owned());
        assert_eq!(properties(&credentials(Some("EWOo6pJe"))), [password, user, version]);
    }

    #[test]
    fn a_password_too_long_for_a_record_is_an_error_without_it() {
        let password = "hush".repeat(100);
        let credentials = Credentials { username: "u".to_owned(), password: Some(password) };
        let announcement =
            Announcement { address: None, port: 53705, credentials: Some(credentials) };
        let error = describe(&announcement, "p1").expect_err("too long").to_string();
        assert!(error.contains("255") && !error.contains("hush"), "{error}");
    }

    /// Waits for the first event that `wanted` recognises.
    fn await_event<T>(
        events: &mdns_sd::Receiver<ServiceEvent>,
        wanted: impl Fn(ServiceEvent) -> Option<T>,
    ) -> Option<T> {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            match events.recv_timeout(left) {
                Ok(event) => match wanted(event) {
                    Some(found) => return Some(found),
                    None => continue,
                },
                Err(_) => return None,
            }
        }
    }

    #[test]
    fn others_find_the_service_until_it_stops() {
        // On the loopback network only.
        let address = Some(IpAddr::from([127, 0, 0, 1]));
        let credentials =
            Some(Credentials { username: "user".to_owned(), password: Some("EWOo6pJe".into()) });
        let announcement = Announcement { address, port: 53706, credentials };
        let advertisement = Advertisement::start(&announcement).expect("advertised");
        let name = advertisement.full_name().to_owned();

        let browser = ServiceDaemon::new().expect("browser");
        browser.disable_interface(IfKind::All).expect("no network");
        browser.enable_interface(IfKind::LoopbackV4).expect("loopback");
        let events = browser.browse(SERVICE_TYPE).expect("browsing");
        let found = await_event(&events, |event| match event {
            ServiceEvent::ServiceResolved(service) if service.fullname == name => Some(service),
            _ => None,
        });
        let found = found.expect("the service");
        assert_eq!(found.port, 53706);
        assert_eq!(found.txt_properties.get_property_val_str("user"), Some("user"));
        assert_eq!(found.txt_properties.get_property_val_str("password"), Some("EWOo6pJe"));
        advertisement.stop();
        let gone = await_event(&events, |event| match event {
            ServiceEvent::ServiceRemoved(_, removed) if removed == name => Some(()),
            _ => None,
        });
        assert!(gone.is_some());
        browser.shutdown().expect("shut down");
    }
}
