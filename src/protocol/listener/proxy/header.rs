//! The header of the PROXY protocol, from bytes to an address: no sockets, no policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest header of version 1, with its line end.
const MAX_V1: usize = 107;

/// Longest header of version 2 with its additional fields.
const MAX_V2: usize = 16 * 1024;

const V1_START: &[u8] = b"PROXY ";
const V2_START: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// Not to be told yet.
    Incomplete,
    /// No header.
    Absent,
    /// A header of so many bytes; without a client if the sender speaks for itself.
    Header {
        client: Option<SocketAddr>,
        length: usize,
    },
    Broken(&'static str),
}

/// Looks for a header at the beginning of `bytes`.
pub fn parse(bytes: &[u8]) -> Parsed {
    if starts(bytes, V2_START) {
        return if bytes.len() < V2_START.len() { Parsed::Incomplete } else { parse_v2(bytes) };
    }
    if starts(bytes, V1_START) {
        return if bytes.len() < V1_START.len() { Parsed::Incomplete } else { parse_v1(bytes) };
    }
    Parsed::Absent
}

/// Whether `bytes` and `start` agree as far as both go.
fn starts(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(a, b)| a == b)
}

fn parse_v1(bytes: &[u8]) -> Parsed {
    let window = bytes.get(..MAX_V1).unwrap_or(bytes);
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < MAX_V1 {
            Parsed::Incomplete
        } else {
            Parsed::Broken("PROXY header without end")
        };
    };
    let length = end + 2;
    let broken = Parsed::Broken("malformed PROXY header");
    let line = window.get(..end).and_then(|line| std::str::from_utf8(line).ok());
    let Some(line) = line else { return broken };
    let mut words = line.split(' ').skip(1);
    match words.next() {
        // Whatever follows is to be ignored.
        Some("UNKNOWN") => Parsed::Header { client: None, length },
        Some(family @ ("TCP4" | "TCP6")) => {
            let words: Vec<&str> = words.collect();
            let [source, destination, source_port, destination_port] = words[..] else {
                return broken;
            };
            let address = |text: &str| -> Option<IpAddr> {
                if family == "TCP4" {
                    text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
                } else {
                    text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
                }
            };
            let port =
                |text: &str| text.parse::<u16>().ok().filter(|port| port.to_string() == text);
            match (address(source), address(destination), port(source_port), port(destination_port))
            {
                (Some(ip), Some(_), Some(port), Some(_)) => Parsed::Header {
                    client: Some(SocketAddr::new(ip.to_canonical(), port)),
                    length,
                },
                _ => broken,
            }
        }
        _ => broken,
    }
}

/// Section 2.2 of the specification.
fn parse_v2(bytes: &[u8]) -> Parsed {
    let rest = bytes.get(V2_START.len()..).unwrap_or_default();
    let Some(([version_command, family, high, low], fields)) = rest.split_first_chunk::<4>() else {
        return Parsed::Incomplete;
    };
    let declared = usize::from(u16::from_be_bytes([*high, *low]));
    let length = V2_START.len() + 4 + declared;
    if length > MAX_V2 {
        return Parsed::Broken("PROXY header is too long");
    }
    if version_command >> 4 != 2 {
        return Parsed::Broken("PROXY header of an unknown version");
    }
    let Some(fields) = fields.get(..declared) else { return Parsed::Incomplete };
    let port = |two: &[u8; 2]| u16::from_be_bytes(*two);
    let client = match (version_command & 0xf, family) {
        // LOCAL: a health check of the sender's own.
        (0, _) => None,
        (1, 0x11) => match fields.first_chunk::<12>() {
            Some([a, b, c, d, _, _, _, _, p, q, _, _]) => {
                let ip = IpAddr::from([*a, *b, *c, *d]);
                Some(SocketAddr::new(ip, port(&[*p, *q])))
            }
            None => return Parsed::Broken("PROXY header is shorter than its addresses"),
        },
        (1, 0x21) => match (fields.first_chunk::<16>(), fields.get(32..36)) {
            (Some(ip), Some([p, q, _, _])) => {
                let ip = IpAddr::from(*ip).to_canonical();
                Some(SocketAddr::new(ip, port(&[*p, *q])))
            }
            _ => return Parsed::Broken("PROXY header is shorter than its addresses"),
        },
        // Unspecified and Unix addresses: there is nobody to name.
        (1, 0x00 | 0x31) => None,
        (1, _) => return Parsed::Broken("PROXY header of an unknown family"),
        _ => return Parsed::Broken("PROXY header with an unknown command"),
    };
    Parsed::Header { client, length }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, fields: &[u8]) -> Vec<u8> {
        let mut header = V2_START.to_vec();
        header.extend([command, family]);
        header.extend(u16::try_from(fields.len()).unwrap().to_be_bytes());
        header.extend(fields);
        header
    }

    fn v4_fields() -> Vec<u8> {
        vec![192, 0, 2, 1, 198, 51, 100, 1, 0x30, 0x39, 0, 22]
    }

    fn v6_fields() -> Vec<u8> {
        let ip: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let mut fields = ip.octets().to_vec();
        fields.extend(Ipv6Addr::LOCALHOST.octets());
        fields.extend([0x30, 0x39, 0, 22]);
        fields
    }

    #[test]
    fn headers_are_taken_apart() {
        let mut with_more = v4_fields();
        with_more.extend([3, 0, 4, 1, 2, 3, 4]);
        let mut mapped = "::ffff:192.0.2.1".parse::<Ipv6Addr>().unwrap().octets().to_vec();
        mapped.extend(Ipv6Addr::LOCALHOST.octets());
        mapped.extend([0x30, 0x39, 0, 22]);
        let table: Vec<(Vec<u8>, Option<&str>)> = vec![
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 12345 22\r\n".to_vec(), Some("192.0.2.1:12345")),
            (b"PROXY TCP6 2001:db8::1 ::1 12345 22\r\n".to_vec(), Some("[2001:db8::1]:12345")),
            (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 22\r\n".to_vec(), Some("192.0.2.1:1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN whatever else\r\n".to_vec(), None),
            (v2(0x21, 0x11, &v4_fields()), Some("192.0.2.1:12345")),
            (v2(0x21, 0x11, &with_more), Some("192.0.2.1:12345")),
            (v2(0x21, 0x21, &v6_fields()), Some("[2001:db8::1]:12345")),
            (v2(0x21, 0x21, &mapped), Some("192.0.2.1:12345")),
            (v2(0x21, 0x31, &[0; 216]), None),
            (v2(0x21, 0x00, &[]), None),
            (v2(0x20, 0x11, &v4_fields()), None),
            (v2(0x20, 0x00, &[]), None),
        ];
        for (header, client) in table {
            let client = client.map(|text| text.parse().unwrap());
            let expected = Parsed::Header { client, length: header.len() };
            let mut longer = header.clone();
            longer.extend(b"SSH-2.0-x\r\n");
            assert_eq!(parse(&longer), expected, "{header:?}");
            for cut in 0..header.len() {
                assert_eq!(parse(&header[..cut]), Parsed::Incomplete, "{cut} of {header:?}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_told_at_once_and_what_is_a_bad_one_is_refused() {
        for bytes in [&b"S"[..], b"SSH-2.0-x", b"PROXZ ", b"\r\n\r\r", b"proxy TCP4"] {
            assert_eq!(parse(bytes), Parsed::Absent, "{bytes:?}");
        }
        let mut without_end = b"PROXY TCP4 ".to_vec();
        without_end.resize(MAX_V1, b'1');
        let mut bad: Vec<Vec<u8>> = [
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n",
            "PROXY TCP4 1.1.1.1  1.1.1.1 1 1\r\n",
            "PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n",
            "PROXY TCP4 ::1 1.1.1.1 1 1\r\n",
            "PROXY TCP6 1.1.1.1 ::1 1 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n",
            "PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec();
        bad.extend([
            without_end,
            v2(0x11, 0x11, &v4_fields()),
            v2(0x22, 0x11, &v4_fields()),
            v2(0x21, 0x12, &v4_fields()),
            v2(0x21, 0x11, &v4_fields()[..11]),
            v2(0x21, 0x21, &v6_fields()[..35]),
            v2(0x21, 0x11, &vec![0; MAX_V2]),
        ]);
        for bytes in bad {
            let parsed = parse(&bytes);
            assert!(matches!(parsed, Parsed::Broken(_)), "{parsed:?}: {bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(start in 0..3, rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = [&b""[..], V1_START, V2_START][start as usize].to_vec();
            bytes.extend(rest);
            if let Parsed::Header { length, .. } = parse(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }
    }
}
