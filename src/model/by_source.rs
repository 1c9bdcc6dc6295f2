//! Limits of a user that depend on where its client is.

use std::net::IpAddr;

use actors::TransferLimits;

use super::filters::{BandwidthLimit, DataTransferLimit};
use super::network;
use super::user::{MAX_KIB_PER_SEC, User};
use crate::error::{Error, Result};

const MB: u64 = 1024 * 1024;

/// Largest limit in MB, so that bytes cannot overflow.
pub(super) const MAX_MB: i64 = i64::MAX / (1024 * 1024);

/// Limits of one transfer in units of 1024 bytes per second; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth {
    pub upload: i64,
    pub download: i64,
}

impl User {
    /// The bandwidth for a client at `address`: that of the first entry of
    /// `filters.bandwidth_limits` with it among its sources, else the user's own.
    pub fn bandwidth_from(&self, address: IpAddr) -> Bandwidth {
        let limits = &self.filters.bandwidth_limits;
        match limits.iter().find(|limit| network::contains(&limit.sources, address)) {
            Some(limit) => {
                Bandwidth { upload: limit.upload_bandwidth, download: limit.download_bandwidth }
            }
            None => Bandwidth { upload: self.upload_bandwidth, download: self.download_bandwidth },
        }
    }

    /// What a client at `address` may transfer, in the same way from
    /// `filters.data_transfer_limits`. With a total the two other limits do not count.
    pub fn transfer_limits_from(&self, address: IpAddr) -> TransferLimits {
        let limits = &self.filters.data_transfer_limits;
        let (upload, download, total) = match limits
            .iter()
            .find(|limit| network::contains(&limit.sources, address))
        {
            Some(limit) => (
                limit.upload_data_transfer,
                limit.download_data_transfer,
                limit.total_data_transfer,
            ),
            None => {
                (self.upload_data_transfer, self.download_data_transfer, self.total_data_transfer)
            }
        };
        let bytes = |limit: i64| {
            u64::try_from(limit).ok().filter(|limit| *limit > 0).map(|mb| mb.saturating_mul(MB))
        };
        match bytes(total) {
            Some(total) => TransferLimits { total: Some(total), ..TransferLimits::default() },
            None => {
                TransferLimits { upload: bytes(upload), download: bytes(download), total: None }
            }
        }
    }

    /// Whether what the user transfers is limited, from wherever.
    pub fn has_transfer_limits(&self) -> bool {
        let by_source = self.filters.data_transfer_limits.iter().map(|limit| {
            (limit.upload_data_transfer, limit.download_data_transfer, limit.total_data_transfer)
        });
        let own =
            (self.upload_data_transfer, self.download_data_transfer, self.total_data_transfer);
        by_source.chain([own]).any(|(upload, download, total)| upload.max(download).max(total) > 0)
    }
}

pub(super) fn normalise_bandwidth(limits: &mut [BandwidthLimit]) -> Result<()> {
    for (at, limit) in limits.iter_mut().enumerate() {
        let BandwidthLimit { sources, upload_bandwidth: upload, download_bandwidth: download } =
            limit;
        normalise_sources(sources)
            .and_then(|()| check_range("upload_bandwidth", *upload, MAX_KIB_PER_SEC))
            .and_then(|()| check_range("download_bandwidth", *download, MAX_KIB_PER_SEC))
            .map_err(|error| error.wrap(format!("bandwidth_limits[{at}]")))?;
    }
    Ok(())
}

pub(super) fn normalise_transfer(limits: &mut [DataTransferLimit]) -> Result<()> {
    for (at, limit) in limits.iter_mut().enumerate() {
        normalise_sources(&mut limit.sources)
            .and_then(|()| check_range("upload_data_transfer", limit.upload_data_transfer, MAX_MB))
            .and_then(|()| {
                check_range("download_data_transfer", limit.download_data_transfer, MAX_MB)
            })
            .and_then(|()| check_range("total_data_transfer", limit.total_data_transfer, MAX_MB))
            .map_err(|error| error.wrap(format!("data_transfer_limits[{at}]")))?;
    }
    Ok(())
}

/// An entry for nobody would be a limit that somebody believes in.
fn normalise_sources(sources: &mut Vec<String>) -> Result<()> {
    network::normalise(sources).map_err(|error| error.wrap("sources"))?;
    if sources.is_empty() {
        return Err(Error::invalid("sources: at least one network is required"));
    }
    Ok(())
}

fn check_range(field: &str, value: i64, max: i64) -> Result<()> {
    if (0..=max).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(format!("{field}: {value} is not between 0 and {max}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user(json: serde_json::Value) -> User {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_first_entry_with_the_address_replaces_the_users_own_limits() {
        let user = user(json!({
            "upload_bandwidth": 1, "download_bandwidth": 2,
            "filters": {"bandwidth_limits": [
                {"sources": ["10.1.0.0/16", "fd00::/8"], "upload_bandwidth": 3},
                {"sources": ["10.0.0.0/8"], "upload_bandwidth": 4, "download_bandwidth": 5},
            ]},
        }));
        let table = [
            ("10.1.2.3", (3, 0)),
            ("::ffff:10.1.2.3", (3, 0)),
            ("fd00::1", (3, 0)),
            ("10.2.0.1", (4, 5)),
            ("192.0.2.1", (1, 2)),
        ];
        for (address, (upload, download)) in table {
            let got = user.bandwidth_from(address.parse().unwrap());
            assert_eq!(got, Bandwidth { upload, download }, "{address}");
        }
    }

    #[test]
    fn a_total_replaces_the_limits_of_each_direction() {
        let user = user(json!({
            "upload_data_transfer": 1, "download_data_transfer": 2,
            "filters": {"data_transfer_limits": [
                {"sources": ["10.0.0.0/8"], "upload_data_transfer": 1, "total_data_transfer": 3},
                {"sources": ["11.0.0.0/8"]},
            ]},
        }));
        let mb = |limit: u64| Some(limit * MB).filter(|limit| *limit > 0);
        let table = [("10.0.0.1", (0, 0, 3)), ("11.0.0.1", (0, 0, 0)), ("192.0.2.1", (1, 2, 0))];
        for (address, (upload, download, total)) in table {
            let got = user.transfer_limits_from(address.parse().unwrap());
            let want =
                TransferLimits { upload: mb(upload), download: mb(download), total: mb(total) };
            assert_eq!(got, want, "{address}");
        }
    }

    #[test]
    fn a_limit_from_one_place_makes_a_user_limited() {
        let limits = |limit| json!({"filters": {"data_transfer_limits": [limit]}});
        let table = [
            (json!({}), false),
            (json!({"download_data_transfer": 1}), true),
            (json!({"total_data_transfer": 1}), true),
            (limits(json!({"sources": ["::/0"]})), false),
            (limits(json!({"sources": ["::/0"], "upload_data_transfer": 1})), true),
        ];
        for (fields, want) in table {
            assert_eq!(user(fields.clone()).has_transfer_limits(), want, "{fields}");
        }
    }

    #[test]
    fn entries_without_sources_or_with_impossible_numbers_are_refused() {
        let table = [
            (
                json!({"bandwidth_limits": [{"upload_bandwidth": 1}]}),
                "bandwidth_limits[0]: sources",
            ),
            (
                json!({"bandwidth_limits": [{"sources": ["x"]}]}),
                "bandwidth_limits[0]: sources: \"x\"",
            ),
            (
                json!({"bandwidth_limits": [{"sources": ["::/0"], "upload_bandwidth": -1}]}),
                "bandwidth_limits[0]: upload_bandwidth",
            ),
            (
                json!({"data_transfer_limits": [{"sources": []}]}),
                "data_transfer_limits[0]: sources",
            ),
            (
                json!({"data_transfer_limits": [
                    {"sources": ["::/0"], "total_data_transfer": i64::MAX}]}),
                "data_transfer_limits[0]: total_data_transfer",
            ),
        ];
        for (filters, text) in table {
            let mut user = user(json!({"filters": filters}));
            let error = user.filters.normalise().unwrap_err().to_string();
            assert!(error.starts_with(text), "{filters}: {error}");
        }
    }
}
