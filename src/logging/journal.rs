//! systemd's journal, in its native protocol: one datagram per line.
//!
//! The line stays whole as the message, so that whoever reads the journal gets the
//! fields that a log file has. systemd's description of the protocol:
//! <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Where journald listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// How the journal calls us.
const IDENTIFIER: &str = "sftpgo";

/// The journal's socket, by its name: it survives a restart of journald.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    datagram: Vec<u8>,
}

impl Journal {
    /// Fails if nobody listens at `path`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // Not to stay connected, only to learn of its absence before the first line.
        UnixDatagram::unbound()?.connect(path)?;
        Ok(Self { socket, path: path.to_owned(), datagram: Vec::new() })
    }

    /// Sends whole lines; what comes after one that cannot be sent is lost with it.
    pub(super) fn write_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.datagram.clear();
            for (field, value) in [
                ("MESSAGE", line),
                ("PRIORITY", priority(line)),
                ("SYSLOG_IDENTIFIER", IDENTIFIER.as_bytes()),
            ] {
                // The short form of a field: a line has no newline inside.
                self.datagram.extend_from_slice(field.as_bytes());
                self.datagram.push(b'=');
                self.datagram.extend_from_slice(value);
                self.datagram.push(b'\n');
            }
            self.socket.send_to(&self.datagram, &self.path)?;
        }
        Ok(())
    }
}

/// As syslog(3) counts, from the level that every line begins with.
fn priority(line: &[u8]) -> &'static [u8] {
    let level = line.strip_prefix(br#"{"level":""#).and_then(<[u8]>::first);
    match level {
        Some(b'e') => b"3",
        Some(b'w') => b"4",
        Some(b'd') => b"7",
        _ => b"6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_datagram_with_its_priority() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        assert!(Journal::open(&path).is_err(), "nobody listens");
        let listening = UnixDatagram::bind(&path).unwrap();
        let mut journal = Journal::open(&path).unwrap();
        let lines = [
            (r#"{"level":"error","message":"a\nb"}"#, "3"),
            (r#"{"level":"warn"}"#, "4"),
            (r#"{"level":"info","message":"PRIORITY=0"}"#, "6"),
            (r#"{"level":"debug"}"#, "7"),
        ];
        let batch: String = lines.iter().map(|(line, _)| format!("{line}\n")).collect();
        journal.write_lines(batch.as_bytes()).unwrap();
        let mut received = [0; 1024];
        let mut next = |from: &UnixDatagram| {
            let len = from.recv(&mut received).unwrap();
            String::from_utf8_lossy(&received[..len]).into_owned()
        };
        for (line, priority) in lines {
            let expected =
                format!("MESSAGE={line}\nPRIORITY={priority}\nSYSLOG_IDENTIFIER=sftpgo\n");
            assert_eq!(next(&listening), expected);
        }

        // journald was started anew.
        drop(listening);
        std::fs::remove_file(&path).unwrap();
        assert!(journal.write_lines(b"{}\n").is_err());
        let listening = UnixDatagram::bind(&path).unwrap();
        journal.write_lines(b"{}\n").unwrap();
        assert!(next(&listening).starts_with("MESSAGE={}\n"));
    }
}
