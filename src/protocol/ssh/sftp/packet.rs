//! The SFTP version 3 codec: draft-ietf-secsh-filexfer-02 as OpenSSH speaks it.
//!
//! Sans-IO: bytes in, [`Request`]s out that borrow from them; replies are laid out
//! once, in wire order, by the functions at the end. Nothing here allocates from a
//! length a client sent: strings are slices of what has already arrived.

use bytes::{BufMut, Bytes, BytesMut};

use crate::storage::{FileTime, SetAttributes};

/// The version we speak.
pub const VERSION: u32 = 3;

/// The largest packet accepted, as OpenSSH: 256 KiB without the length field.
pub const MAX_PACKET: usize = 256 * 1024;

/// The largest READ answered and WRITE accepted, as OpenSSH advertises in
/// `limits@openssh.com`: a packet less 1 KiB for its header.
pub const MAX_DATA: usize = MAX_PACKET - 1024;

const SSH_FXP_INIT: u8 = 1;
const SSH_FXP_VERSION: u8 = 2;
const SSH_FXP_OPEN: u8 = 3;
const SSH_FXP_CLOSE: u8 = 4;
const SSH_FXP_READ: u8 = 5;
const SSH_FXP_WRITE: u8 = 6;
const SSH_FXP_LSTAT: u8 = 7;
const SSH_FXP_FSTAT: u8 = 8;
const SSH_FXP_SETSTAT: u8 = 9;
const SSH_FXP_FSETSTAT: u8 = 10;
const SSH_FXP_OPENDIR: u8 = 11;
const SSH_FXP_READDIR: u8 = 12;
const SSH_FXP_REMOVE: u8 = 13;
const SSH_FXP_MKDIR: u8 = 14;
const SSH_FXP_RMDIR: u8 = 15;
const SSH_FXP_REALPATH: u8 = 16;
const SSH_FXP_STAT: u8 = 17;
const SSH_FXP_RENAME: u8 = 18;
const SSH_FXP_READLINK: u8 = 19;
const SSH_FXP_SYMLINK: u8 = 20;
const SSH_FXP_STATUS: u8 = 101;
const SSH_FXP_HANDLE: u8 = 102;
const SSH_FXP_DATA: u8 = 103;
const SSH_FXP_NAME: u8 = 104;
const SSH_FXP_ATTRS: u8 = 105;
const SSH_FXP_EXTENDED: u8 = 200;
const SSH_FXP_EXTENDED_REPLY: u8 = 201;

const ATTR_SIZE: u32 = 0x0000_0001;
const ATTR_UIDGID: u32 = 0x0000_0002;
const ATTR_PERMISSIONS: u32 = 0x0000_0004;
const ATTR_ACMODTIME: u32 = 0x0000_0008;
const ATTR_EXTENDED: u32 = 0x8000_0000;

/// The `pflags` of SSH_FXP_OPEN (section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFlags(pub u32);

impl OpenFlags {
    pub const READ: u32 = 0x01;
    pub const WRITE: u32 = 0x02;
    pub const APPEND: u32 = 0x04;
    pub const CREATE: u32 = 0x08;
    pub const TRUNCATE: u32 = 0x10;
    pub const EXCLUSIVE: u32 = 0x20;

    pub fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }
}

/// File attributes as they travel (section 5). Times are Unix seconds in 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    pub size: Option<u64>,
    pub owner: Option<(u32, u32)>,
    /// With the file-type bits when we send it; their presence is ignored when received.
    pub permissions: Option<u32>,
    /// Accessed, modified.
    pub times: Option<(u32, u32)>,
}

impl Attributes {
    /// What a client asks to change; type bits of the mode are dropped.
    pub fn to_change(self) -> SetAttributes {
        let time = |secs: u32| FileTime { secs: i64::from(secs), nanos: 0 };
        SetAttributes {
            size: self.size,
            mode: self.permissions.map(|mode| mode & 0o7777),
            owner: self.owner,
            times: self.times.map(|(accessed, modified)| (time(accessed), time(modified))),
        }
    }
}

/// A handle as we issue it: a slot and a generation, so that a closed handle's
/// number does not name the next file opened in its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HandleId {
    pub slot: u32,
    pub generation: u32,
}

impl HandleId {
    fn from_wire(raw: &[u8]) -> Option<Self> {
        let raw: [u8; 8] = raw.try_into().ok()?;
        let [a, b, c, d, e, f, g, h] = raw;
        Some(Self {
            slot: u32::from_be_bytes([a, b, c, d]),
            generation: u32::from_be_bytes([e, f, g, h]),
        })
    }

    fn to_wire(self) -> [u8; 8] {
        let [a, b, c, d] = self.slot.to_be_bytes();
        let [e, f, g, h] = self.generation.to_be_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

/// One request. A handle we never issued is `None`: the client gets a failure for
/// that request and the session goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'a> {
    Init {
        version: u32,
    },
    Open {
        path: &'a [u8],
        flags: OpenFlags,
        attributes: Attributes,
    },
    Close {
        handle: Option<HandleId>,
    },
    Read {
        handle: Option<HandleId>,
        offset: u64,
        len: u32,
    },
    Write {
        handle: Option<HandleId>,
        offset: u64,
        data: &'a [u8],
    },
    Lstat {
        path: &'a [u8],
    },
    Fstat {
        handle: Option<HandleId>,
    },
    Setstat {
        path: &'a [u8],
        attributes: Attributes,
    },
    Fsetstat {
        handle: Option<HandleId>,
        attributes: Attributes,
    },
    Opendir {
        path: &'a [u8],
    },
    Readdir {
        handle: Option<HandleId>,
    },
    Remove {
        path: &'a [u8],
    },
    Mkdir {
        path: &'a [u8],
        attributes: Attributes,
    },
    Rmdir {
        path: &'a [u8],
    },
    Realpath {
        path: &'a [u8],
    },
    Stat {
        path: &'a [u8],
    },
    Rename {
        from: &'a [u8],
        to: &'a [u8],
    },
    Readlink {
        path: &'a [u8],
    },
    /// In OpenSSH's order, which differs from the draft: the target first.
    Symlink {
        target: &'a [u8],
        link: &'a [u8],
    },
    PosixRename {
        from: &'a [u8],
        to: &'a [u8],
    },
    Statvfs {
        path: &'a [u8],
    },
    Fstatvfs {
        handle: Option<HandleId>,
    },
    Hardlink {
        from: &'a [u8],
        to: &'a [u8],
    },
    Fsync {
        handle: Option<HandleId>,
    },
    Limits,
    CopyData {
        source: Option<HandleId>,
        source_offset: u64,
        /// 0 means until the end of the source.
        len: u64,
        target: Option<HandleId>,
        target_offset: u64,
    },
    /// An extension we do not have, or a packet type that does not exist.
    Unsupported,
}

/// Why a packet could not be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// It ended inside a field. With the request id if that much arrived.
    Truncated { id: Option<u32> },
    /// Its length field is zero or above [`MAX_PACKET`]: the stream cannot be
    /// followed any more and the channel must close.
    Length(u32),
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.bytes(8)?.try_into().ok().map(u64::from_be_bytes)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.bytes(usize::try_from(len).ok()?)
    }

    fn handle(&mut self) -> Option<Option<HandleId>> {
        Some(HandleId::from_wire(self.string()?))
    }

    fn attributes(&mut self) -> Option<Attributes> {
        let flags = self.u32()?;
        let mut out = Attributes::default();
        if flags & ATTR_SIZE != 0 {
            out.size = Some(self.u64()?);
        }
        if flags & ATTR_UIDGID != 0 {
            out.owner = Some((self.u32()?, self.u32()?));
        }
        if flags & ATTR_PERMISSIONS != 0 {
            out.permissions = Some(self.u32()?);
        }
        if flags & ATTR_ACMODTIME != 0 {
            out.times = Some((self.u32()?, self.u32()?));
        }
        if flags & ATTR_EXTENDED != 0 {
            // Pairs we have no use for; each costs at least eight bytes of the
            // packet, so the count cannot make this loop longer than the packet.
            for _ in 0..self.u32()? {
                self.string()?;
                self.string()?;
            }
        }
        Some(out)
    }
}

/// The length of the packet that starts `input`, without its length field;
/// `None` until four bytes have arrived.
pub fn frame_len(input: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(head) = input.first_chunk::<4>() else { return Ok(None) };
    let len = u32::from_be_bytes(*head);
    match usize::try_from(len) {
        Ok(n @ 1..=MAX_PACKET) => Ok(Some(n)),
        _ => Err(Malformed::Length(len)),
    }
}

/// Decodes one packet, given without its length field, into its request id and
/// the request. `Init` has no id; 0 is returned.
pub fn decode(packet: &[u8]) -> Result<(u32, Request<'_>), Malformed> {
    let mut fields = Fields(packet);
    let kind = fields.u8().ok_or(Malformed::Truncated { id: None })?;
    if kind == SSH_FXP_INIT {
        let version = fields.u32().ok_or(Malformed::Truncated { id: None })?;
        return Ok((0, Request::Init { version }));
    }
    let id = fields.u32().ok_or(Malformed::Truncated { id: None })?;
    let request = body(kind, &mut fields).ok_or(Malformed::Truncated { id: Some(id) })?;
    Ok((id, request))
}

fn body<'a>(kind: u8, f: &mut Fields<'a>) -> Option<Request<'a>> {
    Some(match kind {
        SSH_FXP_OPEN => Request::Open {
            path: f.string()?,
            flags: OpenFlags(f.u32()?),
            attributes: f.attributes()?,
        },
        SSH_FXP_CLOSE => Request::Close { handle: f.handle()? },
        SSH_FXP_READ => Request::Read { handle: f.handle()?, offset: f.u64()?, len: f.u32()? },
        SSH_FXP_WRITE => {
            Request::Write { handle: f.handle()?, offset: f.u64()?, data: f.string()? }
        }
        SSH_FXP_LSTAT => Request::Lstat { path: f.string()? },
        SSH_FXP_FSTAT => Request::Fstat { handle: f.handle()? },
        SSH_FXP_SETSTAT => Request::Setstat { path: f.string()?, attributes: f.attributes()? },
        SSH_FXP_FSETSTAT => Request::Fsetstat { handle: f.handle()?, attributes: f.attributes()? },
        SSH_FXP_OPENDIR => Request::Opendir { path: f.string()? },
        SSH_FXP_READDIR => Request::Readdir { handle: f.handle()? },
        SSH_FXP_REMOVE => Request::Remove { path: f.string()? },
        // Some clients leave out the attributes of MKDIR.
        SSH_FXP_MKDIR => Request::Mkdir {
            path: f.string()?,
            attributes: if f.0.is_empty() { Attributes::default() } else { f.attributes()? },
        },
        SSH_FXP_RMDIR => Request::Rmdir { path: f.string()? },
        SSH_FXP_REALPATH => Request::Realpath { path: f.string()? },
        SSH_FXP_STAT => Request::Stat { path: f.string()? },
        SSH_FXP_RENAME => Request::Rename { from: f.string()?, to: f.string()? },
        SSH_FXP_READLINK => Request::Readlink { path: f.string()? },
        SSH_FXP_SYMLINK => Request::Symlink { target: f.string()?, link: f.string()? },
        SSH_FXP_EXTENDED => match f.string()? {
            b"posix-rename@openssh.com" => {
                Request::PosixRename { from: f.string()?, to: f.string()? }
            }
            b"statvfs@openssh.com" => Request::Statvfs { path: f.string()? },
            b"fstatvfs@openssh.com" => Request::Fstatvfs { handle: f.handle()? },
            b"hardlink@openssh.com" => Request::Hardlink { from: f.string()?, to: f.string()? },
            b"fsync@openssh.com" => Request::Fsync { handle: f.handle()? },
            b"limits@openssh.com" => Request::Limits,
            b"copy-data" => Request::CopyData {
                source: f.handle()?,
                source_offset: f.u64()?,
                len: f.u64()?,
                target: f.handle()?,
                target_offset: f.u64()?,
            },
            _ => Request::Unsupported,
        },
        _ => Request::Unsupported,
    })
}

/// Splits a channel's byte stream into packets. Holds at most one packet.
#[derive(Debug, Default)]
pub struct Framer {
    partial: Vec<u8>,
}

impl Framer {
    /// Of a packet that has not arrived whole: how many bytes have, and of how many. The
    /// latter is 0 until its length is known, or if there is none.
    pub fn partial(&self) -> (usize, usize) {
        let whole = frame_len(&self.partial).ok().flatten().map_or(0, |len| 4 + len);
        (self.partial.len(), whole)
    }

    /// Calls `packet` for each complete packet in what arrived so far followed by
    /// `input`, without the length field, until it returns an error. Packets that
    /// arrived whole are borrowed from `input`; only one cut by its end is copied.
    pub fn feed<E: From<Malformed>>(
        &mut self,
        mut input: &[u8],
        mut packet: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !self.partial.is_empty() {
            let need = match frame_len(&self.partial)? {
                Some(len) => 4 + len,
                None => 4,
            };
            let take = (need - self.partial.len()).min(input.len());
            let (head, rest) = input.split_at(take);
            self.partial.extend_from_slice(head);
            input = rest;
            if self.partial.len() < need {
                return Ok(());
            }
            if need > 4 {
                // Kept while it is used: its capacity serves the next cut packet.
                let whole = std::mem::take(&mut self.partial);
                let done = packet(whole.get(4..).unwrap_or_default());
                self.partial = whole;
                self.partial.clear();
                done?;
            }
        }
        loop {
            match frame_len(input)? {
                Some(len) if input.len() >= 4 + len => {
                    let (whole, rest) = input.split_at(4 + len);
                    input = rest;
                    packet(whole.get(4..).unwrap_or_default())?;
                }
                Some(len) => {
                    self.partial.reserve(4 + len);
                    self.partial.extend_from_slice(input);
                    return Ok(());
                }
                None => {
                    self.partial.extend_from_slice(input);
                    return Ok(());
                }
            }
        }
    }
}

/// SSH_FXP_STATUS codes of version 3 (section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum StatusCode {
    Ok = 0,
    Eof = 1,
    NoSuchFile = 2,
    PermissionDenied = 3,
    Failure = 4,
    BadMessage = 5,
    OpUnsupported = 8,
}

/// One name of a directory listing or a path reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub file_name: Vec<u8>,
    /// As `ls -l` prints it.
    pub long_name: Vec<u8>,
    pub attributes: Attributes,
}

fn begin(kind: u8, body_len: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(5 + body_len);
    out.put_u32(0);
    out.put_u8(kind);
    out
}

fn end(mut out: BytesMut) -> Bytes {
    let len = u32::try_from(out.len().saturating_sub(4)).unwrap_or(u32::MAX);
    if let Some(head) = out.first_chunk_mut::<4>() {
        *head = len.to_be_bytes();
    }
    out.freeze()
}

fn put_string(out: &mut BytesMut, value: &[u8]) {
    out.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(value);
}

fn put_attributes(out: &mut BytesMut, a: &Attributes) {
    let mut flags = 0;
    for (present, bit) in [
        (a.size.is_some(), ATTR_SIZE),
        (a.owner.is_some(), ATTR_UIDGID),
        (a.permissions.is_some(), ATTR_PERMISSIONS),
        (a.times.is_some(), ATTR_ACMODTIME),
    ] {
        if present {
            flags |= bit;
        }
    }
    out.put_u32(flags);
    if let Some(size) = a.size {
        out.put_u64(size);
    }
    if let Some((uid, gid)) = a.owner {
        out.put_u32(uid);
        out.put_u32(gid);
    }
    if let Some(mode) = a.permissions {
        out.put_u32(mode);
    }
    if let Some((accessed, modified)) = a.times {
        out.put_u32(accessed);
        out.put_u32(modified);
    }
}

/// SSH_FXP_VERSION with the extensions we have, as name and version.
pub fn version_reply(extensions: &[(&str, &str)]) -> Bytes {
    let mut out = begin(SSH_FXP_VERSION, 256);
    out.put_u32(VERSION);
    for (name, data) in extensions {
        put_string(&mut out, name.as_bytes());
        put_string(&mut out, data.as_bytes());
    }
    end(out)
}

pub fn status_reply(id: u32, code: StatusCode, message: &str) -> Bytes {
    let mut out = begin(SSH_FXP_STATUS, 16 + message.len());
    out.put_u32(id);
    out.put_u32(code as u32);
    put_string(&mut out, message.as_bytes());
    put_string(&mut out, b"");
    end(out)
}

pub fn handle_reply(id: u32, handle: HandleId) -> Bytes {
    let mut out = begin(SSH_FXP_HANDLE, 16);
    out.put_u32(id);
    put_string(&mut out, &handle.to_wire());
    end(out)
}

/// SSH_FXP_DATA around bytes that are read straight into the reply: `fill` gets
/// room for `len` bytes and says how many it filled, or why it did not.
pub fn data_reply_with<E>(
    id: u32,
    len: usize,
    fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Result<Option<Bytes>, E> {
    const HEADER: usize = 13;
    let mut out = begin(SSH_FXP_DATA, 8 + len);
    out.put_u32(id);
    out.put_u32(0);
    out.resize(HEADER + len, 0);
    let filled = fill(out.get_mut(HEADER..).unwrap_or_default())?.min(len);
    if filled == 0 {
        return Ok(None);
    }
    out.truncate(HEADER + filled);
    if let Some(field) = out.get_mut(9..HEADER) {
        field.copy_from_slice(&u32::try_from(filled).unwrap_or(u32::MAX).to_be_bytes());
    }
    Ok(Some(end(out)))
}

pub fn data_reply(id: u32, data: &[u8]) -> Bytes {
    let mut out = begin(SSH_FXP_DATA, 8 + data.len());
    out.put_u32(id);
    put_string(&mut out, data);
    end(out)
}

pub fn attributes_reply(id: u32, attributes: &Attributes) -> Bytes {
    let mut out = begin(SSH_FXP_ATTRS, 40);
    out.put_u32(id);
    put_attributes(&mut out, attributes);
    end(out)
}

pub fn name_reply(id: u32, names: &[Name]) -> Bytes {
    let size = names.iter().map(|n| n.file_name.len() + n.long_name.len() + 48).sum::<usize>();
    let mut out = begin(SSH_FXP_NAME, 8 + size);
    out.put_u32(id);
    out.put_u32(u32::try_from(names.len()).unwrap_or(u32::MAX));
    for name in names {
        put_string(&mut out, &name.file_name);
        put_string(&mut out, &name.long_name);
        put_attributes(&mut out, &name.attributes);
    }
    end(out)
}

/// SSH_FXP_EXTENDED_REPLY with 64-bit fields: `statvfs@openssh.com`, `limits@openssh.com`.
pub fn extended_u64_reply(id: u32, fields: &[u64]) -> Bytes {
    let mut out = begin(SSH_FXP_EXTENDED_REPLY, 4 + fields.len() * 8);
    out.put_u32(id);
    for field in fields {
        out.put_u64(*field);
    }
    end(out)
}

#[cfg(test)]
mod tests;
