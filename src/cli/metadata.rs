//! Changes of mode, owner and attributes, as text and as JSON.

use memsnap::ops::MetadataChange;
use serde::Serialize;

use super::json::object;
use super::{escape, hex};

/// `mode 0644 -> 0600`
pub(crate) fn words(changes: &[MetadataChange]) -> Vec<String> {
    changes.iter().map(in_words).collect()
}

fn in_words(change: &MetadataChange) -> String {
    match change {
        MetadataChange::Mode { from, to } => format!("mode {from:04o} -> {to:04o}"),
        MetadataChange::Owner { from, to } => format!("owner {}:{} -> {}:{}", from.0, from.1, to.0, to.1),
        MetadataChange::Attribute { name, from, to } => {
            let what = match (from, to) {
                (None, _) => "added",
                (_, None) => "removed",
                _ => "changed",
            };
            format!("attribute {} {what}", escape::bytes(name))
        }
    }
}

/// The changes as JSON; `from` or `to` is null if the attribute is not set. Values of attributes are hexadecimal.
pub(crate) fn json(changes: &[MetadataChange]) -> Vec<impl Serialize + use<>> {
    let mode = |mode: &u32| Some(format!("{mode:04o}"));
    let owner = |owner: &(u32, u32)| Some(format!("{}:{}", owner.0, owner.1));
    let value = |value: &Option<Vec<u8>>| value.as_ref().map(|value| hex::show(value));
    let each = |change: &MetadataChange| {
        let (what, name, from, to) = match change {
            MetadataChange::Mode { from, to } => ("mode", None, mode(from), mode(to)),
            MetadataChange::Owner { from, to } => ("owner", None, owner(from), owner(to)),
            MetadataChange::Attribute { name, from, to } => {
                ("attribute", Some(String::from_utf8_lossy(name).into_owned()), value(from), value(to))
            }
        };
        object! { what, #[serde(flatten)] name: name.map(|name| object! { name }), from, to }
    };
    changes.iter().map(each).collect()
}
