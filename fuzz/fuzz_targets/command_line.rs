//! Command lines of arbitrary bytes: splitting never panics and makes nothing up, and
//! words that are quoted come back; rsync's lists let nothing past that they should not.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../src/protocol/ssh/exec/command_line.rs"]
mod command_line;

#[allow(dead_code)]
#[path = "../../src/protocol/ssh/exec/rsync.rs"]
mod rsync;

fn quoted(word: &[u8]) -> Vec<u8> {
    let mut out = vec![b'\''];
    for byte in word {
        match byte {
            b'\'' => out.extend_from_slice(b"'\\''"),
            byte => out.push(*byte),
        }
    }
    out.push(b'\'');
    out
}

fuzz_target!(|line: &[u8]| {
    let Ok(words) = command_line::split(line) else { return };
    let total: usize = words.iter().map(Vec::len).sum();
    assert!(total <= line.len());
    let again: Vec<Vec<u8>> = words.iter().map(|word| quoted(word)).collect();
    let again = again.join(&b' ');
    // Quoting may make a line too long, and nothing else.
    if again.len() <= 64 * 1024 {
        assert_eq!(command_line::split(&again).as_ref(), Ok(&words));
    }
    if let Ok(invocation) = rsync::Invocation::parse(&words) {
        assert!(invocation.paths.iter().all(|path| !path.starts_with(b"-")));
        let ours = invocation.words(false, vec![b"./x".to_vec()]);
        assert!(ours.iter().any(|word| word == b"--munge-links"));
        for word in &ours {
            for forbidden in [&b"--rsh"[..], b"--daemon", b"--log-file", b"--temp-dir", b"--files-from"] {
                assert!(!word.starts_with(forbidden));
            }
        }
    }
});
