//! Which settings a group's form has: where each is in the JSON of the group, how it looks,
//! and what it is called.

/// A value and its label.
pub(super) type Choice = (&'static str, &'static str);

/// One field.
pub struct Field {
    pub key: &'static str,
    /// Where it is in the group.
    pub(super) place: &'static str,
    pub(super) kind: Kind,
    pub(super) label: &'static str,
    pub(super) hint: &'static str,
}

/// What a field holds, and so how it looks.
pub(super) enum Kind {
    Path,
    Number,
    /// A number with what it counts.
    Measured(&'static str),
    Bytes,
    /// One entry a line.
    Lines,
    Switch,
    Choices(&'static [Choice]),
    /// A list of objects.
    Rows(&'static [Column]),
    /// Directory to permissions.
    Permissions,
    Folders,
}

/// A column of a field that is a table.
pub(super) struct Column {
    pub(super) key: &'static str,
    pub(super) label: &'static str,
    pub(super) cell: Cell,
}

/// What a cell of a column holds.
pub(super) enum Cell {
    Text,
    Number,
    /// Separated by commas.
    Words,
    Select(&'static [Choice]),
}

const fn column(key: &'static str, label: &'static str, cell: Cell) -> Column {
    Column { key, label, cell }
}

const fn field(
    key: &'static str,
    place: &'static str,
    kind: Kind,
    label: &'static str,
    hint: &'static str,
) -> Field {
    Field { key, place, kind, label, hint }
}

/// Heading, what it is about, fields.
type Section = (&'static str, &'static str, &'static [Field]);

const METHODS: &[Choice] = &[
    ("publickey", "Public key"),
    ("password", "Password"),
    ("password-over-SSH", "Password, by the plain SSH method"),
    ("keyboard-interactive", "Keyboard-interactive"),
    ("publickey+password", "Public key, then password"),
    ("publickey+keyboard-interactive", "Public key, then keyboard-interactive"),
];
const PROTOCOLS: &[Choice] = &[("SSH", "SSH: SFTP, SCP and commands"), ("HTTP", "HTTP: REST API")];
const DAYS: &[Choice] = &[
    ("1", "Monday"),
    ("2", "Tuesday"),
    ("3", "Wednesday"),
    ("4", "Thursday"),
    ("5", "Friday"),
    ("6", "Saturday"),
    ("0", "Sunday"),
];
/// What a row of permissions can be set to at once.
pub(super) const PRESETS: &[Choice] = &[
    ("", "As listed"),
    ("*", "Full access"),
    ("list, download", "Read only"),
    ("list, upload, create_dirs", "Drop box"),
];

/// The form.
pub const SECTIONS: &[Section] = &[
    (
        "Storage",
        "Only a primary group gives these, and only to users who have no value of their own.",
        &[
            field(
                "home_dir",
                "/user_settings/home_dir",
                Kind::Path,
                "Home directory",
                "An absolute path on the server. %username% and %role% are replaced.",
            ),
            field(
                "start_directory",
                "/user_settings/filters/start_directory",
                Kind::Path,
                "Start directory",
                "Where sessions begin, such as /in. Empty for /.",
            ),
            field(
                "disable_fs_checks",
                "/user_settings/filters/disable_fs_checks",
                Kind::Switch,
                "Home at login",
                "Do not check or create the home directory at login",
            ),
            field(
                "quota_size",
                "/user_settings/quota_size",
                Kind::Bytes,
                "Quota",
                "Such as 10 GB; a number alone is bytes.",
            ),
            field("quota_files", "/user_settings/quota_files", Kind::Number, "Files quota", ""),
            field(
                "max_upload_file_size",
                "/user_settings/filters/max_upload_file_size",
                Kind::Bytes,
                "Largest file",
                "The most that one upload may have.",
            ),
        ],
    ),
    (
        "Folders",
        "Mounted in the tree of every user, also by secondary groups.",
        &[field("virtual_folders", "/virtual_folders", Kind::Folders, "Folders", "")],
    ),
    (
        "Permissions",
        "By directory. The entry of the deepest directory alone applies; users' own entries win.",
        &[
            field(
                "permissions",
                "/user_settings/permissions",
                Kind::Permissions,
                "Directories",
                "A preset replaces what is listed. Permissions are separated by commas: list, \
                 download, upload, overwrite, delete, delete_files, delete_dirs, rename, \
                 rename_files, rename_dirs, create_dirs, create_symlinks, chmod, chown, \
                 chtimes, copy, or * for all.",
            ),
            field(
                "file_patterns",
                "/user_settings/filters/file_patterns",
                Kind::Rows(&[
                    column("path", "Directory", Cell::Text),
                    column("allowed_patterns", "Only these names", Cell::Words),
                    column("denied_patterns", "Not these names", Cell::Words),
                    column(
                        "deny_policy",
                        "Denied names are",
                        Cell::Select(&[("0", "Visible"), ("1", "Hidden")]),
                    ),
                ]),
                "Filters on names",
                "Shell patterns separated by commas, such as *.exe, *.bat.",
            ),
            field(
                "file_extensions",
                "/user_settings/filters/file_extensions",
                Kind::Rows(&[
                    column("path", "Directory", Cell::Text),
                    column("allowed_extensions", "Only these", Cell::Words),
                    column("denied_extensions", "Not these", Cell::Words),
                ]),
                "Filters on extensions",
                "Such as .zip. Filters on names can do the same.",
            ),
        ],
    ),
    (
        "Limits",
        "Of one session or account. From a primary group, for users without a value of their own.",
        &[
            field("max_sessions", "/user_settings/max_sessions", Kind::Number, "Sessions", ""),
            field(
                "expires_in",
                "/user_settings/expires_in",
                Kind::Measured("days"),
                "Account ends after",
                "Counted from the creation of the user.",
            ),
            field(
                "upload_bandwidth",
                "/user_settings/upload_bandwidth",
                Kind::Measured("KiB/s"),
                "Upload bandwidth",
                "",
            ),
            field(
                "download_bandwidth",
                "/user_settings/download_bandwidth",
                Kind::Measured("KiB/s"),
                "Download bandwidth",
                "",
            ),
            field(
                "upload_data_transfer",
                "/user_settings/upload_data_transfer",
                Kind::Measured("MiB"),
                "Data uploaded",
                "",
            ),
            field(
                "download_data_transfer",
                "/user_settings/download_data_transfer",
                Kind::Measured("MiB"),
                "Data downloaded",
                "",
            ),
            field(
                "total_data_transfer",
                "/user_settings/total_data_transfer",
                Kind::Measured("MiB"),
                "Data in both directions",
                "Replaces the two limits above.",
            ),
            field(
                "bandwidth_limits",
                "/user_settings/filters/bandwidth_limits",
                Kind::Rows(&[
                    column("sources", "From networks", Cell::Words),
                    column("upload_bandwidth", "Upload, KiB/s", Cell::Number),
                    column("download_bandwidth", "Download, KiB/s", Cell::Number),
                ]),
                "Bandwidth by network",
                "",
            ),
            field(
                "data_transfer_limits",
                "/user_settings/filters/data_transfer_limits",
                Kind::Rows(&[
                    column("sources", "From networks", Cell::Words),
                    column("upload_data_transfer", "Uploaded, MiB", Cell::Number),
                    column("download_data_transfer", "Downloaded, MiB", Cell::Number),
                    column("total_data_transfer", "Both, MiB", Cell::Number),
                ]),
                "Data by network",
                "",
            ),
        ],
    ),
    (
        "Sign-in",
        "Added to what users have themselves, also by secondary groups.",
        &[
            field(
                "allowed_ip",
                "/user_settings/filters/allowed_ip",
                Kind::Lines,
                "Allowed networks",
                "One a line, such as 203.0.113.0/24. Empty for all.",
            ),
            field(
                "denied_ip",
                "/user_settings/filters/denied_ip",
                Kind::Lines,
                "Denied networks",
                "Asked before the allowed ones.",
            ),
            field(
                "denied_login_methods",
                "/user_settings/filters/denied_login_methods",
                Kind::Choices(METHODS),
                "Denied methods",
                "",
            ),
            field(
                "denied_protocols",
                "/user_settings/filters/denied_protocols",
                Kind::Choices(PROTOCOLS),
                "Denied protocols",
                "",
            ),
            field(
                "two_factor_protocols",
                "/user_settings/filters/two_factor_protocols",
                Kind::Choices(PROTOCOLS),
                "Second factor required for",
                "",
            ),
            field(
                "access_time",
                "/user_settings/filters/access_time",
                Kind::Rows(&[
                    column("day_of_week", "Day", Cell::Select(DAYS)),
                    column("from", "From", Cell::Text),
                    column("to", "To", Cell::Text),
                ]),
                "Hours of access",
                "Such as 08:00 to 17:30. None means always.",
            ),
        ],
    ),
];

/// All fields, in the order of the form.
pub fn fields() -> impl Iterator<Item = &'static Field> {
    SECTIONS.iter().flat_map(|(_, _, fields)| fields.iter())
}

/// What the form calls a field.
pub fn label_of(key: &str) -> Option<&'static str> {
    fields().find(|field| field.key == key).map(|field| field.label)
}

const PERMISSION_COLUMNS: &[Column] = &[
    column("path", "Directory", Cell::Text),
    column("preset", "Preset", Cell::Select(PRESETS)),
    column("list", "Permissions", Cell::Words),
];
const FOLDER_COLUMNS: &[Column] = &[
    column("name", "Folder", Cell::Text),
    column("path", "Mounted at", Cell::Text),
    column(
        "counts",
        "Counts in",
        Cell::Select(&[("user", "User's quota"), ("folder", "Own quota")]),
    ),
    column("size", "Own quota", Cell::Text),
    column("files", "Own files", Cell::Text),
];

impl Field {
    /// The columns, if the field is a table.
    pub(super) fn columns(&self) -> Option<&'static [Column]> {
        match self.kind {
            Kind::Rows(columns) => Some(columns),
            Kind::Permissions => Some(PERMISSION_COLUMNS),
            Kind::Folders => Some(FOLDER_COLUMNS),
            _ => None,
        }
    }
}
