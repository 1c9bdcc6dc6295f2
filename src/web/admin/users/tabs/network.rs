//! From where, how and when a user may log in.

use super::Fields;
use super::sign_in::keep_or_take;
use crate::model::{LoginProtocol, TimePeriod, User};
use crate::web::admin::users::rows::{Filling, Section, words};
use crate::web::pages::form::{FieldErrors, Form};

const TIMES: Section =
    Section { name: "access_time", texts: &["from", "to"], choices: &["day"], many: &[] };

pub const FIELDS: Fields = Fields {
    single: &["allowed_ip", "denied_ip"],
    many: &["denied_protocols"],
    sections: &[TIMES],
};

/// The protocols that can be chosen here. Others that are stored stay.
pub const PROTOCOLS: [(LoginProtocol, &str); 2] =
    [(LoginProtocol::Ssh, "SSH (SFTP, SCP, commands)"), (LoginProtocol::Http, "Web and REST API")];

pub fn fields(user: &User) -> Vec<(String, String)> {
    let filters = &user.filters;
    let mut fields = vec![
        ("allowed_ip".to_owned(), filters.allowed_ip.join("\n")),
        ("denied_ip".to_owned(), filters.denied_ip.join("\n")),
    ];
    for (protocol, _) in PROTOCOLS {
        if filters.denied_protocols.contains(&protocol) {
            fields.push(("denied_protocols".to_owned(), protocol.as_str().to_owned()));
        }
    }
    let mut rows = Filling::of(&TIMES, &mut fields);
    for period in &filters.access_time {
        rows.row(&[
            ("day", period.day_of_week.to_string()),
            ("from", period.from.clone()),
            ("to", period.to.clone()),
        ]);
    }
    fields
}

pub fn apply(form: &Form, user: &mut User, errors: &mut FieldErrors) {
    let filters = &mut user.filters;
    filters.allowed_ip = words(form.get("allowed_ip"));
    filters.denied_ip = words(form.get("denied_ip"));
    keep_or_take(&mut filters.denied_protocols, &PROTOCOLS.map(|(one, _)| one), |protocol| {
        form.all("denied_protocols").any(|name| name == protocol.as_str())
    });
    let mut periods = Vec::new();
    for (index, row) in TIMES.rows(form).iter().enumerate() {
        let day = row.get("day").parse();
        if day.is_err() {
            errors.add(format!("access_time.{index}.day"), "Choose a day.");
        }
        periods.push(TimePeriod {
            day_of_week: day.unwrap_or(0),
            from: row.get("from").to_owned(),
            to: row.get("to").to_owned(),
        });
    }
    filters.access_time = periods;
}
