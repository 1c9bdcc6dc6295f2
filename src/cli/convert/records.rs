//! Files of lines with fields between colons, read as bytes: nobody promises UTF-8.

use super::{Problems, Source};

/// One line that is neither empty nor a comment.
pub struct Record<'a> {
    /// Counted from 1.
    pub line: usize,
    fields: Vec<&'a [u8]>,
}

impl<'a> Record<'a> {
    /// A field, counted from 0; empty if there are fewer.
    pub fn field(&self, index: usize) -> &'a [u8] {
        self.fields.get(index).copied().unwrap_or_default()
    }
}

/// The records of a file; a line with another number of fields is a problem.
pub fn records<'a>(source: &'a Source, fields: usize, problems: &mut Problems) -> Vec<Record<'a>> {
    let bytes = source.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&source.bytes);
    let mut records = Vec::new();
    for (index, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let is_comment = text.trim_ascii_start().first().is_none_or(|byte| *byte == b'#');
        // "+::::::" asks another directory service for accounts.
        if is_comment || matches!(text.first(), Some(b'+' | b'-')) {
            continue;
        }
        let record = Record { line: index + 1, fields: text.split(|byte| *byte == b':').collect() };
        match record.fields.len() {
            found if found == fields => records.push(record),
            found => problems.add(source, index + 1, format!("has {found} fields, not {fields}")),
        }
    }
    records
}
