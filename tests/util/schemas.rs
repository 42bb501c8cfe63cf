//! `docs/json.md` as data, and whether JSON objects are as it says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::Value;

/// A documented field.
#[derive(Debug)]
pub(crate) struct Field {
    types: Vec<String>,
    /// It may be left out.
    optional: bool,
}

/// The fields of each schema, by their paths: `a.b`, `a[].b`, `a.*`.
type Schemas = BTreeMap<String, BTreeMap<String, Field>>;

/// All that is documented.
pub(crate) fn documented() -> &'static Schemas {
    static ALL: OnceLock<Schemas> = OnceLock::new();
    ALL.get_or_init(|| read(include_str!("../../docs/json.md")))
}

fn read(page: &str) -> Schemas {
    let mut all = Schemas::new();
    let mut current: Vec<String> = Vec::new();
    for line in page.lines() {
        if let Some(names) = line.strip_prefix("### ") {
            current = names.split(", ").map(str::to_owned).collect();
            current
                .iter()
                .for_each(|name| assert!(all.insert(name.clone(), BTreeMap::new()).is_none(), "{name} twice"));
        } else if let Some(row) = line.strip_prefix("| `") {
            let (field, rest) = row.split_once("` | ").unwrap();
            let types = rest.split(" | ").next().unwrap().split(" or ");
            for name in &current {
                let optional = field.ends_with('?');
                let read = Field { types: types.clone().map(str::to_owned).collect(), optional };
                let before = all.get_mut(name).unwrap().insert(field.trim_end_matches('?').into(), read);
                assert!(before.is_none(), "{name} has {field} twice");
            }
        }
    }
    all
}

/// The paths of all fields of `value`, with their types; fields of a `.*` that `fields` has by that name.
fn paths(value: &Value, at: &str, fields: &BTreeMap<String, Field>, out: &mut BTreeSet<(String, &'static str)>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    out.insert((at.into(), kind));
    match value {
        Value::Array(all) => {
            all.iter().filter(|one| one.is_object()).for_each(|one| paths(one, &format!("{at}[]"), fields, out))
        }
        Value::Object(all) => {
            for (name, one) in all {
                let any = format!("{at}.*");
                let path = if fields.contains_key(&any) { any } else { format!("{at}.{name}") };
                paths(one, path.trim_start_matches('.'), fields, out);
            }
        }
        _ => {}
    }
}

/// The object at `at` in `value`, all of them where arrays lead there.
fn parents<'a>(value: &'a Value, at: &str) -> Vec<&'a Value> {
    let step = |values: Vec<&'a Value>, name: &str| {
        let next = |value: &'a Value| match name.strip_suffix("[]") {
            Some(name) => value[name].as_array().map_or(Vec::new(), |all| all.iter().collect()),
            None => value.get(name).into_iter().collect(),
        };
        values.into_iter().flat_map(next).filter(|value| value.is_object()).collect()
    };
    at.split('.').filter(|name| !name.is_empty()).fold(vec![value], step)
}

/// Panics unless `value` is as its schema is documented. Gives the paths of its fields.
#[track_caller]
pub(crate) fn check(value: &Value) -> (String, BTreeSet<String>) {
    let schema = value["schema"].as_str().unwrap_or_else(|| panic!("no schema: {value}"));
    let fields = documented().get(schema).unwrap_or_else(|| panic!("{schema} is not in docs/json.md: {value}"));
    let mut found = BTreeSet::new();
    paths(value, "", fields, &mut found);
    for (path, kind) in found.iter().filter(|(path, _)| !["", "schema"].contains(&path.as_str())) {
        match fields.get(path) {
            Some(field) => assert!(field.types.iter().any(|t| t == kind), "{schema}: {path} is {kind}: {value}"),
            // An object or an element of an array, of which only the fields are documented.
            None => assert!(*kind == "object", "{schema}: {path} is not in docs/json.md: {value}"),
        }
    }
    for (path, _) in fields.iter().filter(|(_, field)| !field.optional) {
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
        let lacks = parents(value, parent).iter().any(|parent| parent.get(name).is_none());
        assert!(!lacks, "{schema}: {path} is missing, but not marked as optional: {value}");
    }
    (schema.into(), found.into_iter().map(|(path, _)| path).collect())
}

impl Field {
    /// Whether it is never left out, and never null.
    pub(crate) fn is_always_there(&self) -> bool {
        !self.optional && !self.types.iter().any(|kind| kind == "null")
    }
}
