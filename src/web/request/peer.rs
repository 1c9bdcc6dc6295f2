//! Who the client is when proxies stand in front.
//!
//! An address in a header feeds allow lists, tokens and the log, so it counts only from
//! the proxies that the configuration names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::dev::RequestHead;
use actix_web::http::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::config::HttpdBinding;
use crate::error::{Error, Result};
use crate::model::network;
use crate::web::services::Binding;

/// Who sent a request: the connection, or the client that a trusted proxy tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Loopback through a Unix socket: whoever can open it is on this machine.
    pub ip: IpAddr,
    /// `address:port`, without the port if a proxy told the address; empty through a
    /// Unix socket.
    pub shown: String,
}

impl Peer {
    /// The client, for everything that asks who it is.
    pub fn of(request: &HttpRequest) -> Self {
        let head = request.head();
        match request.app_data::<actix_web::web::Data<Binding>>() {
            Some(binding) => binding.edge.proxies.client(head),
            None => Self::of_connection(head.peer_addr),
        }
    }

    fn of_connection(address: Option<SocketAddr>) -> Self {
        let ip = connection_ip(address);
        let shown = address.map(|address| SocketAddr::new(ip, address.port()).to_string());
        Self { ip, shown: shown.unwrap_or_default() }
    }
}

/// Who connects, as the connection tells.
fn connection_ip(address: Option<SocketAddr>) -> IpAddr {
    // An IPv4 client may come through an IPv6 socket.
    address.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip().to_canonical())
}

/// The proxies in front of a binding, and what is believed of them.
#[derive(Debug, Default)]
pub struct Proxies {
    allowed: Vec<IpNet>,
    /// The header with the client's address.
    header: Option<HeaderName>,
    depth: Depth,
}

/// Which address of a list is the client's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Depth {
    #[default]
    Last,
    /// That many before the last.
    BeforeLast(usize),
    First,
}

impl Proxies {
    /// # Errors
    /// A network or a name that is none; the configuration has checked them before.
    pub fn from_config(binding: &HttpdBinding) -> Result<Self> {
        let allowed = binding.proxy_allowed.iter().map(|text| network::parse(text));
        let header = match binding.client_ip_proxy_header.as_str() {
            "" => None,
            name => Some(header_name(name)?),
        };
        let depth = match usize::try_from(binding.client_ip_header_depth) {
            Ok(0) => Depth::Last,
            Ok(proxies) => Depth::BeforeLast(proxies),
            Err(_) => Depth::First,
        };
        Ok(Self { allowed: allowed.collect::<Result<_>>()?, header, depth })
    }

    /// Whether headers of this request come from a proxy that is believed.
    pub fn trusts(&self, head: &RequestHead) -> bool {
        let sender = connection_ip(head.peer_addr);
        self.allowed.iter().any(|network| network.contains(&sender))
    }

    /// What the configuration seems to mean and does not say.
    pub fn warning(&self) -> Option<&'static str> {
        match (self.allowed.is_empty(), &self.header) {
            (false, None) => Some(
                "`proxy_allowed` is set and `client_ip_proxy_header` is not: for limits and \
                 logs every request comes from the proxy",
            ),
            (true, Some(_)) => {
                Some("`client_ip_proxy_header` has no effect without `proxy_allowed`")
            }
            _ => None,
        }
    }

    fn client(&self, head: &RequestHead) -> Peer {
        let told = self
            .header
            .as_ref()
            .filter(|_| self.trusts(head))
            .and_then(|header| told_address(head.headers(), header, self.depth));
        match told {
            Some(ip) => Peer { ip, shown: ip.to_string() },
            // Also if fewer proxies took part than configured: then the list is not to
            // be believed.
            None => Peer::of_connection(head.peer_addr),
        }
    }
}

/// The address at `depth` of all lines of the header; `None` if there is none or it
/// cannot be read.
fn told_address(headers: &HeaderMap, header: &HeaderName, depth: Depth) -> Option<IpAddr> {
    let mut list = Vec::new();
    for line in headers.get_all(header) {
        list.extend(line.to_str().ok()?.split(','));
    }
    let text = match depth {
        Depth::First => list.first(),
        Depth::Last => list.last(),
        Depth::BeforeLast(proxies) => list.iter().rev().nth(proxies),
    };
    parse_address(text?.trim())
}

/// An IP address, which some proxies send with a port or in brackets.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse::<IpAddr>().ok();
    ip.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .map(|ip| ip.to_canonical())
}

/// A name of a header from the configuration.
pub fn header_name(name: &str) -> Result<HeaderName> {
    HeaderName::try_from(name)
        .map_err(|_| Error::invalid(format!("{name:?} is no name of a header")))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn proxies(allowed: &[&str], header: &str, depth: i32) -> Proxies {
        Proxies::from_config(&HttpdBinding {
            proxy_allowed: allowed.iter().map(ToString::to_string).collect(),
            client_ip_proxy_header: header.to_owned(),
            client_ip_header_depth: depth,
            ..HttpdBinding::default()
        })
        .expect("valid")
    }

    fn seen(proxies: &Proxies, sender: Option<&str>, headers: &[(&str, &str)]) -> String {
        let mut request = TestRequest::default();
        if let Some(sender) = sender {
            request = request.peer_addr(sender.parse().expect("an address"));
        }
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        proxies.client(request.to_http_request().head()).ip.to_string()
    }

    #[test]
    fn only_allowed_proxies_tell_who_the_client_is() {
        let header = [("X-Forwarded-For", "203.0.113.9")];
        let table = [
            (&["10.0.0.0/8"][..], "X-Forwarded-For", "10.1.2.3:99", "203.0.113.9"),
            (&["10.0.0.0/8"], "x-forwarded-for", "[::ffff:10.1.2.3]:99", "203.0.113.9"),
            (&["10.0.0.0/8"], "X-Forwarded-For", "192.0.2.1:99", "192.0.2.1"),
            (&["10.0.0.0/8"], "X-Real-IP", "10.1.2.3:99", "10.1.2.3"),
            (&["10.0.0.0/8"], "", "10.1.2.3:99", "10.1.2.3"),
            (&[], "X-Forwarded-For", "10.1.2.3:99", "10.1.2.3"),
        ];
        for (allowed, name, sender, client) in table {
            let proxies = proxies(allowed, name, 0);
            assert_eq!(
                seen(&proxies, Some(sender), &header),
                client,
                "{allowed:?} {name} {sender}"
            );
        }
        let through_socket = proxies(&["127.0.0.1"], "X-Forwarded-For", 0);
        assert_eq!(seen(&through_socket, None, &header), "203.0.113.9");
    }

    #[test]
    fn the_depth_counts_from_the_end_and_over_all_lines() {
        let lines = [("X-Forwarded-For", "10.0.0.1, 11.0.0.1"), ("X-Forwarded-For", "12.0.0.1")];
        let table =
            [(0, "12.0.0.1"), (1, "11.0.0.1"), (2, "10.0.0.1"), (3, "127.0.0.1"), (-1, "10.0.0.1")];
        for (depth, client) in table {
            let proxies = proxies(&["127.0.0.1"], "X-Forwarded-For", depth);
            assert_eq!(seen(&proxies, Some("127.0.0.1:9"), &lines), client, "depth {depth}");
        }
    }

    #[test]
    fn addresses_are_read_in_the_forms_that_proxies_send() {
        let table = [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:4711", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:4711", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("unknown", None),
            ("", None),
            ("[192.0.2.1", None),
            ("192.0.2.1 evil", None),
        ];
        for (text, address) in table {
            let read = parse_address(text).map(|ip| ip.to_string());
            assert_eq!(read.as_deref(), address, "{text:?}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_read_leaves_the_proxy_as_the_client() {
        let proxies = proxies(&["127.0.0.1"], "X-Real-IP", 0);
        for value in ["nonsense", "", "1.2.3.4, nonsense", "\u{e4}"] {
            let headers = [("X-Real-IP", value)];
            assert_eq!(seen(&proxies, Some("127.0.0.1:9"), &headers), "127.0.0.1", "{value:?}");
        }
    }
}
