//! What a line of the log tells: one short sentence, and the rest for who wants it.

use serde_json::{Map, Value};

use crate::web::pages::text;

/// What a page of events shows elsewhere in the row.
const PLACED: [&str; 6] = ["time", "level", "sender", "username", "connection_id", "request_id"];

/// The sentence and the members of the line that are neither in it nor elsewhere in the
/// row, as `key=value`. Both are text as it was logged: the caller makes it visible.
pub fn told(line: &Map<String, Value>) -> (String, Vec<String>) {
    let mut line = Line { members: line, used: Vec::new() };
    let sentence = line.sentence();
    (sentence, line.rest())
}

struct Line<'a> {
    members: &'a Map<String, Value>,
    /// What the sentence has told.
    used: Vec<&'static str>,
}

impl<'a> Line<'a> {
    fn sentence(&mut self) -> String {
        if self.members.contains_key("resp_status") {
            return self.request();
        }
        let sender = self.members.get("sender").and_then(Value::as_str).unwrap_or_default();
        match sender {
            "Upload" => self.transfer("Uploaded", "Uploading"),
            "Download" => self.transfer("Downloaded", "Downloading"),
            "login" => self.login(),
            "connection_failed" => self.refused(),
            "Rename" => self.two_paths("Renamed", "to"),
            "Copy" => self.two_paths("Copied", "to"),
            "Symlink" => self.two_paths("Linked to", "from"),
            "Mkdir" => self.one_path("Made directory"),
            "Rmdir" => self.one_path("Removed directory"),
            "Remove" => self.one_path("Removed"),
            "Chmod" => self.changed("filemode", "mode"),
            "Chtimes" => self.changed("modification_time", "modification time"),
            "Truncate" => self.changed("size", "size"),
            "Chown" => self.owner(),
            "SSHCommand" => format!("Ran {}", self.text("ssh_command")),
            _ => self.message(),
        }
    }

    /// An answered HTTP request. The query stays among the rest.
    fn request(&mut self) -> String {
        let (method, uri) = (self.text("method"), self.peek("uri"));
        let (path, query) =
            uri.split_once('?').map_or((uri, None), |(path, rest)| (path, Some(rest)));
        if query.is_none() {
            self.used.push("uri");
        }
        let (status, elapsed) = (self.number("resp_status"), self.number("elapsed_ms"));
        format!("{method} {path} was answered with {status} in {}", milliseconds(elapsed))
    }

    fn transfer(&mut self, done: &str, trying: &str) -> String {
        let path = self.text("virtual_path");
        let (size, elapsed) = (self.number("size_bytes"), self.number("elapsed_ms"));
        let (size, elapsed) = (text::bytes(size), milliseconds(elapsed));
        match self.members.contains_key("error") {
            true => {
                let error = self.text("error");
                format!("{trying} {path} failed after {size}: {error}")
            }
            false => format!("{done} {path}, {size} in {elapsed}"),
        }
    }

    fn login(&mut self) -> String {
        let (method, protocol, ip) = (self.text("method"), self.text("protocol"), self.text("ip"));
        let client = match self.text("client") {
            "" => String::new(),
            client => format!(" with {client}"),
        };
        format!("Signed in over {protocol} by {method} from {ip}{client}")
    }

    fn refused(&mut self) -> String {
        let (protocol, method) = (self.text("protocol"), self.text("login_type"));
        let (ip, error) = (self.text("client_ip"), self.text("error"));
        match method {
            "no_auth_tried" => format!("{protocol} from {ip} ended before a sign-in: {error}"),
            "" => format!("{protocol} sign-in from {ip} failed: {error}"),
            _ => format!("{protocol} sign-in by {method} from {ip} failed: {error}"),
        }
    }

    fn one_path(&mut self, done: &str) -> String {
        format!("{done} {}", self.text("file_path"))
    }

    fn two_paths(&mut self, done: &str, link: &str) -> String {
        let (from, to) = (self.text("file_path"), self.text("target_path"));
        format!("{done} {from} {link} {to}")
    }

    fn changed(&mut self, value: &'static str, what: &str) -> String {
        let path = self.text("file_path");
        let to = match self.members.get(value) {
            Some(Value::Number(number)) => {
                self.used.push(value);
                number.to_string()
            }
            _ => self.text(value).to_owned(),
        };
        match to.as_str() {
            "" => format!("Changed the {what} of {path}"),
            to => format!("Changed the {what} of {path} to {to}"),
        }
    }

    fn owner(&mut self) -> String {
        let path = self.text("file_path");
        format!("Changed the owner of {path} to {}:{}", self.number("uid"), self.number("gid"))
    }

    fn message(&mut self) -> String {
        let (message, error) = (self.text("message"), self.text("error"));
        match (message, error) {
            (message, "") => message.to_owned(),
            ("", error) => error.to_owned(),
            (message, error) => format!("{message}: {error}"),
        }
    }

    fn peek(&self, key: &str) -> &'a str {
        self.members.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn text(&mut self, key: &'static str) -> &'a str {
        self.used.push(key);
        self.peek(key)
    }

    fn number(&mut self, key: &'static str) -> u64 {
        self.used.push(key);
        self.members.get(key).and_then(Value::as_u64).unwrap_or(0)
    }

    /// Everything else that says something.
    fn rest(&self) -> Vec<String> {
        let is_told = |key: &str| PLACED.contains(&key) || self.used.contains(&key);
        let others = self.members.iter().filter(|(key, _)| !is_told(key));
        others
            .filter_map(|(key, value)| match value {
                Value::Null => None,
                Value::String(text) if text.is_empty() => None,
                Value::String(text) => Some(format!("{key}={text}")),
                // What a command of another kind would have had.
                Value::Number(number) if number.as_i64() == Some(-1) => None,
                other => Some(format!("{key}={other}")),
            })
            .collect()
    }
}

fn milliseconds(elapsed: u64) -> String {
    match elapsed {
        ..1_000 => format!("{elapsed} ms"),
        _ => text::duration(elapsed / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_line_is_told_in_a_sentence() {
        for (line, sentence, rest) in [
            (
                json!({"sender": "httpd", "local_addr": "127.0.0.1:80", "method": "GET",
                    "proto": "HTTP/1.1", "remote_addr": "192.0.2.1:5", "request_id": "r",
                    "uri": "/api/v2/users?limit=2", "user_agent": "curl/8", "resp_status": 404,
                    "resp_size": 12, "elapsed_ms": 3}),
                "GET /api/v2/users was answered with 404 in 3 ms",
                vec![
                    "local_addr=127.0.0.1:80",
                    "proto=HTTP/1.1",
                    "remote_addr=192.0.2.1:5",
                    "uri=/api/v2/users?limit=2",
                    "user_agent=curl/8",
                    "resp_size=12",
                ],
            ),
            (
                json!({"sender": "telemetry", "method": "GET", "uri": "/metrics",
                    "resp_status": 200, "elapsed_ms": 61_000}),
                "GET /metrics was answered with 200 in 1 m 1 s",
                vec![],
            ),
            (
                json!({"sender": "Upload", "elapsed_ms": 2_000, "size_bytes": 4_100_000,
                    "username": "ann", "file_path": "/srv/ann/x", "virtual_path": "/x",
                    "connection_id": "SFTP_1_1", "protocol": "SFTP"}),
                "Uploaded /x, 4.10 MB in 2 s",
                vec!["file_path=/srv/ann/x", "protocol=SFTP"],
            ),
            (
                json!({"sender": "Download", "elapsed_ms": 5, "size_bytes": 0,
                    "virtual_path": "/x", "error": "no such file"}),
                "Downloading /x failed after 0 B: no such file",
                vec![],
            ),
            (
                json!({"sender": "login", "ip": "192.0.2.1", "username": "ann",
                    "method": "publickey", "protocol": "SSH", "client": "SSH-2.0-x",
                    "encrypted": true, "info": ""}),
                "Signed in over SSH by publickey from 192.0.2.1 with SSH-2.0-x",
                vec!["encrypted=true"],
            ),
            (
                json!({"sender": "connection_failed", "client_ip": "192.0.2.1",
                    "username": "ann", "login_type": "password", "protocol": "SSH",
                    "error": "wrong"}),
                "SSH sign-in by password from 192.0.2.1 failed: wrong",
                vec![],
            ),
            (
                json!({"sender": "connection_failed", "client_ip": "192.0.2.1", "username": "",
                    "login_type": "no_auth_tried", "protocol": "SSH", "error": "gone"}),
                "SSH from 192.0.2.1 ended before a sign-in: gone",
                vec![],
            ),
            (
                json!({"sender": "Rename", "file_path": "/a", "target_path": "/b",
                    "filemode": "", "uid": -1, "gid": -1, "size": -1, "elapsed": 3}),
                "Renamed /a to /b",
                vec!["elapsed=3"],
            ),
            (
                json!({"sender": "Chmod", "file_path": "/a", "filemode": "0644", "uid": -1}),
                "Changed the mode of /a to 0644",
                vec![],
            ),
            (
                json!({"sender": "Chtimes", "file_path": "/a", "modification_time": ""}),
                "Changed the modification time of /a",
                vec![],
            ),
            (
                json!({"sender": "Truncate", "file_path": "/a", "size": 7}),
                "Changed the size of /a to 7",
                vec![],
            ),
            (
                json!({"sender": "Chown", "file_path": "/a", "uid": 5, "gid": 6}),
                "Changed the owner of /a to 5:6",
                vec![],
            ),
            (
                json!({"sender": "SSHCommand", "ssh_command": "md5sum /a", "file_path": ""}),
                "Ran md5sum /a",
                vec![],
            ),
            (json!({"sender": "service", "message": "beware"}), "beware", vec![]),
            (json!({"message": "m", "error": "e", "n": 1}), "m: e", vec!["n=1"]),
            (json!({}), "", vec![]),
        ] {
            let found = told(line.as_object().expect("an object"));
            let rest: Vec<String> = rest.into_iter().map(str::to_owned).collect();
            assert_eq!(found, (sentence.to_owned(), rest));
        }
    }

    #[test]
    fn members_of_another_type_than_usual_do_no_harm() {
        for line in [
            json!({"sender": "Upload", "virtual_path": 5, "size_bytes": "x", "elapsed_ms": -4}),
            json!({"resp_status": [], "uri": {}, "method": null}),
            json!({"sender": ["login"], "message": {"a": 1}}),
        ] {
            told(line.as_object().expect("an object"));
        }
    }
}
