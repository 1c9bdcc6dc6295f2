//! The slog drain: encodes a record as one JSON line and queues it.

use std::fmt::{self, Write};
use std::sync::Arc;

use slog::{Drain, KV, Key, Level, Never, OwnedKVList, Record, Serializer};

use super::json::{Escape, member_str, push_str};
use super::lines::{APP_TAG, MEMBERS_TAG, UNWATCHED_TAG};
use super::queue::LineSender;
use super::timestamp::{self, Zone};

/// Encodes on the caller's thread, so that the time is when it was logged.
pub(super) struct JsonLines {
    queue: Arc<LineSender>,
    level: Level,
    zone: Zone,
}

impl JsonLines {
    pub(super) fn new(queue: Arc<LineSender>, level: Level, zone: Zone) -> Self {
        Self { queue, level, zone }
    }
}

impl Drain for JsonLines {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        if !record.level().is_at_least(self.level) {
            return Ok(());
        }
        let mut line = String::with_capacity(384);
        push_head(&mut line, record.level(), self.zone);
        let tag = record.tag();
        // Formatting into a String fails only if a value's own Display does; what
        // was written until then is discarded rather than logged as broken JSON.
        let encoded = if [MEMBERS_TAG, UNWATCHED_TAG, APP_TAG].contains(&tag) {
            write!(line, "{}", record.msg())
        } else {
            push_app(&mut line, record, values)
        };
        if encoded.is_err() {
            return Ok(());
        }
        line.push_str("}\n");
        match tag {
            MEMBERS_TAG => self.queue.send(line),
            UNWATCHED_TAG => self.queue.send_unwatched(line),
            _ => self.queue.send_or_drop(line),
        }
        Ok(())
    }

    fn is_enabled(&self, level: Level) -> bool {
        level.is_at_least(self.level)
    }
}

/// Appends `{"level":…,"time":…,`.
pub(super) fn push_head(line: &mut String, level: Level, zone: Zone) {
    line.push_str("{\"level\":\"");
    line.push_str(match level {
        Level::Critical | Level::Error => "error",
        Level::Warning => "warn",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    });
    line.push_str("\",\"time\":\"");
    timestamp::push_millis(line, zone.now());
    line.push_str("\",");
}

fn push_app(line: &mut String, record: &Record<'_>, values: &OwnedKVList) -> fmt::Result {
    // slog hands over the newest value first, so the first one of a key wins.
    let mut members = Members::default();
    let collected = record
        .kv()
        .serialize(record, &mut members)
        .and_then(|()| values.serialize(record, &mut members));
    line.push_str("\"sender\":");
    line.push_str(members.take("sender").as_deref().unwrap_or("\"sftpgo\""));
    if let Some(id) = members.take("connection_id") {
        line.push_str(",\"connection_id\":");
        line.push_str(&id);
    }
    line.push_str(",\"message\":\"");
    write!(Escape(line), "{}", record.msg())?;
    line.push('"');
    for (key, value) in members.0.iter().rev() {
        line.push(',');
        push_str(line, key)?;
        line.push(':');
        line.push_str(value);
    }
    if collected.is_err() {
        member_str(line, "log_error", "a value could not be formatted")?;
    }
    Ok(())
}

/// Keys with their values as JSON text, newest first, each key once.
#[derive(Default)]
struct Members(Vec<(Key, String)>);

impl Members {
    fn add(&mut self, key: Key, json: String) -> slog::Result {
        let is_fixed = ["level", "time", "message"].contains(&key);
        if !is_fixed && !self.0.iter().any(|(seen, _)| *seen == key) {
            self.0.push((key, json));
        }
        Ok(())
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(seen, _)| *seen == key)?;
        Some(self.0.remove(at).1)
    }
}

macro_rules! emit_as_json_number {
    ($($method:ident: $type:ty,)*) => {$(
        fn $method(&mut self, key: Key, value: $type) -> slog::Result {
            self.add(key, value.to_string())
        }
    )*};
}

impl Serializer for Members {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        let mut json = String::from("\"");
        write!(Escape(&mut json), "{value}")?;
        json.push('"');
        self.add(key, json)
    }

    fn emit_none(&mut self, key: Key) -> slog::Result {
        self.add(key, "null".to_owned())
    }

    fn emit_unit(&mut self, key: Key) -> slog::Result {
        self.add(key, "null".to_owned())
    }

    emit_as_json_number! {
        emit_bool: bool,
        emit_u8: u8,
        emit_i8: i8,
        emit_u16: u16,
        emit_i16: i16,
        emit_u32: u32,
        emit_i32: i32,
        emit_u64: u64,
        emit_i64: i64,
        emit_usize: usize,
        emit_isize: isize,
    }
}
