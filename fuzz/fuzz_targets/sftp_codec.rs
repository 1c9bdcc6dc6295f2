//! The SFTP codec on arbitrary bytes: it never panics, never buffers more than one
//! packet, and finds the same packets however the stream is cut.
//!
//! The codec is sans-IO, so only its file is compiled here, with the few types it
//! names: a run needs neither the rest of the server nor its dependencies.

#![no_main]

use libfuzzer_sys::fuzz_target;

/// The two types of the storage layer that attributes turn into.
mod storage {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct FileTime {
        pub secs: i64,
        pub nanos: u32,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct SetAttributes {
        pub size: Option<u64>,
        pub mode: Option<u32>,
        pub owner: Option<(u32, u32)>,
        pub times: Option<(FileTime, FileTime)>,
    }
}

#[allow(dead_code)]
#[path = "../../src/protocol/ssh/sftp/packet.rs"]
mod packet;

use packet::{Framer, Malformed, Request};

fn packets(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Option<Malformed>) {
    let mut framer = Framer::default();
    let mut found = Vec::new();
    for chunk in chunks {
        let fed = framer.feed(chunk, |packet| {
            found.push(packet.to_vec());
            Ok::<(), Malformed>(())
        });
        if let Err(error) = fed {
            return (found, Some(error));
        }
    }
    (found, None)
}

fuzz_target!(|data: &[u8]| {
    let _ = packet::decode(data);

    // The first byte says where to cut the rest.
    let Some((cut, stream)) = data.split_first() else { return };
    let cut = usize::from(*cut).min(stream.len());
    let (head, tail) = stream.split_at(cut);
    let (whole, error) = packets(&[stream]);
    let in_parts = packets(&[head, tail]);
    assert_eq!((&whole, &error), (&in_parts.0, &in_parts.1));

    for bytes in &whole {
        if let Ok((id, request)) = packet::decode(bytes) {
            match request {
                Request::Setstat { attributes, .. } | Request::Fsetstat { attributes, .. } => {
                    let _ = attributes.to_change();
                    let _ = packet::attributes_reply(id, &attributes);
                }
                Request::Write { data, .. } => {
                    let reply = packet::data_reply(id, data);
                    assert_eq!(reply.len(), 13 + data.len());
                }
                _ => {}
            }
        }
    }
});
