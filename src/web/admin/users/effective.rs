//! What holds for a user after its groups have added to it, and from where each part is.
//! It is found by adding one group after the other with the function that sessions use.

use serde_json::{Map, Value, json};

use super::tabs::permissions::fixed_row;
use crate::model::{Effective, Group, GroupMapping, User, effective};
use crate::web::error::ApiError;
use crate::web::pages::{amount, text};
use crate::web::services::Services;

/// The user with some of its groups.
pub struct Stage {
    /// The group that was added last; nothing for the user alone.
    group: Option<String>,
    user: User,
    pub left_out: Vec<String>,
}

/// The user alone, then with one group more each time, in the order in which they count.
pub async fn stages(services: &Services, user: &User) -> Result<Vec<Stage>, ApiError> {
    let mut memberships: Vec<&GroupMapping> =
        user.groups.iter().filter(|group| group.kind != GroupMapping::MEMBERSHIP).collect();
    memberships.sort_by_key(|group| (group.kind, group.name.as_str()));
    let mut groups: Vec<Group> = Vec::new();
    let stage = |group: Option<String>, groups: &[Group]| {
        let Effective { user, left_out } = effective(user.clone(), groups);
        Stage { group, user, left_out }
    };
    let mut stages = vec![stage(None, &groups)];
    for membership in memberships {
        if let Some(group) = services.store.group(&membership.name).await? {
            groups.push(group);
            stages.push(stage(Some(membership.name.clone()), &groups));
        }
    }
    Ok(stages)
}

/// A setting and its values.
type Fact = (&'static str, &'static str, Vec<String>);

/// What holds, in words: field, label, values. A setting without a value does not count.
fn of(user: &User) -> Vec<Fact> {
    let filters = &user.filters;
    let size = |bytes: i64| (bytes > 0).then(|| amount::size_text(bytes));
    let number = |number: i64, unit: &str| {
        (number > 0).then(|| format!("{number} {unit}").trim_end().to_owned())
    };
    let joined = |list: &[String]| list.join(", ");
    let mut facts: Vec<Fact> = Vec::new();
    let mut one = |field, label, value: Option<String>| {
        facts.push((field, label, value.into_iter().filter(|value| !value.is_empty()).collect()));
    };
    one("expiration_date", "Expires", {
        let at = user.expiration_date;
        (at > 0).then(|| text::absolute(at))
    });
    one("home_dir", "Home directory", Some(user.home_dir.clone()));
    one("start_directory", "Start directory", Some(filters.start_directory.clone()));
    one("quota_size", "Quota size", size(user.quota_size));
    one("quota_files", "Quota files", number(user.quota_files, "files"));
    one("max_upload_file_size", "Largest upload", size(filters.max_upload_file_size));
    one("max_sessions", "Sessions", number(user.max_sessions, ""));
    one("upload_bandwidth", "Upload bandwidth", number(user.upload_bandwidth, "KiB/s"));
    one("download_bandwidth", "Download bandwidth", number(user.download_bandwidth, "KiB/s"));
    one("upload_data_transfer", "Data uploaded", number(user.upload_data_transfer, "MiB"));
    one("download_data_transfer", "Data downloaded", number(user.download_data_transfer, "MiB"));
    one("total_data_transfer", "Data in total", number(user.total_data_transfer, "MiB"));
    let checks = filters.disable_fs_checks.then(|| "not checked at login".to_owned());
    one("disable_fs_checks", "Home directory checks", checks);
    let permission = |(directory, list): (&str, &[crate::model::Permission])| {
        let names: Vec<&str> = list.iter().map(|one| one.as_str()).collect();
        let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        format!("{directory}: {names}")
    };
    facts.push((
        "permissions",
        "Permissions by directory",
        user.permissions.iter().map(permission).collect(),
    ));
    let pattern = |filter: &crate::model::PatternsFilter| {
        let mut told = format!("{}:", filter.path);
        if !filter.allowed_patterns.is_empty() {
            told.push_str(&format!(" only {}", joined(&filter.allowed_patterns)));
        }
        if !filter.denied_patterns.is_empty() {
            told.push_str(&format!(" not {}", joined(&filter.denied_patterns)));
        }
        if filter.hides() {
            told.push_str(", hidden");
        }
        told
    };
    facts.push((
        "file_patterns",
        "File patterns",
        filters.file_patterns.iter().map(pattern).collect(),
    ));
    let extension = |filter: &crate::model::ExtensionsFilter| {
        let (allowed, denied) = (&filter.allowed_extensions, &filter.denied_extensions);
        format!("{}: only {} not {}", filter.path, joined(allowed), joined(denied))
    };
    facts.push((
        "file_extensions",
        "File extensions",
        filters.file_extensions.iter().map(extension).collect(),
    ));
    let folder = |mount: &crate::model::VirtualFolder| {
        format!("{} is {}", mount.virtual_path, mount.folder.name)
    };
    facts.push(("virtual_folders", "Folders", user.virtual_folders.iter().map(folder).collect()));
    facts.push(("allowed_ip", "Allowed addresses", filters.allowed_ip.clone()));
    facts.push(("denied_ip", "Denied addresses", filters.denied_ip.clone()));
    let methods = filters.denied_login_methods.iter().map(|one| one.as_str().to_owned());
    facts.push(("denied_login_methods", "Denied sign-in methods", methods.collect()));
    let protocols = filters.denied_protocols.iter().map(|one| one.as_str().to_owned());
    facts.push(("denied_protocols", "Denied protocols", protocols.collect()));
    facts.push((
        "two_factor_protocols",
        "Second factor required",
        filters.two_factor_protocols.clone(),
    ));
    let bandwidth = |limit: &crate::model::BandwidthLimit| {
        let (up, down) = (limit.upload_bandwidth, limit.download_bandwidth);
        format!("{}: up {up}, down {down} KiB/s", joined(&limit.sources))
    };
    facts.push((
        "bandwidth_limits",
        "Bandwidth by source",
        filters.bandwidth_limits.iter().map(bandwidth).collect(),
    ));
    let transfer = |limit: &crate::model::DataTransferLimit| {
        let (up, down) = (limit.upload_data_transfer, limit.download_data_transfer);
        let total = limit.total_data_transfer;
        format!("{}: up {up}, down {down}, total {total} MiB", joined(&limit.sources))
    };
    facts.push((
        "data_transfer_limits",
        "Data transfer by source",
        filters.data_transfer_limits.iter().map(transfer).collect(),
    ));
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    let period = |period: &crate::model::TimePeriod| {
        let day = usize::try_from(period.day_of_week).ok().and_then(|day| DAYS.get(day));
        format!("{} {} to {}", day.unwrap_or(&"?"), period.from, period.to)
    };
    facts.push(("access_time", "Access times", filters.access_time.iter().map(period).collect()));
    facts
}

/// What holds in the end, each value with the group that it is from.
fn sourced(stages: &[Stage]) -> Vec<(Fact, Vec<Option<&str>>)> {
    let all: Vec<Vec<Fact>> = stages.iter().map(|stage| of(&stage.user)).collect();
    let Some(last) = all.last() else { return Vec::new() };
    let source_of = |field: &str, value: &String| {
        let has = |facts: &Vec<Fact>| {
            facts.iter().any(|(name, _, values)| *name == field && values.contains(value))
        };
        let at = all.iter().position(has).unwrap_or(0);
        stages.get(at).and_then(|stage| stage.group.as_deref())
    };
    last.iter()
        .map(|fact| {
            let sources = fact.2.iter().map(|value| source_of(fact.0, value)).collect();
            (fact.clone(), sources)
        })
        .collect()
}

/// A value with its group; `at` for what is a time, in Unix milliseconds.
fn shown(stages: &[Stage], field: &str, value: &str, group: Option<&str>) -> Value {
    let end = stages.last().map(|stage| stage.user.expiration_date);
    let at = end.filter(|_| field == "expiration_date");
    json!({ "value": value, "group": group, "at": at })
}

/// For the tab that shows all: what holds, and from where.
pub fn facts(stages: &[Stage]) -> Value {
    sourced(stages)
        .into_iter()
        .map(|((field, label, values), sources)| {
            let values: Vec<Value> = values
                .iter()
                .zip(sources)
                .map(|(value, source)| shown(stages, field, value, source))
                .collect();
            json!({ "field": field, "label": label, "values": values })
        })
        .collect()
}

/// For the other tabs: the values that are from a group, by field.
pub fn by_setting(stages: &[Stage]) -> Value {
    let mut inherited = Map::new();
    for ((field, _, values), sources) in sourced(stages) {
        let of_groups: Vec<Value> = values
            .iter()
            .zip(sources)
            .filter_map(|(value, source)| Some(shown(stages, field, value, Some(source?))))
            .collect();
        inherited.insert(field.to_owned(), Value::Array(of_groups));
    }
    Value::Object(inherited)
}

/// The rows of the matrix that groups add.
pub fn inherited_permissions(stages: &[Stage]) -> Value {
    let (Some(first), Some(last)) = (stages.first(), stages.last()) else { return json!([]) };
    let has = |stage: &Stage, directory: &str| {
        stage.user.permissions.iter().any(|(own, _)| own == directory)
    };
    last.user
        .permissions
        .iter()
        .filter(|(directory, _)| !has(first, directory))
        .map(|(directory, list)| {
            let from = stages.iter().find(|stage| has(stage, directory));
            let mut row = fixed_row(directory, list);
            row["group"] = json!(from.and_then(|stage| stage.group.as_deref()));
            row
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_names_the_group_that_it_is_from() {
        let user: User = serde_json::from_value(json!({
            "username": "bob", "home_dir": "/srv/bob", "quota_files": 3,
            "permissions": {"/": ["list"]},
            "groups": [{"name": "p", "type": 1}, {"name": "s", "type": 2}],
        }))
        .expect("a user");
        let group = |name: &str, settings: Value| -> Group {
            serde_json::from_value(json!({ "name": name, "user_settings": settings })).expect("one")
        };
        let p = group("p", json!({"quota_size": 5, "quota_files": 9, "permissions": {"/a": []}}));
        let s = group("s", json!({"permissions": {"/a": ["*"], "/b": ["*"]}}));
        let of = |groups: &[Group], name: Option<&str>| Stage {
            group: name.map(str::to_owned),
            user: effective(user.clone(), groups).user,
            left_out: Vec::new(),
        };
        let stages = [
            of(&[], None),
            of(std::slice::from_ref(&p), Some("p")),
            of(&[p.clone(), s], Some("s")),
        ];
        let inherited = by_setting(&stages);
        assert_eq!(inherited["quota_size"], json!([{ "value": "5 B", "group": "p", "at": null }]));
        assert_eq!(inherited["quota_files"], json!([]));
        let rows = inherited_permissions(&stages);
        assert_eq!((&rows[0]["dir"], &rows[0]["group"]), (&json!("/a"), &json!("p")));
        assert_eq!((&rows[1]["dir"], &rows[1]["group"]), (&json!("/b"), &json!("s")));
        assert_eq!(rows[1]["label"], "Full");
        let all = facts(&stages);
        let home = all.as_array().expect("a list").iter().find(|f| f["field"] == "home_dir");
        assert_eq!(home.expect("a home")["values"][0]["group"], Value::Null);
    }
}
