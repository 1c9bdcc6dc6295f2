//! `md5sum` and its relatives: one file, or what the client sends.

use aws_lc_rs::digest;
use md5::{Digest, Md5};

use super::stream::Reader;
use crate::error::Result;
use crate::paths::VirtualPath;
use crate::vfs::Session;

/// Read at a time.
const CHUNK: usize = 256 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

enum State {
    Md5(Md5),
    /// The others, by whatever the processor has for them.
    Sha(digest::Context),
}

impl Algorithm {
    fn start(self) -> State {
        let algorithm = match self {
            Self::Md5 => return State::Md5(Md5::new()),
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        State::Sha(digest::Context::new(algorithm))
    }
}

impl State {
    fn update(&mut self, data: &[u8]) {
        match self {
            Self::Md5(state) => state.update(data),
            Self::Sha(state) => state.update(data),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Md5(state) => hex::encode(state.finalize()),
            Self::Sha(state) => hex::encode(state.finish()),
        }
    }
}

/// The digest of a file, in hexadecimal digits.
pub async fn of_file(
    algorithm: Algorithm,
    session: &Session,
    path: &VirtualPath,
) -> Result<String> {
    let contents = session.contents(path).await?;
    let mut state = algorithm.start();
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        let len = match contents.try_read_at(offset, &mut buffer) {
            Some(read) => {
                let len = read?;
                state.update(buffer.get(..len).unwrap_or_default());
                len
            }
            None => {
                let data = contents.read_at(offset, CHUNK).await?;
                state.update(&data);
                data.len()
            }
        };
        if len == 0 {
            return Ok(state.finish());
        }
        offset += len as u64;
        // A fraction of a millisecond of computing; then it is somebody else's turn.
        tokio::task::yield_now().await;
    }
}

/// The digest of what the client sends until its end.
pub async fn of_input(algorithm: Algorithm, input: &mut Reader) -> String {
    let mut state = algorithm.start();
    while let Some(data) = input.take(CHUNK).await {
        state.update(&data);
        tokio::task::yield_now().await;
    }
    state.finish()
}

/// The line for a file called `name`, as the programs of GNU write it: a name that the
/// line could not carry is escaped, and the line then begins with a backslash.
pub fn line(digest: &str, name: &[u8]) -> Vec<u8> {
    let needs_escape = |byte: &u8| matches!(byte, b'\\' | b'\n' | b'\r');
    let mut line = Vec::with_capacity(digest.len() + name.len() + 4);
    if name.iter().any(needs_escape) {
        line.push(b'\\');
    }
    line.extend_from_slice(digest.as_bytes());
    line.extend_from_slice(b"  ");
    for byte in name {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            byte => line.push(*byte),
        }
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_abc_are_those_of_the_standards() {
        // RFC 1321, FIPS 180-4.
        let table = [
            (Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Algorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                Algorithm::Sha384,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                 8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                Algorithm::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ];
        for (algorithm, want) in table {
            let mut state = algorithm.start();
            state.update(b"ab");
            state.update(b"c");
            assert_eq!(state.finish(), want, "{algorithm:?}");
        }
    }

    #[test]
    fn odd_names_are_escaped_as_gnu_does() {
        assert_eq!(line("00", b"a b"), b"00  a b\n");
        assert_eq!(line("00", b"a\nb\\c\r"), b"\\00  a\\nb\\\\c\\r\n");
    }
}
