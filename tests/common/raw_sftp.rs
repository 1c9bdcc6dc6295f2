//! An SFTP client that sends exactly what a test says and shows the answer as it is.

use std::sync::Arc;

use russh::keys::PublicKeyOrCertificate;
use russh::{ChannelMsg, client};

use super::server::PASSWORD;

/// SSH_FXF flags of OPEN (draft-ietf-secsh-filexfer-02 section 6.3).
pub const READ: u32 = 1;
pub const WRITE: u32 = 2;
pub const APPEND: u32 = 4;
pub const CREATE: u32 = 8;
pub const TRUNCATE: u32 = 16;
pub const EXCLUSIVE: u32 = 32;

/// SSH_FX codes of STATUS (section 7).
pub const OK: u32 = 0;
pub const NO_SUCH_FILE: u32 = 2;
pub const PERMISSION_DENIED: u32 = 3;
pub const FAILURE: u32 = 4;
pub const OP_UNSUPPORTED: u32 = 8;

struct AnyHostKey;

impl client::Handler for AnyHostKey {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// What the server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Status(u32),
    Handle(Vec<u8>),
    Data(Vec<u8>),
    /// Only the names, without `.` and `..`.
    Names(Vec<Vec<u8>>),
    /// ATTRS or EXTENDED_REPLY: the fields.
    Other(Vec<u8>),
}

impl Reply {
    /// The code of a STATUS; anything else is a success.
    pub fn code(&self) -> u32 {
        match self {
            Self::Status(code) => *code,
            _ => OK,
        }
    }
}

/// Attributes of a request (section 5).
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes {
    pub size: Option<u64>,
    pub owner: Option<(u32, u32)>,
    pub mode: Option<u32>,
    pub times: Option<(u32, u32)>,
}

impl Attributes {
    fn encode(self) -> Vec<u8> {
        let mut flags = 0_u32;
        let mut fields = Vec::new();
        if let Some(size) = self.size {
            flags |= 1;
            fields.extend(size.to_be_bytes());
        }
        if let Some((uid, gid)) = self.owner {
            flags |= 2;
            fields.extend(uid.to_be_bytes());
            fields.extend(gid.to_be_bytes());
        }
        if let Some(mode) = self.mode {
            flags |= 4;
            fields.extend(mode.to_be_bytes());
        }
        if let Some((accessed, modified)) = self.times {
            flags |= 8;
            fields.extend(accessed.to_be_bytes());
            fields.extend(modified.to_be_bytes());
        }
        [flags.to_be_bytes().to_vec(), fields].concat()
    }
}

pub fn string(value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [&(value.len() as u32).to_be_bytes()[..], value].concat()
}

/// One channel, initialised.
pub struct RawSftp {
    _connection: client::Handle<AnyHostKey>,
    channel: russh::Channel<client::Msg>,
    received: Vec<u8>,
    last_id: u32,
}

impl RawSftp {
    pub async fn login(port: u16, username: &str) -> Self {
        let config = Arc::new(client::Config::default());
        let mut connection =
            client::connect(config, ("127.0.0.1", port), AnyHostKey).await.unwrap();
        let answer = connection.authenticate_password(username, PASSWORD).await.unwrap();
        assert!(answer.success(), "{username} cannot log in: {answer:?}");
        let channel = connection.channel_open_session().await.unwrap();
        channel.request_subsystem(true, "sftp").await.unwrap();
        let mut client =
            Self { _connection: connection, channel, received: Vec::new(), last_id: 0 };
        client.channel.data(&[0, 0, 0, 5, 1, 0, 0, 0, 3][..]).await.unwrap();
        assert_eq!(client.packet().await[0], 2, "VERSION");
        client
    }

    async fn packet(&mut self) -> Vec<u8> {
        loop {
            if let Some((length, rest)) = self.received.split_first_chunk() {
                let length = u32::from_be_bytes(*length) as usize;
                if rest.len() >= length {
                    let packet = rest[..length].to_vec();
                    self.received.drain(..4 + length);
                    return packet;
                }
            }
            match self.channel.wait().await {
                Some(ChannelMsg::Data { data }) => self.received.extend_from_slice(&data),
                Some(ChannelMsg::Success | ChannelMsg::WindowAdjusted { .. }) => {}
                other => panic!("instead of a reply: {other:?}"),
            }
        }
    }

    /// Sends a request without waiting for its reply; its id.
    pub async fn send(&mut self, kind: u8, fields: &[u8]) -> u32 {
        self.last_id += 1;
        let length = (5 + fields.len()) as u32;
        let head = [&length.to_be_bytes()[..], &[kind], &self.last_id.to_be_bytes()].concat();
        self.channel.data(&[&head, fields].concat()[..]).await.unwrap();
        self.last_id
    }

    /// The next reply, whose request had `id`.
    pub async fn reply_to(&mut self, id: u32) -> Reply {
        let packet = self.packet().await;
        let number = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
        assert_eq!(number(1), id, "replies come in order");
        let text = |at: usize| packet[at + 4..at + 4 + number(at) as usize].to_vec();
        match packet[0] {
            101 => Reply::Status(number(5)),
            102 => Reply::Handle(text(5)),
            103 => Reply::Data(text(5)),
            104 => {
                let mut names = Vec::new();
                let mut at = 9;
                for _ in 0..number(5) {
                    let name = text(at);
                    at += 4 + name.len();
                    at += 4 + number(at) as usize;
                    let flags = number(at);
                    at += 4;
                    for (flag, size) in [(1, 8), (2, 8), (4, 4), (8, 8)] {
                        at += if flags & flag != 0 { size } else { 0 };
                    }
                    if name != b"." && name != b".." {
                        names.push(name);
                    }
                }
                Reply::Names(names)
            }
            _ => Reply::Other(packet[5..].to_vec()),
        }
    }

    pub async fn ask(&mut self, kind: u8, fields: &[u8]) -> Reply {
        let id = self.send(kind, fields).await;
        self.reply_to(id).await
    }

    pub async fn extended(&mut self, name: &str, fields: &[u8]) -> Reply {
        self.ask(200, &[string(name), fields.to_vec()].concat()).await
    }

    pub async fn open(&mut self, path: &str, flags: u32) -> Reply {
        let fields = [string(path), flags.to_be_bytes().to_vec(), vec![0; 4]].concat();
        self.ask(3, &fields).await
    }

    pub async fn close(&mut self, handle: &[u8]) -> Reply {
        self.ask(4, &string(handle)).await
    }

    pub async fn read(&mut self, handle: &[u8]) -> Reply {
        let range = [0_u64.to_be_bytes().to_vec(), 1000_u32.to_be_bytes().to_vec()].concat();
        self.ask(5, &[string(handle), range].concat()).await
    }

    pub async fn write(&mut self, handle: &[u8], data: &[u8]) -> Reply {
        let fields = [string(handle), 0_u64.to_be_bytes().to_vec(), string(data)].concat();
        self.ask(6, &fields).await
    }

    pub async fn lstat(&mut self, path: &str) -> Reply {
        self.ask(7, &string(path)).await
    }

    pub async fn set_attributes(&mut self, path: &str, wanted: Attributes) -> Reply {
        self.ask(9, &[string(path), wanted.encode()].concat()).await
    }

    pub async fn set_attributes_of(&mut self, handle: &[u8], wanted: Attributes) -> Reply {
        self.ask(10, &[string(handle), wanted.encode()].concat()).await
    }

    pub async fn open_dir(&mut self, path: &str) -> Reply {
        self.ask(11, &string(path)).await
    }

    /// All entries of a directory, sorted, or why there are none.
    pub async fn list(&mut self, path: &str) -> Result<Vec<String>, u32> {
        let Reply::Handle(handle) = self.open_dir(path).await else {
            return Err(self.open_dir(path).await.code());
        };
        let mut found = Vec::new();
        while let Reply::Names(names) = self.ask(12, &string(&handle)).await {
            found.extend(names.into_iter().map(|name| String::from_utf8_lossy(&name).into_owned()));
        }
        self.close(&handle).await;
        found.sort();
        Ok(found)
    }

    pub async fn remove(&mut self, path: &str) -> Reply {
        self.ask(13, &string(path)).await
    }

    pub async fn make_dir(&mut self, path: &str) -> Reply {
        self.ask(14, &[string(path), vec![0; 4]].concat()).await
    }

    pub async fn remove_dir(&mut self, path: &str) -> Reply {
        self.ask(15, &string(path)).await
    }

    pub async fn real_path(&mut self, path: &str) -> Reply {
        self.ask(16, &string(path)).await
    }

    pub async fn stat(&mut self, path: &str) -> Reply {
        self.ask(17, &string(path)).await
    }

    pub async fn rename(&mut self, from: &str, to: &str) -> Reply {
        self.ask(18, &[string(from), string(to)].concat()).await
    }

    pub async fn posix_rename(&mut self, from: &str, to: &str) -> Reply {
        let fields = [string(from), string(to)].concat();
        self.extended("posix-rename@openssh.com", &fields).await
    }

    pub async fn read_link(&mut self, path: &str) -> Reply {
        self.ask(19, &string(path)).await
    }

    /// In OpenSSH's order.
    pub async fn symlink(&mut self, target: &str, link: &str) -> Reply {
        self.ask(20, &[string(target), string(link)].concat()).await
    }

    pub async fn hard_link(&mut self, from: &str, to: &str) -> Reply {
        let fields = [string(from), string(to)].concat();
        self.extended("hardlink@openssh.com", &fields).await
    }

    pub async fn space(&mut self, path: &str) -> Reply {
        self.extended("statvfs@openssh.com", &string(path)).await
    }

    /// Everything of one open file into another.
    pub async fn copy_data(&mut self, source: &[u8], target: &[u8]) -> Reply {
        let (zeros, at) = (vec![0; 16], vec![0; 8]);
        let fields = [string(source), zeros, string(target), at].concat();
        self.extended("copy-data", &fields).await
    }
}
