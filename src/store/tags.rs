//! Names for snapshots: one small file each, replaced atomically.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::history::History;
use super::refs::{check_tag, known_tag_fault};
use super::write_lock::WriteLock;
use crate::error::{At, Error, Result};
use crate::page::Digest;
use crate::sys::{create, no_follow};

/// What the names of tag files begin with; pins and notes will have their own.
const PREFIX: &str = "tag-";

/// What a tag file holds: the id, and a check that is bound to the name.
fn line(tag: &str, id: &Digest) -> String {
    let check = Digest::of(format!("memsnap tag 1\n{tag}\n{id}").as_bytes());
    format!("{id} {}\n", &check.to_string()[..16])
}

impl History {
    fn tag_path(&self, tag: &str) -> PathBuf {
        self.dir().join("names").join(format!("{PREFIX}{tag}"))
    }

    /// Names snapshot `id`; a tag that another has moves.
    ///
    /// # Errors
    /// [`Error::Refused`] for a name that cannot be a tag; what writing says.
    #[doc(hidden)]
    pub fn tag(&self, _writing: &WriteLock, tag: &str, id: &Digest) -> Result<()> {
        check_tag(tag)?;
        let dir = self.make_names()?;
        create::write_small_for(&dir, self.owner(), OsStr::new(&format!("{PREFIX}{tag}")), line(tag, id).as_bytes())
    }

    /// The id that `tag` names, if there is such a tag.
    ///
    /// # Errors
    /// [`Error::Damaged`] when its file does not hold together.
    #[doc(hidden)]
    pub fn tagged(&self, tag: &str) -> Result<Option<Digest>> {
        let path = self.tag_path(tag);
        let Some(bytes) = create::read_small_if_any(&path, 256)? else { return Ok(None) };
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        let id = text.get(..64).and_then(|id| id.parse().ok()).filter(|id| line(tag, id) == text);
        id.map(Some).ok_or_else(|| Error::damaged(&path, "it does not hold an id with its check"))
    }

    /// All tags with what they name, by name; those that do not hold together are errors.
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
