//! The lines of the SCP protocol, which has no RFC: it is what BSD's `rcp` spoke, and
//! OpenSSH's `scp -O` speaks. A line ends with a newline; its first byte says what it is.

use std::fmt;

use bytes::Bytes;

/// The longest line that is read: a name has 255 bytes where it can be stored, a
/// message of the other side may be longer.
pub const MAX_LINE: usize = 4096;

/// A line from the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// `T`: the times of the file or directory that follows, in Unix seconds.
    Times { modified: i64, accessed: i64 },
    /// `C`: a file of `size` bytes follows.
    File { mode: u32, size: u64, name: Vec<u8> },
    /// `D`: what follows is in this directory, until the matching `E`.
    Directory { mode: u32, name: Vec<u8> },
    /// `E`
    EndDirectory,
    /// `\x01`: something failed on the other side, and it goes on.
    Warning(Vec<u8>),
    /// `\x02`: something failed on the other side, and it has ended.
    Fatal(Vec<u8>),
}

/// A line that is none of those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    TooLong,
    UnknownKind,
    Times,
    Mode,
    Size,
    /// Empty, `.`, `..`, or with a slash: it names something elsewhere.
    Name,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "protocol error: line too long",
            Self::UnknownKind => "protocol error: unexpected message",
            Self::Times => "protocol error: bad times",
            Self::Mode => "protocol error: bad mode",
            Self::Size => "protocol error: bad size",
            Self::Name => "protocol error: unexpected file name",
        })
    }
}

/// Cuts lines out of the stream, whatever its pieces.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// The next line without its newline, taken off `input`; `None` when more is needed,
    /// and then all of `input` was taken.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Vec<u8>>, Malformed> {
        let (len, is_whole) = match input.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at, true),
            None => (input.len(), false),
        };
        let piece = input.split_to(len);
        if self.partial.len() + piece.len() > MAX_LINE {
            return Err(Malformed::TooLong);
        }
        self.partial.extend_from_slice(&piece);
        if !is_whole {
            return Ok(None);
        }
        let _newline = input.split_to(1);
        Ok(Some(std::mem::take(&mut self.partial)))
    }
}

/// Reads a line without its newline.
pub fn parse(line: &[u8]) -> Result<Message, Malformed> {
    let Some((kind, rest)) = line.split_first() else { return Err(Malformed::UnknownKind) };
    match kind {
        b'T' => {
            let (modified, rest) = number(rest).ok_or(Malformed::Times)?;
            let (_micros, rest) = spaced_number(rest).ok_or(Malformed::Times)?;
            let (accessed, rest) = spaced_number(rest).ok_or(Malformed::Times)?;
            let (_micros, rest) = spaced_number(rest).ok_or(Malformed::Times)?;
            let seconds = |number| i64::try_from(number).map_err(|_| Malformed::Times);
            if !rest.is_empty() {
                return Err(Malformed::Times);
            }
            Ok(Message::Times { modified: seconds(modified)?, accessed: seconds(accessed)? })
        }
        b'C' => {
            let (mode, size, name) = entry(rest)?;
            Ok(Message::File { mode, size, name })
        }
        b'D' => {
            let (mode, _size, name) = entry(rest)?;
            Ok(Message::Directory { mode, name })
        }
        b'E' if rest.is_empty() => Ok(Message::EndDirectory),
        1 => Ok(Message::Warning(rest.to_vec())),
        2 => Ok(Message::Fatal(rest.to_vec())),
        _ => Err(Malformed::UnknownKind),
    }
}

/// `0644 123 name`
fn entry(rest: &[u8]) -> Result<(u32, u64, Vec<u8>), Malformed> {
    let (digits, rest) = rest.split_at_checked(4).ok_or(Malformed::Mode)?;
    if !digits.iter().all(|digit| (b'0'..=b'7').contains(digit)) {
        return Err(Malformed::Mode);
    }
    let mode = digits.iter().fold(0, |mode, digit| mode * 8 + u32::from(digit - b'0'));
    let (size, rest) = spaced_number(rest).ok_or(Malformed::Size)?;
    // What no file can have is no size; sums of it must not overflow either.
    let size = i64::try_from(size).map_err(|_| Malformed::Size)?.unsigned_abs();
    let name = rest.strip_prefix(b" ").ok_or(Malformed::Name)?;
    if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') || name.contains(&0)
    {
        return Err(Malformed::Name);
    }
    Ok((mode, size, name.to_vec()))
}

fn spaced_number(rest: &[u8]) -> Option<(u64, &[u8])> {
    number(rest.strip_prefix(b" ")?)
}

fn number(rest: &[u8]) -> Option<(u64, &[u8])> {
    let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = rest.split_at_checked(len)?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, rest))
}

/// The line that announces a file or, with `D`, a directory.
pub fn announce(kind: u8, mode: u32, size: u64, name: &[u8]) -> Vec<u8> {
    let mut line = vec![kind];
    line.extend_from_slice(format!("{:04o} {size} ", mode & 0o7777).as_bytes());
    line.extend_from_slice(name);
    line.push(b'\n');
    line
}

/// The line with the times of what follows. Version 1 clients know no negative ones.
pub fn times(modified: i64, accessed: i64) -> Vec<u8> {
    format!("T{} 0 {} 0\n", modified.max(0), accessed.max(0)).into_bytes()
}

/// A `\x01` line: this failed, and we go on.
pub fn warning(text: &[u8]) -> Vec<u8> {
    let mut line = b"\x01scp: ".to_vec();
    // It is shown on a terminal, and ends at its newline.
    line.extend(text.iter().take(MAX_LINE / 2).map(|byte| match byte {
        0..b' ' | 0x7f => b'?',
        byte => *byte,
    }));
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_mean_what_openssh_means() {
        let file = |mode, size, name: &str| Message::File { mode, size, name: name.into() };
        let table: &[(&[u8], Result<Message, Malformed>)] = &[
            (b"C0644 12 a", Ok(file(0o644, 12, "a"))),
            (b"C4755 0 -rf", Ok(file(0o4755, 0, "-rf"))),
            (b"C0644 12  a  b ", Ok(file(0o644, 12, " a  b "))),
            (b"C0644 9223372036854775807 a", Ok(file(0o644, i64::MAX as u64, "a"))),
            (b"C0644 9223372036854775808 a", Err(Malformed::Size)),
            (b"C0644 -1 a", Err(Malformed::Size)),
            (b"C0644 1 ", Err(Malformed::Name)),
            (b"C0644 1", Err(Malformed::Name)),
            (b"C0644 1 ..", Err(Malformed::Name)),
            (b"C0644 1 .", Err(Malformed::Name)),
            (b"C0644 1 a/b", Err(Malformed::Name)),
            (b"C0644 1 /", Err(Malformed::Name)),
            (b"C0644 1 a\0b", Err(Malformed::Name)),
            (b"C0844 1 a", Err(Malformed::Mode)),
            (b"C644 1 a", Err(Malformed::Mode)),
            (b"C06", Err(Malformed::Mode)),
            (b"D0755 0 d", Ok(Message::Directory { mode: 0o755, name: b"d".to_vec() })),
            (b"D0755 0 ../d", Err(Malformed::Name)),
            (b"E", Ok(Message::EndDirectory)),
            (b"Ex", Err(Malformed::UnknownKind)),
            (b"T12 0 34 0", Ok(Message::Times { modified: 12, accessed: 34 })),
            (b"T12 999999 34 1", Ok(Message::Times { modified: 12, accessed: 34 })),
            (b"T12 0 34", Err(Malformed::Times)),
            (b"T-12 0 34 0", Err(Malformed::Times)),
            (b"T12 0 34 0 5", Err(Malformed::Times)),
            (b"T99999999999999999999 0 34 0", Err(Malformed::Times)),
            (b"\x01oh", Ok(Message::Warning(b"oh".to_vec()))),
            (b"\x02oh", Ok(Message::Fatal(b"oh".to_vec()))),
            (b"", Err(Malformed::UnknownKind)),
            (b"\0", Err(Malformed::UnknownKind)),
            (b"X", Err(Malformed::UnknownKind)),
        ];
        for (line, want) in table {
            assert_eq!(&parse(line), want, "{:?}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn what_we_announce_is_what_we_read() {
        let line = announce(b'C', 0o100_640, 77, b"name");
        assert_eq!(line, b"C0640 77 name\n");
        assert_eq!(times(-5, 6), b"T0 0 6 0\n");
        assert_eq!(warning(b"/a\nb\x1b[31m: gone"), b"\x01scp: /a?b?[31m: gone\n");
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = Lines::default();
        for _ in 0..MAX_LINE / 16 {
            assert_eq!(lines.next(&mut Bytes::from_static(&[b'a'; 16])), Ok(None));
        }
        assert_eq!(lines.next(&mut Bytes::from_static(b"a")), Err(Malformed::TooLong));
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_the_stream_is_cut(
            stream in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..300) {
            let read = |pieces: &[&[u8]]| {
                let mut lines = Lines::default();
                let mut found = Vec::new();
                for piece in pieces {
                    let mut piece = Bytes::copy_from_slice(piece);
                    while let Ok(Some(line)) = lines.next(&mut piece) {
                        found.push(line);
                    }
                }
                found
            };
            let (head, tail) = stream.split_at(cut.min(stream.len()));
            let whole = read(&[&stream]);
            prop_assert_eq!(&whole, &read(&[head, tail]));
            for line in whole {
                if let Ok(Message::File { name, .. } | Message::Directory { name, .. }) = parse(&line) {
                    prop_assert!(!name.contains(&b'/') && name != b".." && name != b"." && !name.is_empty());
                }
            }
        }
    }
}
