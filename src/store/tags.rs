//! Tags: names for snapshots, each in a small file that is replaced atomically.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::history::History;
use super::refs::{check_tag, known_tag_fault};
use super::write_lock::WriteLock;
use crate::error::{At, Error, Result};
use crate::page::Digest;
use crate::sys::{create, no_follow};

/// Prefix of the names of tag files.
const PREFIX: &str = "tag-";

/// The content of a tag file: the id, and a check over the name and the id.
fn line(tag: &str, id: &Digest) -> String {
    let check = Digest::of(format!("memsnap tag 1\n{tag}\n{id}").as_bytes());
    format!("{id} {}\n", &check.to_string()[..16])
}

impl History {
    fn tag_path(&self, tag: &str) -> PathBuf {
        self.dir().join("names").join(format!("{PREFIX}{tag}"))
    }

    /// Sets `tag` to snapshot `id`; a tag of another snapshot moves.
    #[doc(hidden)]
    pub fn tag(&self, _lock: &WriteLock, tag: &str, id: &Digest) -> Result<()> {
        check_tag(tag)?;
        let dir = self.make_names()?;
        create::write_small_for(&dir, self.owner(), OsStr::new(&format!("{PREFIX}{tag}")), line(tag, id).as_bytes())
    }

    /// Returns the id that `tag` names, if there is such a tag.
    #[doc(hidden)]
    pub fn tagged(&self, tag: &str) -> Result<Option<Digest>> {
        let path = self.tag_path(tag);
        let Some(bytes) = create::read_small_if_any(&path, 256)? else { return Ok(None) };
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        let id = text.get(..64).and_then(|id| id.parse().ok()).filter(|id| line(tag, id) == text);
        id.map(Some).ok_or_else(|| Error::damaged(&path, "it does not hold an id with its check"))
    }

    /// Returns all tags with the ids that they name, sorted; an error for each damaged one.
    #[doc(hidden)]
    pub fn tags(&self) -> Result<Vec<(String, Result<Digest>)>> {
        let dir = self.dir().join("names");
        let mut out = Vec::new();
        let entries = match no_follow::read_dir(&dir) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(out),
            entries => entries.at("listing", &dir)?,
        };
        for entry in entries {
            let name = entry.at("listing", &dir)?.file_name();
            let Some(tag) = name.to_str().and_then(|n| n.strip_prefix(PREFIX)) else { continue };
            if known_tag_fault(tag).is_none()
                && let Some(found) = self.tagged(tag).transpose()
            {
                out.push((tag.to_string(), found));
            }
        }
        out.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(out)
    }
}
