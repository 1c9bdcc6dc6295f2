//! How long certificates are good for.

use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};
use serde::Serialize;
use utoipa::ToSchema;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// So long before its end a certificate is warned of, and so long before urgently.
const SOON_MS: i64 = 30 * DAY_MS;
const VERY_SOON_MS: i64 = 7 * DAY_MS;

/// Whether a certificate is valid now, and how much longer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateState {
    #[default]
    Ok,
    /// In less than 30 days.
    ExpiresSoon,
    /// In less than 7 days.
    ExpiresVerySoon,
    Expired,
    NotYetValid,
    /// Its times cannot be read.
    Unknown,
}

/// From when on and until when, in Unix milliseconds; without an end if there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub from: i64,
    pub until: Option<i64>,
}

impl Validity {
    /// What that means at a moment.
    pub fn state(self, now_unix_ms: i64) -> CertificateState {
        let left = self.until.map(|until| until.saturating_sub(now_unix_ms));
        match left {
            _ if now_unix_ms < self.from => CertificateState::NotYetValid,
            Some(..=0) => CertificateState::Expired,
            Some(..VERY_SOON_MS) => CertificateState::ExpiresVerySoon,
            Some(..SOON_MS) => CertificateState::ExpiresSoon,
            _ => CertificateState::Ok,
        }
    }

    /// Of a certificate in DER (RFC 5280, section 4.1); `None` if it is none.
    pub fn of_x509(certificate: &[u8]) -> Option<Self> {
        read(certificate).ok()
    }

    /// Of Unix seconds; an end after all that can be told is none.
    pub fn of_secs(from: u64, until: u64) -> Self {
        let ms = |secs: u64| i64::try_from(secs).ok().and_then(|secs| secs.checked_mul(1_000));
        Self { from: ms(from).unwrap_or(i64::MAX), until: ms(until) }
    }
}

fn read(certificate: &[u8]) -> der::Result<Validity> {
    let mut outer = SliceReader::new(certificate)?;
    let whole = AnyRef::decode(&mut outer)?;
    let mut parts = SliceReader::new(whole.value())?;
    let to_be_signed = AnyRef::decode(&mut parts)?;
    let mut fields = SliceReader::new(to_be_signed.value())?;
    let version = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
    if Tag::peek(&fields)? == version {
        AnyRef::decode(&mut fields)?;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        AnyRef::decode(&mut fields)?;
    }
    let validity = AnyRef::decode(&mut fields)?;
    let mut times = SliceReader::new(validity.value())?;
    let from = time(&mut times)?;
    // RFC 5280, section 4.1.2.5: this one says that there is no end.
    let never = 253_402_300_799_000;
    Ok(Validity { from, until: Some(time(&mut times)?).filter(|until| *until != never) })
}

fn time<'a>(reader: &mut impl Reader<'a>) -> der::Result<i64> {
    let time = AnyRef::decode(reader)?;
    let since = match time.tag() {
        Tag::UtcTime => time.decode_as::<UtcTime>()?.to_unix_duration(),
        _ => time.decode_as::<GeneralizedTime>()?.to_unix_duration(),
    };
    Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn certificates_are_warned_of_before_they_end() {
        use CertificateState::{Expired, ExpiresSoon, ExpiresVerySoon, NotYetValid, Ok};
        let now = 1_000 * DAY_MS;
        for (from, until, state) in [
            (0, None, Ok),
            (0, Some(30 * DAY_MS), Ok),
            (0, Some(30 * DAY_MS - 1), ExpiresSoon),
            (0, Some(7 * DAY_MS), ExpiresSoon),
            (0, Some(7 * DAY_MS - 1), ExpiresVerySoon),
            (0, Some(1), ExpiresVerySoon),
            (0, Some(0), Expired),
            (0, Some(-DAY_MS), Expired),
            (1, Some(90 * DAY_MS), NotYetValid),
        ] {
            let validity = Validity { from: now + from, until: until.map(|left| now + left) };
            assert_eq!(validity.state(now), state, "{from} {until:?}");
        }
    }

    #[test]
    fn the_times_of_host_certificates_may_be_for_ever() {
        let for_ever = Validity::of_secs(0, u64::MAX);
        assert_eq!(for_ever, Validity { from: 0, until: None });
        assert_eq!(for_ever.state(i64::MAX), CertificateState::Ok);
        assert_eq!(Validity::of_secs(1, 2), Validity { from: 1_000, until: Some(2_000) });
    }

    /// Times of both kinds: a year below 2050, and one after it.
    const SAMPLE: &str = include_str!("../tests/certificate.pem");

    #[test]
    fn the_times_of_a_certificate_are_read() {
        let der = CertificateDer::from_pem_slice(SAMPLE.as_bytes()).expect("a certificate");
        // 2026-01-02 03:04:05 and 2055-06-07 08:09:10, both UTC.
        let read = Validity { from: 1_767_323_045_000, until: Some(2_695_968_550_000) };
        assert_eq!(Validity::of_x509(&der), Some(read));
    }

    #[test]
    fn what_is_cut_off_or_no_certificate_has_no_times() {
        let der = CertificateDer::from_pem_slice(SAMPLE.as_bytes()).expect("a certificate");
        for length in 0..der.len() {
            assert_eq!(Validity::of_x509(&der[..length]), None, "{length}");
        }
        for garbage in [&b"\x30\x80"[..], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0xff; 64]] {
            assert_eq!(Validity::of_x509(garbage), None);
        }
    }
}
