//! Help that belongs to no single flag. The manual page is made from the same text.
//!
//! A line in capitals is a heading; lines that start with two spaces are shown as they are.

/// Names of snapshots, sizes, exit codes, environment, files: what all verbs share.
pub(crate) const PROGRAM: &str = "\
NAMES OF SNAPSHOTS

A snapshot is named FILE@REF, split at the last @ after the last /. REF is

  latest     the newest snapshot, except those that memsnap took by
             itself: (undo) and (result) in the log
  3          the snapshot with this number
  -1         the snapshot before the latest; -2 the one before that
  1a2b       the snapshot whose id begins with these digits (at least 4)
  TAG        the snapshot with this tag (memsnap snap --tag)
  now        the file as it is now

FILE@A..B names two snapshots, for verbs that take two. If there is also a file
named FILE@REF, verbs that write refuse the name, and others print a warning;
the option --at REF names the snapshot and does not split the name at @.

SIZES AND RANGES

Sizes are in bytes, decimal or hexadecimal (0x), or end in k, M, G or T (powers
of 1024; also KiB, MiB, GiB, TiB). Ranges are half-open; ranges of bytes are

  4k..1M       from 4096 up to, not including, 1048576
  0x1000+64    64 bytes, beginning at 4096
  ..4k, 1M..   from the start, to the end
  page:17      page 17 (4096 bytes); pages are numbered from 0
  page:3..9    pages 3 to 8

EXIT STATUS

  0      success; diff: both sides are the same
  1      diff: the sides differ; stat --locks: no lock is visible
  2      usage error, or any other error
  3      success, but the snapshot is below the required grade
  4      a store or a delta is damaged
  5      the file is not the base that a delta or an undo needs
  75     busy: locked, or opened by another process
  128+N  killed by signal N

If several apply, the exit status is the first of 4, 2, 5, 75, 3, 1. memsnap
lock has the exit status of flock(1), or of the command that it runs. If the
reader of stdout closes the pipe, the output ends, and nothing else changes.

ENVIRONMENT

  MEMSNAP_STORE   the directory for snapshots, like --store
  NO_COLOR        if not empty: no colours
  PAGER           the pager for long output of view and diff on a
                  terminal; less if unset, none if empty
  TERM            if dumb: no colours, no pager

FILES

  .memsnap/   snapshots of the files beside it; see memsnap-store(5)
";

/// Of `snap`.
pub(crate) const SNAP_EXIT: &str = "\
EXIT STATUS
  0   every file has a snapshot of the required grade
  2   a file could not be read or stored; the others have snapshots
  3   a snapshot is below the required grade (stored, unless --strict)
  4   the store is damaged; if an id was printed nevertheless, that
      snapshot is sound and an earlier one is damaged: see memsnap verify
  75  the file is locked
";

/// Of `log`.
pub(crate) const LOG_EXIT: &str = "\
EXIT STATUS
  0   success; the list is possibly empty
  2   error
  4   the store is damaged; what can be read was listed
";

/// Of `diff`.
pub(crate) const DIFF_EXIT: &str = "\
EXIT STATUS
  0   both have the same bytes
  1   they differ
  2   error
  4   the store is damaged
  75  the file is locked
";

/// Of `view`.
pub(crate) const VIEW_EXIT: &str = "\
EXIT STATUS
  0   success; the output is possibly empty
  2   error, such as a file that was truncated while it was read
  4   the store is damaged
";

/// Of `stat`.
pub(crate) const STAT_EXIT: &str = "\
EXIT STATUS
  0   success, possibly incomplete; with --locks: there are locks
  1   with --locks: no lock is visible on any of the files
  2   error with a file; the others were shown
  4   the store is damaged
";

/// Of the verbs that write to the file.
pub(crate) const CHANGE_EXIT: &str = "\
EXIT STATUS
  0   success, or nothing to do
  2   error, or not confirmed; memsnap asks on a terminal only: with
      --json, or if stdin or stderr is not a terminal, --yes is needed
  4   the store or the delta is damaged; nothing was written
  5   the file is not the base that this needs; nothing was written
  75  the file is locked, or opened by another process; nothing was
      written, unless the message says so: the kernel ends leases that
      are held too long
";

/// Of `recover`.
pub(crate) const RECOVER_EXIT: &str = "\
EXIT STATUS
  0   the file is whole again, or nothing was interrupted
  2   error, or not confirmed; memsnap asks on a terminal only: with
      --json, or if stdin or stderr is not a terminal, --yes is needed
  4   the store is damaged; nothing was written
  75  the file is locked, or opened by another process; nothing was
      written, unless the message says so: the kernel ends leases that
      are held too long
";

/// Of `restore`.
pub(crate) const RESTORE_EXIT: &str = "\
EXIT STATUS
  0   OUT is complete
  2   error; OUT is unchanged
  4   the store is damaged; OUT is unchanged, or, with --skip-damaged,
      complete except for the pages that are listed as lost
";

/// Of `verify`.
pub(crate) const VERIFY_EXIT: &str = "\
EXIT STATUS
  0   no faults, or all were repaired
  2   error, or a newer memsnap made what was read
  4   there are faults
";

/// Of `delta`.
pub(crate) const DELTA_EXIT: &str = "\
EXIT STATUS
  0   success
  2   error
  4   the store or the delta is damaged
  75  the file is locked
";

/// Of `adopt`.
pub(crate) const ADOPT_EXIT: &str = "\
EXIT STATUS
  0   success
  2   error
  75  another process is writing to the store
";

/// Of `lock`.
pub(crate) const LOCK_EXIT: &str = "\
EXIT STATUS

As flock(1):

  1      another process holds the lock (with -n), or still holds it
         after the time to wait (with -w); -E sets another code
  64     usage error
  65     the file or descriptor cannot be locked
  66     the file cannot be opened or created
  69     the command cannot be run
  71     the system is out of memory, locks or another resource
  73     the file cannot be created: the disk is full or read-only
  128+N  the command was killed by signal N

Otherwise the exit status of the command.
";

/// Of `vec`.
pub(crate) const VEC_EXIT: &str = "\
EXIT STATUS
  0   success
  2   error; nothing was changed
  4   the file is damaged
  75  the file is locked
";
