//! QR codes as PNG pictures (RFC 2083), small enough to need no library for pictures.

use std::io::Write;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use qrcodegen::{QrCode, QrCodeEcc};

use crate::error::{Error, ErrorKind, Result};

/// Pixels of one square, and squares of the white border that readers need.
const SCALE: usize = 6;
const BORDER: i32 = 4;

/// The picture of a QR code that says `text`.
pub fn png(text: &str) -> Result<Vec<u8>> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).map_err(|error| {
        Error::with_source(ErrorKind::InvalidInput, "too long for a QR code", error)
    })?;
    // One byte a pixel, each row after the number of its filter: none.
    let mut pixels = Vec::new();
    let across = -BORDER..code.size() + BORDER;
    for y in across.clone() {
        let mut row = vec![0];
        for x in across.clone() {
            let shade = if code.get_module(x, y) { 0 } else { 255 };
            row.extend([shade; SCALE]);
        }
        for _ in 0..SCALE {
            pixels.extend_from_slice(&row);
        }
    }
    let side = u32::try_from(across.count() * SCALE).unwrap_or_default();
    let failed = |error| Error::with_source(ErrorKind::Internal, "packing a picture", error);
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&pixels).map_err(failed)?;
    let packed = packed.finish().map_err(failed)?;

    let mut header = Vec::new();
    header.extend(side.to_be_bytes());
    header.extend(side.to_be_bytes());
    // 8 bits, shades of grey, the only compression and filter methods, not interlaced.
    header.extend([8, 0, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", &header), (b"IDAT", &packed), (b"IEND", &Vec::new())] {
        chunk(&mut png, kind, data);
    }
    Ok(png)
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).unwrap_or_default();
    let mut sum = Crc::new();
    sum.update(kind);
    sum.update(data);
    png.extend(length.to_be_bytes());
    png.extend(kind);
    png.extend(data);
    png.extend(sum.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_the_form_of_a_png() {
        let png = png("otpauth://totp/x:alice?secret=GEZDGNBVGY3TQOJQ").unwrap();
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&png[12..16], b"IHDR");
        let side = u32::from_be_bytes(png[16..20].try_into().unwrap());
        assert!(side > 100 && side.is_multiple_of(6), "{side}");
        // The end chunk, whose checksum is well known.
        assert_eq!(&png[png.len() - 12..], b"\0\0\0\0IEND\xae\x42\x60\x82");
        assert!(super::png(&"x".repeat(5000)).is_err());
    }
}
