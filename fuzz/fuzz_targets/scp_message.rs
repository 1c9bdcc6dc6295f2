//! The SCP protocol on arbitrary bytes: no panic, no line beyond the limit, the same lines
//! however the stream is cut, and no name that leads elsewhere.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../src/protocol/ssh/exec/scp/message.rs"]
mod message;

use message::{Lines, MAX_LINE, Message};

fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut lines = Lines::default();
    let mut found = Vec::new();
    for piece in pieces {
        let mut piece = Bytes::copy_from_slice(piece);
        loop {
            match lines.next(&mut piece) {
                Ok(Some(line)) => found.push(line),
                Ok(None) => break,
                Err(_) => return found,
            }
        }
        assert!(piece.is_empty());
    }
    found
}

fuzz_target!(|data: &[u8]| {
    let Some((cut, stream)) = data.split_first() else { return };
    let (head, tail) = stream.split_at(usize::from(*cut).min(stream.len()));
    let whole = lines(&[stream]);
    assert_eq!(whole, lines(&[head, tail]));
    for line in whole {
        assert!(line.len() <= MAX_LINE);
        match message::parse(&line) {
            Ok(Message::File { mode, name, .. } | Message::Directory { mode, name }) => {
                assert!(mode <= 0o7777);
                assert!(!name.is_empty() && name != b"." && name != b"..");
                assert!(!name.contains(&b'/') && !name.contains(&0) && !name.contains(&b'\n'));
                let again = message::announce(b'C', mode, 5, &name);
                let again = message::parse(again.strip_suffix(b"\n").unwrap_or_default());
                assert_eq!(again, Ok(Message::File { mode, size: 5, name }));
            }
            Ok(Message::Times { modified, accessed }) => {
                let again = message::times(modified, accessed);
                let again = message::parse(again.strip_suffix(b"\n").unwrap_or_default());
                assert_eq!(again, Ok(Message::Times { modified, accessed }));
            }
            Ok(Message::Warning(text) | Message::Fatal(text)) => {
                let line = message::warning(&text);
                assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            }
            _ => {}
        }
    }
});
