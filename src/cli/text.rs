//! Help that belongs to no single flag. The manual page is made from the same text.
//!
//! A line in capitals is a heading; lines that start with two spaces are shown as they are.

/// Names, numbers, codes, places: what all verbs share.
pub(crate) const PROGRAM: &str = "\
NAMES OF SNAPSHOTS

A snapshot is named FILE@REF, split at the last @ after the last /. REF is

  latest     the newest snapshot that you asked for: those that memsnap
             made by itself, (undo) and (result) in the log, do not count
  3          the snapshot of that number
  -1         the one before the latest; -2 the one before that
  1a2b       the one whose id starts so (at least 4 digits)
  TAG        the one with that tag (memsnap snap --tag)
  now        the file as it is

FILE@A..B names two snapshots, where a verb takes two. If a file of the whole
name exists too, verbs that write to it refuse and others warn; --at REF says
which snapshot is meant without any @ in the name.

SIZES AND RANGES

Sizes are bytes, decimal or 0x hexadecimal, or end in k, M, G or T (1024
each; also KiB, MiB, GiB, TiB). Ranges of bytes are

  4k..1M       from 4096 up to, not including, 1048576
  0x1000+64    64 bytes from 4096 on
  ..4k, 1M..   from the start, to the end
  page:17      one page of 4096 bytes
  page:3..9    pages 3 to 8

EXIT STATUS

  0      done; both sides are the same
  1      the sides differ; with stat --locks, no lock can be seen
  2      used wrongly, or something went wrong
  3      done, but the snapshot is below the required grade
  4      a store or a delta is damaged
  5      the file is not the base that a delta or an undo needs
  75     busy: locked, or open elsewhere
  128+N  ended by signal N

Where several apply, the first of 4, 2, 5, 75, 3, 1. memsnap lock has those
of flock(1), and of the command that it runs. A reader that closes the
pipe ends the output, and changes nothing else.

ENVIRONMENT

  MEMSNAP_STORE   the directory for snapshots, as --store
  NO_COLOR        no colours, if not empty
  PAGER           shows long output of view and diff on a terminal; less
                  if not set, no pager if empty
  TERM            no colours, if it is dumb

FILES

  .memsnap/   snapshots of the files beside it: see memsnap-store(5)
";

/// Of `snap`.
pub(crate) const SNAP_EXIT: &str = "\
EXIT STATUS
  0   every file is kept, at the required grade
  2   something went wrong with a file; the others were kept all the same
  3   a snapshot is below the required grade (kept, unless --strict)
  4   the store is damaged; where an id is printed all the same, that
      snapshot is sound, and an earlier one is not: `memsnap verify`
  75  the file is locked
";

/// Of `log`.
pub(crate) const LOG_EXIT: &str = "\
EXIT STATUS
  0   listed, be it nothing
  2   something went wrong
  4   the store is damaged; what can be read was listed
";

/// Of `diff`.
pub(crate) const DIFF_EXIT: &str = "\
EXIT STATUS
  0   both are the same
  1   they differ
  2   something went wrong
  4   the store is damaged
  75  the file is locked
";

/// Of `view`.
pub(crate) const VIEW_EXIT: &str = "\
EXIT STATUS
  0   shown, be it nothing
  2   something went wrong; the file was cut short meanwhile
  4   the store is damaged
";

/// Of `stat`.
pub(crate) const STAT_EXIT: &str = "\
EXIT STATUS
  0   told, be it in part; with --locks: there are locks
  1   with --locks: no lock can be seen on any of the files
  2   something went wrong with a file; the others were told of
  4   the store is damaged
";

/// Of the verbs that write to the file.
pub(crate) const CHANGE_EXIT: &str = "\
EXIT STATUS
  0   done, or nothing to do
  2   something went wrong, or no consent: it is asked for on a terminal;
      with --json, and where stdin or stderr is no terminal, it is not,
      and --yes is needed
  4   the store or the delta is damaged; nothing was written
  5   the file is not what it must be for this; nothing was written
  75  the file is locked, or open elsewhere; nothing was written, unless
      the message says so: the kernel does not let others wait forever
";

/// Of `recover`.
pub(crate) const RECOVER_EXIT: &str = "\
EXIT STATUS
  0   the file is whole again, or nothing was interrupted
  2   something went wrong, or no consent: it is asked for on a terminal;
      with --json, and where stdin or stderr is no terminal, it is not,
      and --yes is needed
  4   the store is damaged; nothing was written
  75  the file is locked, or open elsewhere; nothing was written, unless
      the message says so: the kernel does not let others wait forever
";

/// Of `restore`.
pub(crate) const RESTORE_EXIT: &str = "\
EXIT STATUS
  0   OUT is complete
  2   something went wrong; OUT is as it was
  4   the store is damaged; OUT is as it was, or, with --skip-damaged,
      complete but for the pages that are listed as lost
";

/// Of `verify`.
pub(crate) const VERIFY_EXIT: &str = "\
EXIT STATUS
  0   no fault, or all repaired
  2   something went wrong, or a newer memsnap made what was read
  4   faults were found
";

/// Of `delta`.
pub(crate) const DELTA_EXIT: &str = "\
EXIT STATUS
  0   done
  2   something went wrong
  4   the store or the delta is damaged
  75  the file is locked
";

/// Of `adopt`.
pub(crate) const ADOPT_EXIT: &str = "\
EXIT STATUS
  0   done
  2   something went wrong
  75  somebody else is writing to the store
";

/// Of `lock`.
pub(crate) const LOCK_EXIT: &str = "\
EXIT STATUS

Those of flock(1):

  1      somebody else holds the lock, and it was not waited for, or not
         for longer (-n, -w); another code with -E
  64     used wrongly
  65     this cannot be locked
  66     the file cannot be opened, or made
  69     the command cannot be run
  71     the system has not enough of something
  73     the file cannot be made: the disk is full, or cannot be written
  128+N  the command was ended by signal N

Otherwise the code of the command.
";

/// Of `vec`.
pub(crate) const VEC_EXIT: &str = "\
EXIT STATUS
  0   done
  2   something went wrong; nothing was changed
  4   the file is damaged
  75  the file is locked
";
