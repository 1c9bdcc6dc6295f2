//! Searching and sorting lists, the same for all of them.

/// Whether a column contains what the pattern of [`part_of_text`] stands for, whatever the
/// case of ASCII letters. SQLite's LIKE does that; an engine whose LIKE minds the case
/// compares `lower(…)` of both sides here.
macro_rules! contains {
    ($column:expr, $part:expr) => {
        $column.like($part).escape('\\')
    };
}
pub(super) use contains;

/// `$body` with `$related` as the query for what users have in `$table`, as `$column`: users
/// of `$role`, if there is one.
macro_rules! related_to_users {
    ($table:ident, $column:ident, $role:expr, $related:ident => $body:expr) => {
        match &$role {
            None => {
                let $related = $table::table.select($table::$column);
                $body
            }
            Some(role) => {
                let of_role = users::table.filter(users::role.eq(role)).select(users::username);
                let $related =
                    $table::table.filter($table::username.eq_any(of_role)).select($table::$column);
                $body
            }
        }
    };
}
pub(super) use related_to_users;

/// The query in the page's direction of a column.
macro_rules! sorted {
    ($query:expr, $column:expr, $page:expr) => {
        if $page.descending { $query.order($column.desc()) } else { $query.order($column.asc()) }
    };
}
pub(super) use sorted;

/// The page's part of the query, where what is equal comes by the unique `$name`.
macro_rules! page_of {
    ($query:expr, $name:expr, $page:expr) => {{
        let query = $query.offset($page.offset.into()).limit($page.limit.into());
        if $page.descending {
            query.then_order_by($name.desc())
        } else {
            query.then_order_by($name.asc())
        }
    }};
}
pub(super) use page_of;

/// A pattern of LIKE for what contains `text`.
pub fn part_of_text(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// A number of rows.
pub fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}
