//! Lists of rows in a form: the fields of row 2 of `permissions` are `permissions.2.dir`
//! and so on. Rows in which nothing is filled in do not count.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::web::pages::form::Form;

/// Most rows of one list.
const MOST_ROWS: usize = 2_000;

/// A list of rows and what its rows consist of.
pub struct Section {
    pub name: &'static str,
    /// What is typed.
    pub texts: &'static [&'static str],
    /// What always has a value, so that it says nothing of whether the row is filled in.
    pub choices: &'static [&'static str],
    /// What can have several values.
    pub many: &'static [&'static str],
}

/// One row: its values by field.
#[derive(Debug, Default, Clone)]
pub struct Row(BTreeMap<String, Vec<String>>);

impl Row {
    /// The value of a field without white space around it; empty if there is none.
    pub fn get(&self, field: &str) -> &str {
        self.0.get(field).and_then(|values| values.first()).map_or("", |value| value.trim())
    }

    pub fn all(&self, field: &str) -> &[String] {
        self.0.get(field).map_or(&[], Vec::as_slice)
    }

    /// The words of a field: what white space and commas separate.
    pub fn words(&self, field: &str) -> Vec<String> {
        words(self.get(field))
    }
}

/// What white space and commas separate.
pub fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || c == ',');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

impl Section {
    /// The rows that are filled in, in their order.
    pub fn rows(&self, form: &Form) -> Vec<Row> {
        let mut by_index: BTreeMap<u32, Row> = BTreeMap::new();
        for (name, value) in form.fields() {
            let mut parts = name.splitn(3, '.');
            let (section, index, field) = (parts.next(), parts.next(), parts.next());
            let (Some(index), Some(field)) = (index.and_then(|i| i.parse().ok()), field) else {
                continue;
            };
            if section == Some(self.name) && self.has(field) {
                let values = by_index.entry(index).or_default();
                values.0.entry(field.to_owned()).or_default().push(value.to_owned());
            }
        }
        let is_filled = |row: &Row| {
            self.texts.iter().any(|field| !row.get(field).is_empty())
                || self.many.iter().any(|field| !row.all(field).is_empty())
        };
        by_index.into_values().filter(is_filled).take(MOST_ROWS).collect()
    }

    fn has(&self, field: &str) -> bool {
        [self.texts, self.choices, self.many].iter().any(|fields| fields.contains(&field))
    }

    /// The fields of these rows, numbered from 0.
    pub fn fields(&self, rows: &[Row]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            for (field, values) in &row.0 {
                let name = format!("{}.{index}.{field}", self.name);
                fields.extend(values.iter().map(|value| (name.clone(), value.clone())));
            }
        }
        fields
    }

    /// The rows as templates take them: every field is there.
    pub fn view(&self, form: &Form) -> Value {
        let row = |row: &Row| {
            let mut view = Map::new();
            for field in self.texts.iter().chain(self.choices) {
                view.insert((*field).to_owned(), json!(row.get(field)));
            }
            for field in self.many {
                view.insert((*field).to_owned(), json!(row.all(field)));
            }
            Value::Object(view)
        };
        self.rows(form).iter().map(row).collect()
    }
}

/// Collects the fields of rows one by one.
pub struct Filling<'a> {
    section: &'a Section,
    fields: &'a mut Vec<(String, String)>,
    next: usize,
}

impl<'a> Filling<'a> {
    pub fn of(section: &'a Section, fields: &'a mut Vec<(String, String)>) -> Self {
        Self { section, fields, next: 0 }
    }

    /// One more row.
    pub fn row(&mut self, values: &[(&str, String)]) {
        for (field, value) in values {
            let name = format!("{}.{}.{field}", self.section.name, self.next);
            self.fields.push((name, value.clone()));
        }
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTION: Section = Section { name: "s", texts: &["a"], choices: &["c"], many: &["m"] };

    #[test]
    fn rows_that_are_not_filled_in_do_not_count() {
        let form = "s.10.a=x&s.2.a=&s.2.c=1&s.3.c=2&s.3.m=p&s.3.m=q&t.1.a=y&s.x.a=z&s.1.evil=1";
        let form = Form::parse(form.as_bytes()).expect("a form");
        let rows = SECTION.rows(&form);
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].get("a"), rows[0].get("c")), ("", "2"));
        assert_eq!(rows[0].all("m"), ["p", "q"]);
        assert_eq!(rows[1].get("a"), "x");
        let names: Vec<_> = SECTION.fields(&rows).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["s.0.c", "s.0.m", "s.0.m", "s.1.a"]);
    }

    #[test]
    fn words_are_separated_by_white_space_and_commas() {
        assert_eq!(words(" a,b\r\n c ,, "), ["a", "b", "c"]);
    }
}
