use proptest::prelude::*;

use super::*;

fn string(value: &[u8]) -> Vec<u8> {
    let mut out = (value.len() as u32).to_be_bytes().to_vec();
    out.extend_from_slice(value);
    out
}

fn frame(body: &[u8]) -> Vec<u8> {
    string(body)
}

fn packet(kind: u8, id: u32, fields: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&id.to_be_bytes());
    for field in fields {
        out.extend_from_slice(field);
    }
    out
}

fn collect(framer: &mut Framer, input: &[u8], out: &mut Vec<Vec<u8>>) -> Result<(), Malformed> {
    framer.feed(input, |packet| {
        out.push(packet.to_vec());
        Ok(())
    })
}

#[test]
fn every_request_type_decodes() {
    let handle = HandleId { slot: 7, generation: 9 };
    let h = string(&handle.to_wire());
    let handle = Some(handle);
    let path = string(b"/a");
    let none = 0u32.to_be_bytes();
    let no = Attributes::default();
    let offset = 5u64.to_be_bytes();
    let len = 6u32.to_be_bytes();
    let ext = |name: &str| string(name.as_bytes());
    let table: Vec<(Vec<u8>, Request<'_>)> = vec![
        (
            packet(3, 1, &[&path, &0x1au32.to_be_bytes(), &none]),
            Request::Open { path: b"/a", flags: OpenFlags(0x1a), attributes: no },
        ),
        (packet(4, 1, &[&h]), Request::Close { handle }),
        (packet(5, 1, &[&h, &offset, &len]), Request::Read { handle, offset: 5, len: 6 }),
        (
            packet(6, 1, &[&h, &offset, &string(b"xyz")]),
            Request::Write { handle, offset: 5, data: b"xyz" },
        ),
        (packet(7, 1, &[&path]), Request::Lstat { path: b"/a" }),
        (packet(8, 1, &[&h]), Request::Fstat { handle }),
        (packet(9, 1, &[&path, &none]), Request::Setstat { path: b"/a", attributes: no }),
        (packet(10, 1, &[&h, &none]), Request::Fsetstat { handle, attributes: no }),
        (packet(11, 1, &[&path]), Request::Opendir { path: b"/a" }),
        (packet(12, 1, &[&h]), Request::Readdir { handle }),
        (packet(13, 1, &[&path]), Request::Remove { path: b"/a" }),
        (packet(14, 1, &[&path, &none]), Request::Mkdir { path: b"/a", attributes: no }),
        (packet(14, 1, &[&path]), Request::Mkdir { path: b"/a", attributes: no }),
        (packet(15, 1, &[&path]), Request::Rmdir { path: b"/a" }),
        (packet(16, 1, &[&string(b"")]), Request::Realpath { path: b"" }),
        (packet(17, 1, &[&path]), Request::Stat { path: b"/a" }),
        (packet(18, 1, &[&path, &string(b"b")]), Request::Rename { from: b"/a", to: b"b" }),
        (packet(19, 1, &[&path]), Request::Readlink { path: b"/a" }),
        (packet(20, 1, &[&path, &string(b"b")]), Request::Symlink { target: b"/a", link: b"b" }),
        (packet(21, 1, &[]), Request::Unsupported),
        (
            packet(200, 1, &[&ext("posix-rename@openssh.com"), &path, &string(b"b")]),
            Request::PosixRename { from: b"/a", to: b"b" },
        ),
        (packet(200, 1, &[&ext("statvfs@openssh.com"), &path]), Request::Statvfs { path: b"/a" }),
        (packet(200, 1, &[&ext("fstatvfs@openssh.com"), &h]), Request::Fstatvfs { handle }),
        (
            packet(200, 1, &[&ext("hardlink@openssh.com"), &path, &string(b"b")]),
            Request::Hardlink { from: b"/a", to: b"b" },
        ),
        (packet(200, 1, &[&ext("fsync@openssh.com"), &h]), Request::Fsync { handle }),
        (packet(200, 1, &[&ext("limits@openssh.com")]), Request::Limits),
        (
            packet(200, 1, &[&ext("copy-data"), &h, &offset, &offset, &h, &offset]),
            Request::CopyData {
                source: handle,
                source_offset: 5,
                len: 5,
                target: handle,
                target_offset: 5,
            },
        ),
        (packet(200, 1, &[&ext("unheard-of@example.com")]), Request::Unsupported),
    ];
    for (bytes, want) in &table {
        assert_eq!(decode(bytes).as_ref(), Ok(&(1, want_ref(want))), "{want:?}");
    }
    assert_eq!(decode(&[1, 0, 0, 0, 3]), Ok((0, Request::Init { version: 3 })));

    // Cut anywhere, a packet is truncated and keeps its id once that has arrived;
    // MKDIR alone may end before its attributes.
    for (bytes, request) in &table {
        for cut in 0..bytes.len() {
            let id = (cut >= 5).then_some(1);
            let optional = matches!(request, Request::Mkdir { .. }) && cut == 5 + path.len();
            match decode(&bytes[..cut]) {
                Err(Malformed::Truncated { id: got }) => assert_eq!(got, id),
                got => assert!(optional, "{request:?} cut at {cut}: {got:?}"),
            }
        }
    }
}

fn want_ref<'a>(want: &Request<'a>) -> Request<'a> {
    // Requests are not `Clone` on purpose; for the comparison a bit-for-bit rebuild will do.
    match want {
        Request::Open { path, flags, attributes } => {
            Request::Open { path, flags: *flags, attributes: *attributes }
        }
        Request::Close { handle } => Request::Close { handle: *handle },
        Request::Read { handle, offset, len } => {
            Request::Read { handle: *handle, offset: *offset, len: *len }
        }
        Request::Write { handle, offset, data } => {
            Request::Write { handle: *handle, offset: *offset, data }
        }
        Request::Lstat { path } => Request::Lstat { path },
        Request::Fstat { handle } => Request::Fstat { handle: *handle },
        Request::Setstat { path, attributes } => Request::Setstat { path, attributes: *attributes },
        Request::Fsetstat { handle, attributes } => {
            Request::Fsetstat { handle: *handle, attributes: *attributes }
        }
        Request::Opendir { path } => Request::Opendir { path },
        Request::Readdir { handle } => Request::Readdir { handle: *handle },
        Request::Remove { path } => Request::Remove { path },
        Request::Mkdir { path, attributes } => Request::Mkdir { path, attributes: *attributes },
        Request::Rmdir { path } => Request::Rmdir { path },
        Request::Realpath { path } => Request::Realpath { path },
        Request::Stat { path } => Request::Stat { path },
        Request::Rename { from, to } => Request::Rename { from, to },
        Request::Readlink { path } => Request::Readlink { path },
        Request::Symlink { target, link } => Request::Symlink { target, link },
        Request::PosixRename { from, to } => Request::PosixRename { from, to },
        Request::Statvfs { path } => Request::Statvfs { path },
        Request::Fstatvfs { handle } => Request::Fstatvfs { handle: *handle },
        Request::Hardlink { from, to } => Request::Hardlink { from, to },
        Request::Fsync { handle } => Request::Fsync { handle: *handle },
        Request::Limits => Request::Limits,
        Request::CopyData { source, source_offset, len, target, target_offset } => {
            Request::CopyData {
                source: *source,
                source_offset: *source_offset,
                len: *len,
                target: *target,
                target_offset: *target_offset,
            }
        }
        _ => Request::Unsupported,
    }
}

#[test]
fn attributes_travel_in_every_combination() {
    for bits in 0..16u32 {
        let sent = Attributes {
            size: (bits & 1 != 0).then_some(1 << 40),
            owner: (bits & 2 != 0).then_some((1, 2)),
            permissions: (bits & 4 != 0).then_some(0o100_644),
            times: (bits & 8 != 0).then_some((3, 4)),
        };
        let mut wire = BytesMut::new();
        put_attributes(&mut wire, &sent);
        assert_eq!(Fields(&wire).attributes(), Some(sent));
    }
}

#[test]
fn extended_attribute_pairs_are_skipped_and_bounded_by_the_packet() {
    let mut wire = ATTR_EXTENDED.to_be_bytes().to_vec();
    wire.extend_from_slice(&1u32.to_be_bytes());
    wire.extend_from_slice(&string(b"name"));
    wire.extend_from_slice(&string(b"value"));
    assert_eq!(Fields(&wire).attributes(), Some(Attributes::default()));

    let mut lying = ATTR_EXTENDED.to_be_bytes().to_vec();
    lying.extend_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(Fields(&lying).attributes(), None);
}

#[test]
fn a_foreign_handle_is_none_and_the_request_still_decodes() {
    for raw in [&b""[..], b"short", b"way too long for a handle"] {
        let bytes = packet(4, 1, &[&string(raw)]);
        assert_eq!(decode(&bytes), Ok((1, Request::Close { handle: None })));
    }
}

#[test]
fn impossible_lengths_are_refused_before_anything_is_buffered() {
    for len in [0u32, MAX_PACKET as u32 + 1, u32::MAX] {
        let mut framer = Framer::default();
        let result = collect(&mut framer, &len.to_be_bytes(), &mut Vec::new());
        assert_eq!(result, Err(Malformed::Length(len)));
        assert!(framer.partial.capacity() <= 64);
    }
    assert_eq!(frame_len(&(MAX_PACKET as u32).to_be_bytes()), Ok(Some(MAX_PACKET)));
}

#[test]
fn what_has_arrived_of_a_packet_is_known() {
    let mut framer = Framer::default();
    // (bytes that arrive, of how many bytes the packet under way has so many)
    let steps: [(&[u8], _); 6] = [
        (b"", (0, 0)),
        (b"\0\0", (2, 0)),
        (b"\0\x04a", (5, 8)),
        (b"bcd", (0, 0)),
        (b"\0\0\0\x01x\0\0\0\x02y", (5, 6)),
        (b"z", (0, 0)),
    ];
    for (bytes, expected) in steps {
        collect(&mut framer, bytes, &mut Vec::new()).unwrap();
        assert_eq!(framer.partial(), expected, "{bytes:?}");
    }
}

#[test]
fn data_replies_say_what_was_filled() {
    let reply = data_reply_with(3, 100, |room| {
        room[..2].copy_from_slice(b"ab");
        Ok::<_, ()>(2)
    });
    assert_eq!(reply, Ok(Some(data_reply(3, b"ab"))));
    assert_eq!(data_reply_with(3, 100, |_| Ok::<_, ()>(0)), Ok(None));
    assert_eq!(data_reply_with(3, 100, |_| Err("no")), Err("no"));
    assert_eq!(&data_reply(3, b"ab")[..], [0, 0, 0, 11, 103, 0, 0, 0, 3, 0, 0, 0, 2, b'a', b'b']);
}

proptest! {
    #[test]
    fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn framing_does_not_depend_on_where_the_stream_is_cut(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 1..8),
        cuts in proptest::collection::vec(1usize..400, 1..40),
    ) {
        let stream: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
        let mut framer = Framer::default();
        let mut got = Vec::new();
        let mut rest = &stream[..];
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let (head, tail) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            collect(&mut framer, head, &mut got).unwrap();
            rest = tail;
        }
        prop_assert_eq!(got, bodies);
    }
}
