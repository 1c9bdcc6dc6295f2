//! Any bytes at the beginning of a connection: judged without a panic, and a header is
//! never longer than what was read, nor understood from a part of it.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../src/protocol/listener/proxy/header.rs"]
mod header;

use header::{Parsed, parse};

fuzz_target!(|bytes: &[u8]| {
    if let Parsed::Header { length, .. } = parse(bytes) {
        assert!(length <= bytes.len());
        assert_eq!(parse(&bytes[..length]), parse(bytes));
        assert_eq!(parse(&bytes[..length - 1]), Parsed::Incomplete);
    }
});
