# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_memsnap_global_optspecs
    string join \n store= json q/quiet v/verbose color= progress= bytes h/help V/version
end

function __fish_memsnap_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_memsnap_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_memsnap_using_subcommand
    set -l cmd (__fish_memsnap_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c memsnap -n "__fish_memsnap_needs_command" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_needs_command" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_needs_command" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_needs_command" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_needs_command" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_needs_command" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_needs_command" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_needs_command" -s V -l version -d 'Print version'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "snap" -d 'Take a snapshot of each FILE'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "log" -d 'List the snapshots of FILE, or of all files'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "diff" -d 'Show which pages differ between A and B'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "view" -d 'Show the bytes of a file or a snapshot'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "stat" -d 'Show holes, extents, page cache, processes and locks of a file'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "revert" -d 'Revert FILE to a snapshot, in place'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "undo" -d 'Revert the last revert, apply, edit or undo of FILE'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "edit" -d 'Change bytes of FILE, in place'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "recover" -d 'Finish or roll back a change of FILE that was interrupted'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "restore" -d 'Write a snapshot to another file'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "delta" -d 'Make, inspect and reverse deltas'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "apply" -d 'Apply a delta to FILE'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "verify" -d 'Check that all snapshots can be read back'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "adopt" -d 'Move the history of OLD to NEW'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "lock" -d 'Run a command while a file is locked, as flock(1) does'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "vec" -d 'Make, read and change persistent vectors: typed arrays in files'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "completions" -d 'Print completions for a shell'
complete -c memsnap -n "__fish_memsnap_needs_command" -f -a "man" -d 'Print the manual pages'
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -s m -l message -d 'Store TEXT with the snapshot; log shows it' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -s t -l tag -d 'Tag the snapshot, to name it as FILE@TAG; may be repeated' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l require -d 'Exit with 3 if the grade is below this one' -r -f -a "none\t''
claimed\t''
observed\t''
proven\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l include -d 'From a DIR, take only files that match PATTERN; may be repeated' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l exclude -d 'From a DIR, leave out files that match PATTERN; may be repeated' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l clone -d 'Read a clone of FILE (xfs, btrfs): one moment, and nobody waits' -r -f -a "auto\t''
always\t''
never\t''
keep\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l changed -d 'Read only what LIST says has changed since the last snapshot' -r -F
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l compress -d 'Compress stored pages: none, zstd or zstd:LEVEL (1 to 19)' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l reserve -d 'Leave SIZE of the store\'s disk free: bytes, or a percentage' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l io -d 'Read by mmap (map) or by pread; auto uses the faster one' -r -f -a "auto\t''
map\t''
pread\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l limit-rate -d 'Read at most SIZE bytes a second' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l wait -d 'Wait up to SECS seconds for locks, and for a file that is being written to be quiet' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l reread -d 'Read again a file that was read longer ago than DURATION [default: 7d, 1d if then observed]' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l freeze -d 'Stop the processes that write to FILE while it is read, for MS at most' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l pre -d 'Run CMD right before FILE is read, such as one that flushes a program' -r -f -a "(__fish_complete_command)"
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l post -d 'Run CMD right after FILE was read, before the snapshot is stored' -r -f -a "(__fish_complete_command)"
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l every -d 'Take a snapshot again and again, at each multiple of DURATION' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l always -d 'Take a snapshot even if nothing changed'
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l new -d 'Begin a new history for a FILE that was renamed'
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l strict -d 'Store nothing if the grade is below the required one'
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l alone -d 'Leave out the logs of a database'
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l set -d 'Take the FILEs at one moment, as one set'
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l lock -d 'Hold a shared flock on the file while reading it'
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l rescan -d 'Read the file, even if nothing shows a change since it was read'
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand snap" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand log" -s r -l range -d 'Show only snapshots that changed a byte of this range' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand log" -s n -l newest -d 'Show only the newest N snapshots of each file' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand log" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand log" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand log" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand log" -l sets -d 'List the sets of the store'
complete -c memsnap -n "__fish_memsnap_using_subcommand log" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand log" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand log" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand log" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l at -d 'Name A by REF, and B if given twice; do not split names at @' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l range -d 'Compare only these bytes: 4k..1M, 0x1000+64, page:17' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l unit -d 'Show ranges of pages or of bytes' -r -f -a "page\t''
byte\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -s U -l context -d 'Show N rows of context around changed rows' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l as -d 'Show numbers that changed, as index: old -> new' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l limit -d 'Show at most N changes, and how many more there are' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l io -d 'Read by mmap (map) or by pread; auto uses the faster one' -r -f -a "auto\t''
map\t''
pread\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l limit-rate -d 'Read at most SIZE bytes a second' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l wait -d 'Wait up to SECS seconds for locks, and for a file that is being written to be quiet' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l reread -d 'Read again a file that was read longer ago than DURATION [default: 7d, 1d if then observed]' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l stat -d 'Show only the summary'
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l pages -d 'Show only page numbers, one a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l hex -d 'Show rows of bytes that changed, old beside new'
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l nan-equal -d 'Treat all NaNs as equal, whatever their bits'
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l map -d 'Draw a map of where in the file the changes are'
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l elements -d 'Show which elements of persistent vectors differ, by their indexes'
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l no-pager -d 'Do not start a pager'
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l lock -d 'Hold a shared flock on the file while reading it'
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l rescan -d 'Read the file, even if nothing shows a change since it was read'
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -l at -d 'Name the snapshot by REF; do not split the name at @' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -l range -d 'Show only these bytes: 4k..1M, 4k+64, page:17; -64.. is the last 64' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -l group -d 'Put a space after every N bytes; 0 for no spaces' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -l columns -d 'Show N bytes, or numbers, in a row' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -l as -d 'Show numbers: u8 to u64, i8 to i64, f16 to f64, bf16' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -s a -l no-fold -d 'Show rows of zeros like any other'
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -l plain -d 'Write digits only, as xxd -p does'
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -l raw -d 'Write the bytes themselves'
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -l force -d 'Write bytes even to a terminal'
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -l no-pager -d 'Do not start a pager'
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand view" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -s o -l columns -d 'Show these columns, one row for each file' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l watch -d 'Repeat every second, or every SECS seconds, until Ctrl-C' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l io -d 'Read by mmap (map) or by pread; auto uses the faster one' -r -f -a "auto\t''
map\t''
pread\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l limit-rate -d 'Read at most SIZE bytes a second' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l wait -d 'Wait up to SECS seconds for locks, and for a file that is being written to be quiet' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l reread -d 'Read again a file that was read longer ago than DURATION [default: 7d, 1d if then observed]' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l map -d 'Draw a map of the file'
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l locks -d 'Show only locks, also of directories; exit with 1 if none is held'
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l content -d 'Count zero pages and duplicate pages, and measure compression'
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l changes -d 'Count the pages that changed since the latest snapshot'
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l rescan -d 'Read the file, even if nothing shows a change since it was read'
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand stat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l at -d 'The REF; do not split the name at @' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -s r -l range -d 'Revert only these bytes; the length stays as it is' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l compress -d 'Compress stored pages: none, zstd or zstd:LEVEL (1 to 19)' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l reserve -d 'Leave SIZE of the store\'s disk free: bytes, or a percentage' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l io -d 'Read by mmap (map) or by pread; auto uses the faster one' -r -f -a "auto\t''
map\t''
pread\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l limit-rate -d 'Read at most SIZE bytes a second' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l wait -d 'Wait up to SECS seconds for locks, and for a file that is being written to be quiet' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l reread -d 'Read again a file that was read longer ago than DURATION [default: 7d, 1d if then observed]' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l no-undo -d 'Do not save the current content: the change is final'
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -s n -l dry-run -d 'Show what would be written, and write nothing'
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -s y -l yes -d 'Do not ask for confirmation'
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l live -d 'Write although other processes have the file open'
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l force -d 'Override the safety checks'
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l rescan -d 'Read the file, even if nothing shows a change since it was read'
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand revert" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -l compress -d 'Compress stored pages: none, zstd or zstd:LEVEL (1 to 19)' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -l reserve -d 'Leave SIZE of the store\'s disk free: bytes, or a percentage' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -l io -d 'Read by mmap (map) or by pread; auto uses the faster one' -r -f -a "auto\t''
map\t''
pread\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -l limit-rate -d 'Read at most SIZE bytes a second' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -l wait -d 'Wait up to SECS seconds for locks, and for a file that is being written to be quiet' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -l reread -d 'Read again a file that was read longer ago than DURATION [default: 7d, 1d if then observed]' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -s n -l dry-run -d 'Show what would be written, and write nothing'
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -s y -l yes -d 'Do not ask for confirmation'
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -l live -d 'Write although other processes have the file open'
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -l force -d 'Override the safety checks'
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -l rescan -d 'Read the file, even if nothing shows a change since it was read'
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand undo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l at -d 'Edit the bytes from OFFSET on: 4096, 4k, 0x1000, page:17, page:17+64' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l hex -d 'Bytes in hexadecimal; spaces, _ and : between them' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l text -d 'The bytes of STRING, without an end of line' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l from -d 'All bytes of a file; - is stdin (needs --yes)' -r -F
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l zero -d 'LEN bytes of zeros' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -s o -l output -d 'Write the edits to DELTA, and leave FILE as it is; - is stdout' -r -F
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l compress -d 'Compress stored pages: none, zstd or zstd:LEVEL (1 to 19)' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l reserve -d 'Leave SIZE of the store\'s disk free: bytes, or a percentage' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l io -d 'Read by mmap (map) or by pread; auto uses the faster one' -r -f -a "auto\t''
map\t''
pread\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l limit-rate -d 'Read at most SIZE bytes a second' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l wait -d 'Wait up to SECS seconds for locks, and for a file that is being written to be quiet' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l reread -d 'Read again a file that was read longer ago than DURATION [default: 7d, 1d if then observed]' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l grow -d 'Permit edits past the end, which make the file longer'
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -s n -l dry-run -d 'Show what would be written, and write nothing'
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -s y -l yes -d 'Do not ask for confirmation'
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l live -d 'Write although other processes have the file open'
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l force -d 'Override the safety checks'
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l rescan -d 'Read the file, even if nothing shows a change since it was read'
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand edit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l compress -d 'Compress stored pages: none, zstd or zstd:LEVEL (1 to 19)' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l reserve -d 'Leave SIZE of the store\'s disk free: bytes, or a percentage' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l io -d 'Read by mmap (map) or by pread; auto uses the faster one' -r -f -a "auto\t''
map\t''
pread\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l limit-rate -d 'Read at most SIZE bytes a second' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l wait -d 'Wait up to SECS seconds for locks, and for a file that is being written to be quiet' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l reread -d 'Read again a file that was read longer ago than DURATION [default: 7d, 1d if then observed]' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l finish -d 'Complete the change'
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l rollback -d 'Restore the content from before the change'
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l abandon -d 'Leave the file as it is, and forget the change'
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -s n -l dry-run -d 'Show what would be written, and write nothing'
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -s y -l yes -d 'Do not ask for confirmation'
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l live -d 'Write although other processes have the file open'
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l force -d 'Override the safety checks'
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l rescan -d 'Read the file, even if nothing shows a change since it was read'
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand recover" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -s o -l output -d 'The file to write; - is stdout' -r -F
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -l at -d 'Name the snapshot by REF; do not split the name at @' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -l limit-rate -d 'Read at most SIZE bytes a second' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -l force -d 'Replace OUT if it exists; write to stdout even if it is a terminal'
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -s y -l yes -d 'Do not ask before replacing OUT'
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -s n -l dry-run -d 'Show what would be written, and write nothing'
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -l skip-damaged -d 'Write zeros where stored pages are lost; list them, and exit with 4'
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and not __fish_seen_subcommand_from make stat invert" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and not __fish_seen_subcommand_from make stat invert" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and not __fish_seen_subcommand_from make stat invert" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and not __fish_seen_subcommand_from make stat invert" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and not __fish_seen_subcommand_from make stat invert" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and not __fish_seen_subcommand_from make stat invert" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and not __fish_seen_subcommand_from make stat invert" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and not __fish_seen_subcommand_from make stat invert" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and not __fish_seen_subcommand_from make stat invert" -f -a "make" -d 'Write the delta that turns A into B'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and not __fish_seen_subcommand_from make stat invert" -f -a "stat" -d 'Describe a delta'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and not __fish_seen_subcommand_from make stat invert" -f -a "invert" -d 'Reverse a delta: from its result back to its base'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l at -d 'Name A by REF, and B if given twice; do not split names at @' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l level -d 'Compress at this zstd level, 1 to 19' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -s o -l output -d 'The delta to write; - is stdout' -r -F
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l io -d 'Read by mmap (map) or by pread; auto uses the faster one' -r -f -a "auto\t''
map\t''
pread\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l limit-rate -d 'Read at most SIZE bytes a second' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l wait -d 'Wait up to SECS seconds for locks, and for a file that is being written to be quiet' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l reread -d 'Read again a file that was read longer ago than DURATION [default: 7d, 1d if then observed]' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l reversible -d 'Include the old pages, so that the delta can be reversed'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l force -d 'Replace it if it exists; write to stdout even if it is a terminal'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l lock -d 'Hold a shared flock on the file while reading it'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l rescan -d 'Read the file, even if nothing shows a change since it was read'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from make" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from stat" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from stat" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from stat" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from stat" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from stat" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from stat" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from stat" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from stat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from invert" -s o -l output -d 'The delta to write; - is stdout' -r -F
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from invert" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from invert" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from invert" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from invert" -l force -d 'Replace it if it exists; write to stdout even if it is a terminal'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from invert" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from invert" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from invert" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from invert" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand delta; and __fish_seen_subcommand_from invert" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -s o -l output -d 'Write the result to OUT, and leave FILE as it is' -r -F
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -l compress -d 'Compress stored pages: none, zstd or zstd:LEVEL (1 to 19)' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -l reserve -d 'Leave SIZE of the store\'s disk free: bytes, or a percentage' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -l io -d 'Read by mmap (map) or by pread; auto uses the faster one' -r -f -a "auto\t''
map\t''
pread\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -l limit-rate -d 'Read at most SIZE bytes a second' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -l wait -d 'Wait up to SECS seconds for locks, and for a file that is being written to be quiet' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -l reread -d 'Read again a file that was read longer ago than DURATION [default: 7d, 1d if then observed]' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -s n -l dry-run -d 'Show what would be written, and write nothing'
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -s y -l yes -d 'Do not ask for confirmation'
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -l live -d 'Write although other processes have the file open'
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -l force -d 'Override the safety checks'
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -l rescan -d 'Read the file, even if nothing shows a change since it was read'
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand verify" -l at -d 'Name the snapshot by REF; do not split the name at @' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand verify" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand verify" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand verify" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand verify" -l quick -d 'Check the structure only, not the pages'
complete -c memsnap -n "__fish_memsnap_using_subcommand verify" -l repair -d 'Store damaged pages again from the file, if it still has them'
complete -c memsnap -n "__fish_memsnap_using_subcommand verify" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand verify" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand verify" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand verify" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand adopt" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand adopt" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand adopt" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand adopt" -s y -l yes -d 'Do not ask, even if NEW holds no page of these snapshots'
complete -c memsnap -n "__fish_memsnap_using_subcommand adopt" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand adopt" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand adopt" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand adopt" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand adopt" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -s w -l timeout -d 'Wait at most SECS seconds, such as 0.5; 0 is -n (also --wait)' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -s E -l conflict-exit-code -d 'Exit with CODE, 0 to 255, if the lock cannot be taken (default 1)' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -s c -l command -d 'Run CMD with the shell, $SHELL or /bin/sh; after FILE or with --fd' -r -f -a "(__fish_complete_command)"
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -l start -d 'Lock bytes from OFFSET on (implies --fcntl)' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -l length -d 'Lock SIZE bytes; 0 means to the end (implies --fcntl)' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -l fd -d 'Lock descriptor N; all arguments are the command, if any' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -s s -l shared -d 'Take a shared lock: others may hold one at the same time'
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -s x -l exclusive -d 'Take an exclusive lock (the default; also -e)'
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -s u -l unlock -d 'Release the lock of a descriptor'
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -s n -l nonblock -d 'Fail at once if the lock is held'
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -s o -l close -d 'Close the descriptor that holds the lock before CMD runs'
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -s F -l no-fork -d 'Replace memsnap by the command (exec), without a fork'
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -l fcntl -d 'Use fcntl(2) (an OFD lock), not flock(2)'
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand lock" -s V -l version -d 'Print version'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -f -a "create" -d 'Create an empty vector'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -f -a "stat" -d 'Show type, length and state of a vector'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -f -a "push" -d 'Append elements'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -f -a "pop" -d 'Remove elements from the end or the front, and print them'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -f -a "get" -d 'Print elements, one a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -f -a "set" -d 'Set elements to new values'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -f -a "len" -d 'Print the number of elements'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -f -a "truncate" -d 'Remove all but the first elements'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -f -a "dump" -d 'Write elements as text or as bytes'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and not __fish_seen_subcommand_from create stat push pop get set len truncate dump import" -f -a "import" -d 'Append the elements of another file'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from create" -l type -d 'Set the type of the elements: u8 to u64, i8 to i64, f32 or f64' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from create" -l tag -d 'Set a program\'s name for the type: up to 16 bytes' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from create" -l version -d 'Set the program\'s version of the type' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from create" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from create" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from create" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from create" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from create" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from stat" -l wait -d 'Wait up to SECS seconds for the lock; 0 fails at once' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from stat" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from stat" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from stat" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from stat" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from stat" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from stat" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from stat" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from stat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from push" -l wait -d 'Wait up to SECS seconds for the lock; 0 fails at once' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from push" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from push" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from push" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from push" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from push" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from push" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from push" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from push" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from pop" -l wait -d 'Wait up to SECS seconds for the lock; 0 fails at once' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from pop" -s n -l number -d 'Remove N elements; they are printed in their order' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from pop" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from pop" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from pop" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from pop" -l front -d 'Remove the first elements, not the last'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from pop" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from pop" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from pop" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from pop" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from pop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from get" -l wait -d 'Wait up to SECS seconds for the lock; 0 fails at once' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from get" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from get" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from get" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from get" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from get" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from get" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from get" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from set" -l wait -d 'Wait up to SECS seconds for the lock; 0 fails at once' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from set" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from set" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from set" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from set" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from set" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from set" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from set" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from len" -l wait -d 'Wait up to SECS seconds for the lock; 0 fails at once' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from len" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from len" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from len" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from len" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from len" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from len" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from len" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from len" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from truncate" -l wait -d 'Wait up to SECS seconds for the lock; 0 fails at once' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from truncate" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from truncate" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from truncate" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from truncate" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from truncate" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from truncate" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from truncate" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from truncate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from dump" -l wait -d 'Wait up to SECS seconds for the lock; 0 fails at once' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from dump" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from dump" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from dump" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from dump" -l raw -d 'Write the bytes of the elements; works for any type'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from dump" -l text -d 'Write one number a line; the default'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from dump" -l force -d 'Write bytes even to a terminal'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from dump" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from dump" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from dump" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from dump" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from dump" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from import" -l wait -d 'Wait up to SECS seconds for the lock; 0 fails at once' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from import" -l magic -d 'Require these magic bytes: 8 characters, or 0x and 16 digits' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from import" -l data-version -d 'Require this version of its contents, such as 0.1.0' -r
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from import" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from import" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from import" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from import" -l raw -d 'Read INPUT as the bytes of elements'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from import" -l persistence -d 'Read INPUT as a file of persistence 0.0.5'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from import" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from import" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from import" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from import" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand vec; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand completions" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand completions" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand completions" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand completions" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand completions" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand completions" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand completions" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c memsnap -n "__fish_memsnap_using_subcommand man" -l store -d 'Store snapshots in DIR or $MEMSNAP_STORE, not in .memsnap beside FILE' -r -f -a "(__fish_complete_directories)"
complete -c memsnap -n "__fish_memsnap_using_subcommand man" -l color -d 'Colour the output; auto: on a terminal' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand man" -l progress -d 'Show progress on stderr; auto: on a terminal; always: also elsewhere, one line a second' -r -f -a "auto\t''
always\t''
never\t''"
complete -c memsnap -n "__fish_memsnap_using_subcommand man" -l json -d 'Write results and errors as JSON, one object a line'
complete -c memsnap -n "__fish_memsnap_using_subcommand man" -s q -l quiet -d 'Suppress progress messages: only results, warnings and errors'
complete -c memsnap -n "__fish_memsnap_using_subcommand man" -s v -l verbose -d 'Show more: full ids, exact times, reasons for grades'
complete -c memsnap -n "__fish_memsnap_using_subcommand man" -l bytes -d 'Show sizes in bytes, not rounded to KiB, MiB or GiB'
complete -c memsnap -n "__fish_memsnap_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
