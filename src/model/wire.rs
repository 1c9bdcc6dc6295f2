//! How tolerant reading the wire is: `null` counts as absent, as older servers
//! write `null` for empty lists and objects.

use serde::{Deserialize, Deserializer};

/// For `#[serde(deserialize_with)]`: `null` becomes the default value.
pub fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// For `#[serde(skip_serializing_if)]`: true for the type's default value.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
