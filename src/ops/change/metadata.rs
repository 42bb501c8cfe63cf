//! Mode, owner and attributes of a target: what of them differs from a snapshot, and restoring them, in place and
//! to a new file.
//!
//! The rules are those of docs/design.md. Set-uid and set-gid bits stay only where neither content nor owner changes
//! and the snapshot has them too; they are never restored.

use std::fs::File;
use std::path::Path;

use crate::error::{At, Result};
use crate::ops::Note;
use crate::ops::input::Target;
use crate::pack::Meta;
use crate::store::{ChangeMarker, Image};
use crate::sys::open::Stamp;
use crate::sys::{id, meta, open, xattr};

/// Set-uid and set-gid.
pub(super) const SET_ID: u32 = 0o6000;
/// File systems hold times to two seconds or better.
const COARSEST_NS: u128 = 2_000_000_000;

/// What of a target's metadata differs, or is to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataChange {
    /// Permissions, with set-uid, set-gid and sticky bit.
    Mode {
        /// As it is.
        from: u32,
        /// As it will be.
        to: u32,
    },
    /// User and group.
    Owner {
        /// As it is.
        from: (u32, u32),
        /// As it will be.
        to: (u32, u32),
    },
    /// An extended attribute.
    Attribute {
        /// Its name.
        name: Vec<u8>,
        /// Its value as it is; `None`: it is not set.
        from: Option<Vec<u8>>,
        /// Its value as it will be; `None`: it is removed.
        to: Option<Vec<u8>>,
    },
}

/// Mode, owner and attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    mode: u32,
    owner: (u32, u32),
    attrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Metadata {
    pub(crate) fn new(mode: u32, owner: (u32, u32), attrs: &[(Vec<u8>, Vec<u8>)]) -> Metadata {
        let attrs = attrs.iter().filter(|(name, _)| xattr::comes_back(name) && !ChangeMarker::is_name(name));
        Metadata { mode: mode & 0o7777, owner, attrs: attrs.cloned().collect() }
    }

    /// As `target` has it now.
    pub(crate) fn of(target: Target<'_>) -> Result<Metadata> {
        let stamp = open::stamp(target.file, target.path)?;
        let attrs = xattr::list(target.file).at("reading the attributes of", target.path)?;
        Ok(Metadata::new(stamp.mode, (stamp.uid, stamp.gid), &attrs))
    }

    /// As a snapshot has it.
    pub(crate) fn stored(meta: &Meta) -> Metadata {
        Metadata::new(meta.mode, (meta.uid, meta.gid), &meta.attrs)
    }

    /// All that differs.
    pub(crate) fn differences(&self, to: &Metadata) -> Vec<MetadataChange> {
        let mut all = Vec::new();
        if self.mode != to.mode {
            all.push(MetadataChange::Mode { from: self.mode, to: to.mode });
        }
        if self.owner != to.owner {
            all.push(MetadataChange::Owner { from: self.owner, to: to.owner });
        }
        let value = |attrs: &[(Vec<u8>, Vec<u8>)], name: &[u8]| {
            attrs.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
        };
        let mut names: Vec<_> = self.attrs.iter().chain(&to.attrs).map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        for name in names {
            let (from, to) = (value(&self.attrs, name), value(&to.attrs, name));
            if from != to {
                all.push(MetadataChange::Attribute { name: name.clone(), from, to });
            }
        }
        all
    }

    /// What a change in place to `to` does to these: only what the caller has the right to. `content`: bytes change
    /// too.
    pub(crate) fn changes(&self, to: &Metadata, content: bool) -> Vec<MetadataChange> {
        let (user, no_one) = (id::euid(), u32::MAX);
        let gives = user == 0 && to.owner.0 != no_one && to.owner.1 != no_one;
        let owns = user == 0 || user == self.owner.0;
        let owner = if gives { to.owner } else { self.owner };
        let kept = if content || owner != self.owner { 0 } else { to.mode & self.mode & SET_ID };
        let mode = if owns { to.mode & !SET_ID | kept } else { self.mode };
        let mut changes = self.differences(&Metadata { mode, owner, attrs: to.attrs.clone() });
        changes
            .retain(|change| owns || !matches!(change, MetadataChange::Attribute { name, .. } if xattr::is_acl(name)));
        changes
    }
}

/// What a change from `from` to `to` does to the metadata. `content`: bytes change too.
pub(crate) fn changes(from: &Image, to: &Image, content: bool) -> Vec<MetadataChange> {
    Metadata::stored(from.meta()).changes(&Metadata::stored(to.meta()), content)
}

/// Before old content is written: removes the permissions that the snapshot does not give. Where the owner, the group
/// or the access list will differ, only the new owner has access until the change has ended: until then the bits of
/// group and others apply to the wrong users.
pub(crate) fn narrow(target: Target<'_>, to: &Image) -> Result<()> {
    let Target { file, path } = target;
    let wanted = Metadata::stored(to.meta());
    let changes = Metadata::of(target)?.changes(&wanted, true);
    let mut kept = wanted.mode | !0o077;
    for change in &changes {
        match change {
            MetadataChange::Owner { to, .. } => {
                // If this fails, it fails again at the end, and becomes a note there.
                let _ = meta::set_owner(file, to.0, to.1);
                kept &= !0o077;
            }
            MetadataChange::Attribute { name, .. } if xattr::is_acl(name) => kept &= !0o077,
            _ => {}
        }
    }
    let mode = open::stamp(file, path)?.mode & 0o7777;
    if mode & kept != mode {
        // Only the owner may; another user does not change the mode later either.
        let _ = meta::set_mode(file, mode & kept);
    }
    Ok(())
}

/// Undoes [`narrow`], as nothing was written.
pub(crate) fn put_back(target: Target<'_>, before: &Stamp) {
    let Ok(now) = open::stamp(target.file, target.path) else { return };
    if (now.uid, now.gid) != (before.uid, before.gid) {
        let _ = meta::set_owner(target.file, before.uid, before.gid);
    }
    if now.mode != before.mode {
        let _ = meta::set_mode(target.file, before.mode & 0o7777);
    }
}

/// Gives the target the metadata of `to`. What cannot be set becomes a note: the content is right all the same. `said`:
/// the removal of set-uid bits has been reported already.
pub(crate) fn bring(target: Target<'_>, to: &Image, said: bool) -> Result<Vec<Note>> {
    let mut notes = Vec::new();
    let wanted = Metadata::stored(to.meta());
    let now = Metadata::of(target)?;
    let mut changes = now.changes(&wanted, false);
    // The mode may take the right to set attributes, and a new owner takes bits of the mode; a list of access sets
    // some.
    changes.sort_by_key(|change| match change {
        MetadataChange::Attribute { name, .. } if !xattr::is_acl(name) => 0,
        MetadataChange::Owner { .. } => 1,
        MetadataChange::Attribute { .. } => 2,
        MetadataChange::Mode { .. } => 3,
    });
    for change in &changes {
        if let Err((what, e)) = set(target.file, change) {
            notes.push(Note::warning(format!("{what}: {e}")));
        }
    }
    let lost = wanted.mode & SET_ID & !now.mode;
    if lost != 0 && !said {
        let then = wanted.mode;
        let note =
            format!("the snapshot has mode {then:04o}: set-uid and set-gid bits are not restored; chmod sets them");
        notes.push(Note::warning(note));
    }
    Ok(notes)
}

fn set(file: &File, change: &MetadataChange) -> Result<(), (String, std::io::Error)> {
    match change {
        MetadataChange::Mode { from, to } => {
            meta::set_mode(file, *to).map_err(|e| (format!("its mode stays {from:04o}, the snapshot has {to:04o}"), e))
        }
        MetadataChange::Owner { from, to } => meta::set_owner(file, to.0, to.1)
            .map_err(|e| (format!("its owner stays {}:{}, the snapshot has {}:{}", from.0, from.1, to.0, to.1), e)),
        MetadataChange::Attribute { name, to, .. } => {
            let done = to.as_ref().map_or_else(|| xattr::remove(file, name), |value| xattr::set(file, name, value));
            done.map_err(|e| (format!("its attribute {} stays as it is", String::from_utf8_lossy(name)), e))
        }
    }
}

/// Gives a new file the attributes, owner, mode and times of the image; the notes say what was not restored.
pub(crate) fn give_all(file: &File, image: &Image, out: &Path) -> Result<Vec<Note>> {
    let said = image.meta();
    let (mut notes, mut mode) = (Vec::new(), said.mode & 0o1777);
    // All of it is written and proven. The owner is set before anything that lets other users read, and before the
    // mode, because a change of owner removes bits.
    if id::euid() == 0
        && let Err(e) = meta::set_owner(file, said.uid, said.gid)
    {
        notes.push(format!("owner {}:{} was not restored: {e}", said.uid, said.gid));
    }
    for (name, value) in said.attrs.iter().filter(|(name, _)| xattr::is_kept(name) && !ChangeMarker::is_name(name)) {
        if name == xattr::CAPABILITY {
            notes.push("the file had capabilities: they are not restored; setcap sets them".into());
        } else if let Err(e) = xattr::set(file, name, value) {
            notes.push(format!("attribute {} was not restored: {e}", String::from_utf8_lossy(name)));
            if xattr::is_acl(name) {
                mode &= !0o070; // with a list these bits are its mask, and not what the group may do
            }
        }
    }
    // A list inherited from the directory could let other users read more than the snapshot does.
    let given = xattr::list(file).at("reading the attributes of", out)?;
    if let Some((acl, _)) = given.iter().find(|(name, _)| xattr::is_acl(name))
        && !said.attrs.iter().any(|(name, _)| xattr::is_acl(name))
        && let Err(e) = xattr::remove(file, acl)
    {
        notes.push(format!("the access list that it has from its directory stays: {e}"));
    }
    if said.mode & SET_ID != 0 {
        let granted = format!("{:04o}", said.mode & 0o7777);
        notes.push(format!(
            "the file had mode {granted}: set-uid and set-gid bits are not restored; chmod {granted} sets them"
        ));
    }
    if !meta::set_mode_where_kept(file, mode).at("setting the mode of", out)? {
        notes.push(format!("mode {:04o} was not restored: the file system keeps none", said.mode & 0o777));
    }
    if let Err(e) = meta::set_times(file, said.atime_ns, said.mtime_ns) {
        notes.push(format!("times were not restored: {e}"));
    } else {
        // When a file system cannot hold a time, the kernel silently sets the nearest.
        let now = open::stamp(file, out)?;
        let far = |then: i128, now: i128| then.abs_diff(now) >= COARSEST_NS;
        if far(said.mtime_ns, now.mtime_ns) || far(said.atime_ns, now.atime_ns) {
            notes.push("times were not restored: they are beyond what this file system can hold".into());
        }
    }
    Ok(notes.into_iter().map(Note::warning).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(mode: u32, attrs: &[(&[u8], &[u8])]) -> Metadata {
        let attrs: Vec<_> = attrs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        Metadata::new(mode, (id::euid(), 7), &attrs)
    }

    #[test]
    fn bits_that_lend_rights_never_come_back() {
        let mode = |from, to, content| match with(from, &[]).changes(&with(to, &[]), content)[..] {
            [MetadataChange::Mode { to, .. }] => to,
            [] => from,
            ref other => panic!("{other:?}"),
        };
        assert_eq!(mode(0o644, 0o600, false), 0o600);
        assert_eq!(mode(0o644, 0o4600, false), 0o600);
        assert_eq!(mode(0o755, 0o4755, false), 0o755, "nothing to do");
        assert_eq!(mode(0o4755, 0o4755, false), 0o4755, "nothing to do");
        assert_eq!(mode(0o4755, 0o4755, true), 0o755);
        assert_eq!(mode(0o4755, 0o755, false), 0o755);
    }

    #[test]
    fn only_attributes_that_come_back_are_compared() {
        let (now, then) = (
            with(0o644, &[(b"user.a", b"1"), (b"user.b", b"2"), (b"security.capability", b"x")]),
            with(0o644, &[(b"user.b", b"3"), (b"user.c", b""), (b"trusted.x", b"y"), (b"user.memsnap.intent", b"z")]),
        );
        let changes = now.changes(&then, true);
        let names: Vec<_> = changes
            .iter()
            .map(|change| match change {
                MetadataChange::Attribute { name, from, to } => (&name[..], from.is_some(), to.is_some()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(names, [(&b"user.a"[..], true, false), (b"user.b", true, true), (b"user.c", false, true)]);
    }
}
