//! How much a user may store and transfer, and how fast.

use super::Fields;
use crate::model::{BandwidthLimit, DataTransferLimit, User};
use crate::web::admin::users::rows::{Filling, Row, Section};
use crate::web::pages::amount;
use crate::web::pages::form::{FieldErrors, Form};

const BANDWIDTH: Section = Section {
    name: "bandwidth_limits",
    texts: &["sources", "upload", "download"],
    choices: &[],
    many: &[],
};
const TRANSFER: Section = Section {
    name: "data_transfer_limits",
    texts: &["sources", "upload", "download", "total"],
    choices: &[],
    many: &[],
};

pub const FIELDS: Fields = Fields {
    single: &[
        "quota_size",
        "quota_size_unit",
        "quota_files",
        "max_upload_file_size",
        "max_upload_file_size_unit",
        "max_sessions",
        "upload_bandwidth",
        "download_bandwidth",
        "upload_data_transfer",
        "download_data_transfer",
        "total_data_transfer",
    ],
    many: &[],
    sections: &[BANDWIDTH, TRANSFER],
};

pub fn fields(user: &User) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for (name, bytes) in [
        ("quota_size", user.quota_size),
        ("max_upload_file_size", user.filters.max_upload_file_size),
    ] {
        let (number, unit) = amount::size_parts(bytes);
        fields.push((name.to_owned(), number));
        fields.push((format!("{name}_unit"), unit.to_owned()));
    }
    for (name, number) in [
        ("quota_files", user.quota_files),
        ("max_sessions", user.max_sessions),
        ("upload_bandwidth", user.upload_bandwidth),
        ("download_bandwidth", user.download_bandwidth),
        ("upload_data_transfer", user.upload_data_transfer),
        ("download_data_transfer", user.download_data_transfer),
        ("total_data_transfer", user.total_data_transfer),
    ] {
        fields.push((name.to_owned(), amount::whole_text(number)));
    }
    let mut rows = Filling::of(&BANDWIDTH, &mut fields);
    for limit in &user.filters.bandwidth_limits {
        rows.row(&[
            ("sources", limit.sources.join(" ")),
            ("upload", amount::whole_text(limit.upload_bandwidth)),
            ("download", amount::whole_text(limit.download_bandwidth)),
        ]);
    }
    let mut rows = Filling::of(&TRANSFER, &mut fields);
    for limit in &user.filters.data_transfer_limits {
        rows.row(&[
            ("sources", limit.sources.join(" ")),
            ("upload", amount::whole_text(limit.upload_data_transfer)),
            ("download", amount::whole_text(limit.download_data_transfer)),
            ("total", amount::whole_text(limit.total_data_transfer)),
        ]);
    }
    fields
}

pub fn apply(form: &Form, user: &mut User, errors: &mut FieldErrors) {
    let mut bytes = |name: &str| {
        let unit = form.get(&format!("{name}_unit"));
        let unit = if unit.is_empty() { "GB" } else { unit };
        errors.take(name, amount::size(form.get(name), unit))
    };
    user.quota_size = bytes("quota_size");
    user.filters.max_upload_file_size = bytes("max_upload_file_size");
    for (name, number) in [
        ("quota_files", &mut user.quota_files),
        ("max_sessions", &mut user.max_sessions),
        ("upload_bandwidth", &mut user.upload_bandwidth),
        ("download_bandwidth", &mut user.download_bandwidth),
        ("upload_data_transfer", &mut user.upload_data_transfer),
        ("download_data_transfer", &mut user.download_data_transfer),
        ("total_data_transfer", &mut user.total_data_transfer),
    ] {
        *number = errors.take(name, amount::whole(form.get(name)));
    }
    let mut number = |section: &Section, index: usize, row: &Row, name: &str| {
        errors.take(&format!("{}.{index}.{name}", section.name), amount::whole(row.get(name)))
    };
    let mut limits = Vec::new();
    for (index, row) in BANDWIDTH.rows(form).iter().enumerate() {
        limits.push(BandwidthLimit {
            sources: row.words("sources"),
            upload_bandwidth: number(&BANDWIDTH, index, row, "upload"),
            download_bandwidth: number(&BANDWIDTH, index, row, "download"),
        });
    }
    user.filters.bandwidth_limits = limits;
    let mut limits = Vec::new();
    for (index, row) in TRANSFER.rows(form).iter().enumerate() {
        limits.push(DataTransferLimit {
            sources: row.words("sources"),
            upload_data_transfer: number(&TRANSFER, index, row, "upload"),
            download_data_transfer: number(&TRANSFER, index, row, "download"),
            total_data_transfer: number(&TRANSFER, index, row, "total"),
        });
    }
    user.filters.data_transfer_limits = limits;
}
