//! Addresses and networks in filters and allow lists.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::error::{Error, Result};

/// Reads `10.0.0.0/8`, `10.1.2.3` (as `/32`), `fd00::/8` or `::1` (as `/128`);
/// host bits are cleared and IPv4-mapped networks become IPv4.
pub fn parse(text: &str) -> Result<IpNet> {
    let text = text.trim();
    let net = match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address)),
        Err(_) => text.parse::<IpNet>().ok(),
    };
    let net = net
        .ok_or_else(|| Error::invalid(format!("{text:?} is not an IP address or CIDR network")))?
        .trunc();
    Ok(match (net.addr().to_canonical(), net.prefix_len()) {
        (IpAddr::V4(v4), len @ 96..) if net.addr().is_ipv6() => {
            IpNet::new(v4.into(), len - 96).unwrap_or(net)
        }
        _ => net,
    })
}

/// Brings a list to its stored form: CIDR notation, duplicates removed, order kept.
pub fn normalise(list: &mut Vec<String>) -> Result<()> {
    let mut seen: Vec<IpNet> = Vec::with_capacity(list.len());
    for text in list.iter() {
        let net = parse(text)?;
        if !seen.contains(&net) {
            seen.push(net);
        }
    }
    *list = seen.iter().map(IpNet::to_string).collect();
    Ok(())
}

/// Whether one of the networks holds `address`; a stored entry that cannot be read
/// holds nobody.
pub fn contains(networks: &[String], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|text| parse(text).is_ok_and(|net| net.contains(&address)))
}

/// Whether `address` may come in: `denied` first, then a non-empty `allowed`
/// is a whitelist. A stored entry that cannot be read denies everybody in
/// `denied` and admits nobody in `allowed`.
pub fn permits(allowed: &[String], denied: &[String], address: IpAddr) -> bool {
    let address = address.to_canonical();
    if denied.iter().any(|text| parse(text).map_or(true, |net| net.contains(&address))) {
        return false;
    }
    allowed.is_empty()
        || allowed.iter().any(|text| parse(text).is_ok_and(|net| net.contains(&address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_one_stored_form() {
        let table: &[(&str, Option<&str>)] = &[
            ("10.1.2.3", Some("10.1.2.3/32")),
            (" 10.1.2.3/8 ", Some("10.0.0.0/8")),
            ("::1", Some("::1/128")),
            ("fd00::1/8", Some("fd00::/8")),
            ("::ffff:10.0.0.1", Some("10.0.0.1/32")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("::/0", Some("::/0")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("10.0.0.0/33", None),
            ("10.0.0", None),
            ("example.com", None),
            ("", None),
        ];
        for (text, want) in table {
            let got = parse(text).ok().map(|net| net.to_string());
            assert_eq!(got.as_deref(), *want, "{text:?}");
        }
        let mut list = vec!["10.0.0.1".into(), "10.0.0.1/32".into(), "::1".into()];
        normalise(&mut list).unwrap();
        assert_eq!(list, ["10.0.0.1/32", "::1/128"]);
    }

    #[test]
    fn denied_comes_first_and_allowed_is_a_whitelist() {
        let table: &[(&[&str], &[&str], &str, bool)] = &[
            (&[], &[], "10.0.0.1", true),
            (&["10.0.0.0/8"], &[], "10.0.0.1", true),
            (&["10.0.0.0/8"], &[], "::ffff:10.0.0.1", true),
            (&["10.0.0.0/8"], &[], "11.0.0.1", false),
            (&["10.0.0.0/8"], &["10.0.0.1/32"], "10.0.0.1", false),
            (&[], &["0.0.0.0/0"], "10.0.0.1", false),
            (&[], &["0.0.0.0/0"], "::1", true),
            (&["::/0"], &[], "10.0.0.1", false),
            (&[], &["broken"], "10.0.0.1", false),
            (&["broken"], &[], "10.0.0.1", false),
        ];
        for (allowed, denied, address, want) in table {
            let owned = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
            assert_eq!(
                permits(&owned(allowed), &owned(denied), address.parse().unwrap()),
                *want,
                "allowed {allowed:?}, denied {denied:?}, {address}"
            );
        }
    }
}
