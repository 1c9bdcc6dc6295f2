//! Which objects of a list are wanted, and in which order. Whatever is not set is met by
//! all; what is equal in the order comes by name. `text` is part of one of the named
//! fields, whatever the case of ASCII letters.

/// Which users are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserQuery {
    /// Of the name, the e-mail address or the description.
    pub text: Option<String>,
    pub state: Option<UserState>,
    /// A group they are in.
    pub group: Option<String>,
    pub role: Option<String>,
    pub sort: UserSort,
}

/// Whether users may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserState {
    /// Also those who have expired.
    Enabled,
    Disabled,
    /// The expiration date has passed: the own one, or the one that the primary group gives.
    Expired,
    /// Enabled, and that date passes within the next seven days.
    Expiring,
    /// Enabled, and nine tenths of the quota, of bytes or of files, are used. The quota is
    /// what counts in sessions: that of the primary group where the user has none.
    NearQuota,
    /// Never logged in.
    NeverLoggedIn,
}

/// What a list of users is sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserSort {
    #[default]
    Username,
    LastLogin,
    CreatedAt,
    /// As for [`UserState::Expired`].
    ExpirationDate,
    UsedSize,
    /// The part of the quota that is used, of bytes or of files, whichever is more. As for
    /// [`UserState::NearQuota`]; 0 without a quota.
    Fullness,
}

/// Which folders are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderQuery {
    /// Of the name, the path on the server or the description.
    pub text: Option<String>,
    pub state: Option<FolderState>,
    /// A user who mounts it, other than by a group.
    pub user: Option<String>,
    /// A group that mounts it.
    pub group: Option<String>,
    /// The role of the users who count; all do if there is none.
    pub role: Option<String>,
    pub sort: FolderSort,
}

/// Whether a user or a group mounts a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderState {
    Mounted,
    Unmounted,
}

/// What a list of folders is sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FolderSort {
    #[default]
    Name,
    UsedSize,
    LastQuotaUpdate,
}

/// Which groups are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupQuery {
    /// Of the name or the description.
    pub text: Option<String>,
    pub state: Option<GroupState>,
    /// A user who is in it.
    pub user: Option<String>,
    /// A folder that it mounts.
    pub folder: Option<String>,
    /// The role of the users who count; all do if there is none.
    pub role: Option<String>,
    pub sort: GroupSort,
}

/// Whether users are in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupState {
    WithUsers,
    WithoutUsers,
}

/// What a list of groups is sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GroupSort {
    #[default]
    Name,
    CreatedAt,
    UpdatedAt,
}

/// Which roles are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleQuery {
    /// Of the name or the description.
    pub text: Option<String>,
    pub sort: RoleSort,
}

/// What a list of roles is sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RoleSort {
    #[default]
    Name,
    CreatedAt,
    UpdatedAt,
}

/// Which admins are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdminQuery {
    /// Of the name, the e-mail address, the description or the role.
    pub text: Option<String>,
    pub state: Option<AdminState>,
    /// A group that their new users join.
    pub group: Option<String>,
    pub role: Option<String>,
    pub sort: AdminSort,
}

/// Whether and how admins may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminState {
    Enabled,
    Disabled,
    /// Enabled, and one-time passwords are off.
    NoSecondFactor,
    /// Never logged in.
    NeverLoggedIn,
}

/// What a list of admins is sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AdminSort {
    #[default]
    Username,
    LastLogin,
    CreatedAt,
    UpdatedAt,
}
