//! The text of a hint, by the cause that the library states.

use std::ffi::OsString;
use std::path::Path;

use memsnap::{Cause, FileInStore, HotLog, Log};

use crate::cli::escape::shell;

/// What helps; empty where the message says it all. A table, one row for each cause.
pub(crate) fn hint(cause: &Cause) -> String {
    use Cause::*;
    let text = match cause {
        Stated => "",
        Remedy(text) => text,
        NoRef => {
            "use FILE@latest, FILE@3, FILE@-1 (the one before the latest), FILE@TAG, FILE@ID (at least 4 \
             digits) or FILE@now; --at REF does not split the file name"
        }
        HistoryNamedSecond { history, file } => {
            let adopt = command("adopt", history);
            return format!("the path that has snapshots comes first: `{adopt} {}`", shell(file));
        }
        DeltaNamedFirst { file, delta } => {
            return format!("the file comes first: `memsnap apply {} {}`", shell(file), shell(delta));
        }
        Stream(path) => return format!("read it as a stream: `memsnap view - < {}`", shell(path)),
        MadeByKernel(path) => return format!("copy it: `cat {} >COPY`", shell(path)),
        IsDirectory(path) => return format!("name a file in it: {}", shell(path.join("NAME"))),

        NoStore => "take a first snapshot with `memsnap snap FILE`, or name the store with --store DIR",
        EmptyStore => "take a first snapshot with `memsnap snap FILE`",
        NotAStore => "choose another directory with --store DIR",
        NotEmpty => "choose an empty or new directory with --store DIR",
        NoSnapshots(file) => return format!("take one with `{}`", command("snap", file)),
        NoHistory(file) => {
            return format!("take one with `{}`, or name their store with --store DIR", command("snap", file));
        }
        NoHistoryThere => "name their store with --store DIR",
        NoClone => "leave out --clone=always: then it is watched while it is read",
        KeepOrClaim => "use --clone=keep, which finds what changed, or --changed",
        NotClaimed => "leave out --changed, so that all of it is read",
        NoFile { store: Some(store) } => {
            return format!("check the path; `memsnap log --store {}` lists files with snapshots", shell(store));
        }
        NoFile { store: None } => "check the path, or name their store with --store DIR",
        NoSnapshot(file) => return format!("`{}` lists its snapshots", command("log", file)),
        NoChange { file, gone: false } => {
            return format!("`{}` brings back the latest snapshot", command("revert", &at(file, "latest")));
        }
        NoChange { file, gone: true } => {
            let restore = command("restore", &at(file, "latest"));
            return format!("the file is gone: `{restore} -o {}` writes its latest snapshot", shell(&file.file));
        }

        ForeignStore => "use --store with a directory of your own",
        ForeignHistory { dir, owner: (user, group) } => {
            let chown = format!("chown -R {user}:{group} {}", shell(dir));
            return format!("give what is stored of it to the owner of the file: {chown}");
        }
        StoreNotDirectory(path) if path.ends_with(".memsnap") => "move it away, or use --store with another directory",
        StoreNotDirectory(_) => "name a directory with --store",
        CannotEnter(dir) => return format!("chmod u+rwx {}", shell(dir)),
        OthersCanWrite(dir) => return format!("chmod go-w {}", shell(dir)),
        OthersHaveRights(dir) => return format!("chmod -R go= {}", shell(dir)),
        ModesOfMount => "use --store with a directory on another file system, or mount this one with umask=077",
        TwoStores => "name one store for all with --store DIR",
        NoSet => "`memsnap log --sets` lists the sets",
        NoSnapshotOfSet => "`memsnap verify` shows all damage of the store",
        NoNumberLeft => "look at the history with `memsnap verify`: that file was not made by memsnap",
        OtherFileSystem(store) => {
            return format!("copy the store with `cp -a` first, or name it with --store {}", shell(store));
        }
        HasHistory(dir) => {
            let mv = format!("mv {} ELSEWHERE", shell(dir));
            return format!("two histories are never mixed: first move that one away, `{mv}`");
        }
        NoSpace { reserve: true, for_undo: false } => {
            "free some space, use --store on another disk, or keep less free with --reserve"
        }
        NoSpace { reserve: false, for_undo: false } => "free some space, or use --store on another disk",
        NoSpace { reserve: true, for_undo: true } => {
            "free some space, keep less free with --reserve, or revert with --no-undo, which is final"
        }
        NoSpace { reserve: false, for_undo: true } => "free some space, or revert with --no-undo, which is final",
        Renamed { from, to } => {
            let adopt = format!("{} {}", command("adopt", from), shell(to));
            let begin = command("snap --new", &FileInStore { file: to.clone(), store: from.store.clone() });
            return format!("continue that history with `{adopt}`, or begin a new one with `{begin}`");
        }
        MayBeRenamed { from, to, history } => {
            let (mv, adopt) = (format!("mv {} ELSEWHERE", shell(history)), command("adopt", from));
            return format!("to continue that history, move the new one away ({mv}) and run `{adopt} {}`", shell(to));
        }
        Damage => "`memsnap verify` says more",
        NoLabel => "memsnap verify --repair FILE",
        Unchanged => "--always takes a snapshot anyway",

        Interrupted(file) => return format!("run `{}` first", command("recover", file)),
        InterruptedThere => "see `memsnap recover`",
        InterruptedBeforeMove => "first move the file back to its old path and run `memsnap recover` there",
        InterruptedElsewhere { was, file } => {
            let (old, recover) = (was.file.display(), command("recover", was));
            return format!("move it back to {old} and run `{recover}`, or take it as it is: {}", abandon(file));
        }
        RecordGone(file) => {
            let bring = "bring back that directory or another copy of the file";
            return format!("{bring}, or take it as it is: {}", abandon(file));
        }
        CopyOfHalfChanged(file) => {
            return format!("recover the original and copy it again, or take the copy as it is: {}", abandon(file));
        }
        OtherFile => "put that file back, or choose: `memsnap recover` with --finish, --rollback or --abandon",
        WrittenSince => "choose: `memsnap recover` with --finish, --rollback or --abandon",
        FinishFirst => "finish it or roll it back with `memsnap recover`, or finish it first with --yes",
        OnlyForward => "`memsnap recover` with --finish completes it; with --abandon the file stays as it is",
        SnapshotGone => "abandon it with --abandon",

        Open { processes, loop_devices, may_write } => {
            let risk = "a program that has the file open may then see a mixture of old and new pages";
            let writes = if *may_write { ", and write its own over them" } else { "" };
            return format!("{}, or go on with --live: {risk}{writes}", end(*processes, loop_devices));
        }
        OpenedEarly { file, number } => {
            let file = shell(file);
            return format!("`memsnap diff {file}@{number} {file}` shows what was written since");
        }
        LentShared => "let the command around memsnap lock it exclusively",
        Leased => "see who has it open with `memsnap stat`, or try again later",
        Executed => "end it first, or make a new file and put it in the place of this one with mv(1)",
        Marked { file, letter } => {
            return format!("to change it anyway: chattr -{letter} {}", shell(file));
        }
        ChangedSince(file) => {
            return format!(
                "it was changed since; `{}` saves that and then overwrites it",
                command("undo --force", file)
            );
        }
        NotTheBase { file, number: Some(n), in_place: true } => {
            let revert = command("revert", &at(file, n));
            return format!("the base of the delta is @{n}: revert to it first with `{revert}`");
        }
        NotTheBase { file, number: Some(n), in_place: false } => {
            let restore = command("restore", &at(file, n));
            return format!(
                "the base of the delta is @{n}: write it to a file with `{restore} -o BASE`, and apply to that"
            );
        }
        NotTheBase { number: None, .. } => {
            "apply it to the file that it was made from; `memsnap log -v` shows image digests"
        }
        PastEnd => "choose another offset, or make the file longer with --grow",
        RangePastEnd => "choose a range that both have, or revert without --range",
        OddTimes(path) => return format!("set them again: touch {}", shell(path)),
        LogBesideTarget(log) => return format!("{}; --force overrides this", cold(log)),
        LogBesideHalfChanged(log) => {
            return format!("move the log away (mv {} ELSEWHERE), or add --force", shell(&log.path));
        }
        LogBesideOutput(log) => return format!("name another file, or first {}; {}", cold(log), without(log)),
        LogWithoutDatabase(log) => {
            let gone = "remove what is left of a database that is gone for good";
            return format!("name another file, or {gone}: rm {}", shell(&log.path));
        }
        LogBesideSnapshot(log) => return format!("{} first", cold(log)),

        OutputExists => "add --force to replace it, or name another file",
        OutputIsTarget => "name another file, or change it in place with `memsnap revert`",
        NotADelta => "`memsnap delta make` writes deltas",
        NotReversible => "make it with --reversible",
        NotFromStore => "make a snapshot of it with `memsnap snap`, and open that",

        NotAVector => "name a file made by `memsnap vec create` or the library; `memsnap vec import` takes others over",
        ShorterThanVector => "name a file made by `memsnap vec create` or the library",
        OtherByteOrder => {
            "use it on a machine of that byte order, or convert it there to text with `memsnap vec dump --text`"
        }
        OtherElements => "compare pages, without --elements",
        InputIsVector => "write its elements with `memsnap vec dump`, and append those: `-` is stdin",
        InputNotText => "`vec import` takes bytes of elements with --raw, files of persistence with --persistence",
        NotNumbers => "read and add them as bytes, with `vec dump --raw` and `vec import --raw`",
        PastElements => "use `memsnap vec push` to add elements",
        FewerElements(path) => return format!("`memsnap vec len {}` prints their number", shell(path)),
    };
    text.into()
}

/// A command of this program with a store and a file, quoted for a shell.
pub(super) fn command(verb: &str, file: &FileInStore) -> String {
    let store = file.store.as_ref().map(|dir| format!(" --store {}", shell(dir))).unwrap_or_default();
    format!("memsnap {verb}{store} {}", shell(&file.file))
}

/// `FILE@REF` in the same store.
fn at(file: &FileInStore, reference: impl ToString) -> FileInStore {
    let mut word = OsString::from(&file.file);
    word.push("@");
    word.push(reference.to_string());
    FileInStore { file: word.into(), store: file.store.clone() }
}

fn abandon(file: &Path) -> String {
    format!("`memsnap recover --abandon {}`", shell(file))
}

/// What makes the processes that have a file open give it up.
fn end(processes: usize, loop_devices: &[impl AsRef<Path>]) -> String {
    match processes {
        0 => "end the process that has it open".into(),
        n if n == loop_devices.len() => {
            let devices: Vec<_> = loop_devices.iter().map(shell).collect();
            format!("detach it (`losetup -d {}`)", devices.join(" "))
        }
        1 => "end it".into(),
        _ => "end them".into(),
    }
}

/// How a hot log becomes cold.
fn cold(log: &HotLog) -> String {
    let file = shell(&log.database);
    match log.kind {
        Log::SqliteWal => format!("close the database, or run `sqlite3 {file} 'PRAGMA wal_checkpoint(TRUNCATE)'`"),
        Log::SqliteJournal => {
            format!("let its program finish it, or roll it back: `sqlite3 {file} 'PRAGMA schema_version'`")
        }
        Log::DuckDb => format!("close the database, or run `duckdb {file} -c CHECKPOINT`"),
    }
}

/// What removing a hot log does.
fn without(log: &HotLog) -> &'static str {
    match log.kind {
        Log::SqliteJournal => "removing the journal leaves the transaction half done in the file",
        Log::SqliteWal | Log::DuckDb => "removing the log loses these changes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, store: Option<&str>) -> FileInStore {
        FileInStore { file: name.into(), store: store.map(Into::into) }
    }

    #[test]
    fn commands_name_the_store_and_can_be_pasted() {
        assert_eq!(hint(&Cause::NoSnapshots(file("a b", Some("s")))), "take one with `memsnap snap --store s 'a b'`");
        let gone = Cause::NoChange { file: file("f", None), gone: true };
        assert_eq!(hint(&gone), "the file is gone: `memsnap restore f@latest -o f` writes its latest snapshot");
        let base = Cause::NotTheBase { file: file("f g", None), number: Some(3), in_place: true };
        assert_eq!(hint(&base), "the base of the delta is @3: revert to it first with `memsnap revert 'f g@3'`");
    }

    #[test]
    fn processes_and_loop_devices() {
        let open = |processes, devices: &[&str], may_write| {
            let loop_devices = devices.iter().map(Into::into).collect();
            hint(&Cause::Open { processes, loop_devices, may_write })
        };
        assert!(
            open(1, &["/dev/loop0"], true).starts_with("detach it (`losetup -d /dev/loop0`), or go on with --live")
        );
        assert!(open(2, &["/dev/loop0"], false).starts_with("end them, or") && !open(2, &[], false).contains("write"));
        assert!(open(0, &[], true).starts_with("end the process") && open(1, &[], true).ends_with("over them"));
    }

    #[test]
    fn a_log_without_its_database() {
        let log = HotLog { kind: Log::SqliteWal, path: "f-wal".into(), database: "f".into() };
        assert!(hint(&Cause::LogWithoutDatabase(log.clone())).ends_with("rm f-wal"));
        assert!(hint(&Cause::LogBesideOutput(log)).contains("`sqlite3 f 'PRAGMA"));
    }
}
