# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_dsplug_global_optspecs
    string join \n root= thorough state-dir= socket= timeout= interval= verbose h/help V/version
end

function __fish_dsplug_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_dsplug_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_dsplug_using_subcommand
    set -l cmd (__fish_dsplug_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c dsplug -n "__fish_dsplug_needs_command" -l root -d 'Read DIR as the / of a Mac: a mounted disk image, a collected folder' -r -F
complete -c dsplug -n "__fish_dsplug_needs_command" -l state-dir -d 'Keep state (events, copies, what is quarantined) in DIR; without it, in /var/db/dsplug on a Mac that reads its own disk, and nowhere with --root' -r -F
complete -c dsplug -n "__fish_dsplug_needs_command" -l socket -d 'Serve the tables at the extension socket of osqueryd' -r -F
complete -c dsplug -n "__fish_dsplug_needs_command" -l timeout -d 'Wait for the socket for so long' -r
complete -c dsplug -n "__fish_dsplug_needs_command" -l interval -d 'Look so often whether osqueryd still knows of it' -r
complete -c dsplug -n "__fish_dsplug_needs_command" -l thorough -d 'Lift the budgets of time and size'
complete -c dsplug -n "__fish_dsplug_needs_command" -l verbose -d 'Log more'
complete -c dsplug -n "__fish_dsplug_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dsplug -n "__fish_dsplug_needs_command" -s V -l version -d 'Print version'
complete -c dsplug -n "__fish_dsplug_needs_command" -f -a "list" -d 'Show the plug-ins, for a person to read'
complete -c dsplug -n "__fish_dsplug_needs_command" -f -a "query" -d 'Run one SQL query over the tables'
complete -c dsplug -n "__fish_dsplug_needs_command" -f -a "detect" -d 'Run the pack\'s queries and print what osqueryd would log'
complete -c dsplug -n "__fish_dsplug_needs_command" -f -a "explain" -d 'Say everything about one bundle, and what to do next'
complete -c dsplug -n "__fish_dsplug_needs_command" -f -a "collect" -d 'Write one archive of all evidence on a bundle, and print its SHA-256'
complete -c dsplug -n "__fish_dsplug_needs_command" -f -a "watch" -d 'Show each event as it happens: a bundle appears, changes, goes'
complete -c dsplug -n "__fish_dsplug_needs_command" -f -a "compare" -d 'Say file by file how a bundle differs from another, or from what was collected'
complete -c dsplug -n "__fish_dsplug_needs_command" -f -a "quarantine" -d 'Keep the evidence on a bundle, move it out of its folder into a vault, end its loader'
complete -c dsplug -n "__fish_dsplug_needs_command" -f -a "restore" -d 'Put back what quarantine took'
complete -c dsplug -n "__fish_dsplug_needs_command" -f -a "baseline" -d 'Write an exceptions plist that pins what is there now'
complete -c dsplug -n "__fish_dsplug_needs_command" -f -a "doctor" -d 'Say what is wrong with this host\'s installation, and how to fix it'
complete -c dsplug -n "__fish_dsplug_needs_command" -f -a "schema" -d 'Show every table and column with its meaning'
complete -c dsplug -n "__fish_dsplug_using_subcommand list" -l format -d 'How they are printed' -r -f -a "text\t'For a person'
json\t'An array of objects of strings, one for each bundle'"
complete -c dsplug -n "__fish_dsplug_using_subcommand list" -l root -d 'Read DIR as the / of a Mac: a mounted disk image, a collected folder' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand list" -l state-dir -d 'Keep state (events, copies, what is quarantined) in DIR; without it, in /var/db/dsplug on a Mac that reads its own disk, and nowhere with --root' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand list" -l thorough -d 'Lift the budgets of time and size'
complete -c dsplug -n "__fish_dsplug_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dsplug -n "__fish_dsplug_using_subcommand query" -l format -d 'How the answer is printed' -r -f -a "table\t'Columns side by side'
json\t'An array of objects of strings'
csv\t'Comma-separated values, with a heading (RFC 4180)'
line\t'One line for each value'"
complete -c dsplug -n "__fish_dsplug_using_subcommand query" -l root -d 'Read DIR as the / of a Mac: a mounted disk image, a collected folder' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand query" -l state-dir -d 'Keep state (events, copies, what is quarantined) in DIR; without it, in /var/db/dsplug on a Mac that reads its own disk, and nowhere with --root' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand query" -l thorough -d 'Lift the budgets of time and size'
complete -c dsplug -n "__fish_dsplug_using_subcommand query" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dsplug -n "__fish_dsplug_using_subcommand detect" -l pack -d 'Run the queries of FILE, a pack in osquery\'s format, instead of the pack of this program' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand detect" -l state -d 'Remember in FILE what was seen, so that the next call shows what changed since' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand detect" -l every -d 'Go on, with a run every S seconds, until stopped' -r
complete -c dsplug -n "__fish_dsplug_using_subcommand detect" -l runs -d 'Stop after N runs' -r
complete -c dsplug -n "__fish_dsplug_using_subcommand detect" -l root -d 'Read DIR as the / of a Mac: a mounted disk image, a collected folder' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand detect" -l state-dir -d 'Keep state (events, copies, what is quarantined) in DIR; without it, in /var/db/dsplug on a Mac that reads its own disk, and nowhere with --root' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand detect" -l thorough -d 'Lift the budgets of time and size'
complete -c dsplug -n "__fish_dsplug_using_subcommand detect" -s h -l help -d 'Print help'
complete -c dsplug -n "__fish_dsplug_using_subcommand explain" -l state -d 'Say what changed since this state of detect was written' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand explain" -l format -d 'How it is printed' -r -f -a "text\t'For a terminal'
markdown\t'For a ticket'
json\t'For another program'"
complete -c dsplug -n "__fish_dsplug_using_subcommand explain" -l root -d 'Read DIR as the / of a Mac: a mounted disk image, a collected folder' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand explain" -l state-dir -d 'Keep state (events, copies, what is quarantined) in DIR; without it, in /var/db/dsplug on a Mac that reads its own disk, and nowhere with --root' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand explain" -l thorough -d 'Lift the budgets of time and size'
complete -c dsplug -n "__fish_dsplug_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dsplug -n "__fish_dsplug_using_subcommand collect" -l expect -d 'Fail unless this is the digest of the one bundle, the column hash, as it was taken; the archive stands all the same' -r
complete -c dsplug -n "__fish_dsplug_using_subcommand collect" -l output -d 'The archive to write; without it, dsplug-HOST-TIME.tar.gz in the current directory' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand collect" -l root -d 'Read DIR as the / of a Mac: a mounted disk image, a collected folder' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand collect" -l state-dir -d 'Keep state (events, copies, what is quarantined) in DIR; without it, in /var/db/dsplug on a Mac that reads its own disk, and nowhere with --root' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand collect" -l all -d 'Take every bundle'
complete -c dsplug -n "__fish_dsplug_using_subcommand collect" -l thorough -d 'Lift the budgets of time and size'
complete -c dsplug -n "__fish_dsplug_using_subcommand collect" -s h -l help -d 'Print help'
complete -c dsplug -n "__fish_dsplug_using_subcommand watch" -l format -d 'How events are printed' -r -f -a "text\t'One line each, for a person'
json\t'One object of strings a line'"
complete -c dsplug -n "__fish_dsplug_using_subcommand watch" -l root -d 'Read DIR as the / of a Mac: a mounted disk image, a collected folder' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand watch" -l state-dir -d 'Keep state (events, copies, what is quarantined) in DIR; without it, in /var/db/dsplug on a Mac that reads its own disk, and nowhere with --root' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand watch" -l thorough -d 'Lift the budgets of time and size'
complete -c dsplug -n "__fish_dsplug_using_subcommand watch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dsplug -n "__fish_dsplug_using_subcommand compare" -l root -d 'Read DIR as the / of a Mac: a mounted disk image, a collected folder' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand compare" -l state-dir -d 'Keep state (events, copies, what is quarantined) in DIR; without it, in /var/db/dsplug on a Mac that reads its own disk, and nowhere with --root' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand compare" -l thorough -d 'Lift the budgets of time and size'
complete -c dsplug -n "__fish_dsplug_using_subcommand compare" -s h -l help -d 'Print help'
complete -c dsplug -n "__fish_dsplug_using_subcommand quarantine" -l expect -d 'Leave it alone unless this is its digest, the column hash' -r
complete -c dsplug -n "__fish_dsplug_using_subcommand quarantine" -l reason -d 'Why, for the ledger' -r
complete -c dsplug -n "__fish_dsplug_using_subcommand quarantine" -l expect-executable -d 'The SHA-256 of that, the column executable_hash' -r
complete -c dsplug -n "__fish_dsplug_using_subcommand quarantine" -l format -d 'How the ledger is printed' -r -f -a "table\t'Columns side by side'
json\t'An array of objects of strings'
csv\t'Comma-separated values, with a heading (RFC 4180)'
line\t'One line for each value'"
complete -c dsplug -n "__fish_dsplug_using_subcommand quarantine" -l root -d 'Read DIR as the / of a Mac: a mounted disk image, a collected folder' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand quarantine" -l state-dir -d 'Keep state (events, copies, what is quarantined) in DIR; without it, in /var/db/dsplug on a Mac that reads its own disk, and nowhere with --root' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand quarantine" -l keep-loader -d 'Leave the process alone that has loaded it'
complete -c dsplug -n "__fish_dsplug_using_subcommand quarantine" -l with-executable -d 'Move its main executable too, where that stands outside of it and is what was expected'
complete -c dsplug -n "__fish_dsplug_using_subcommand quarantine" -l force-executable -d 'Move it though Apple or a developer known to Apple has signed it'
complete -c dsplug -n "__fish_dsplug_using_subcommand quarantine" -l yes-write-image -d 'Write to the image that --root names; finish or undo what was interrupted there, or in what --state-dir names'
complete -c dsplug -n "__fish_dsplug_using_subcommand quarantine" -l list -d 'Show the ledger'
complete -c dsplug -n "__fish_dsplug_using_subcommand quarantine" -l thorough -d 'Lift the budgets of time and size'
complete -c dsplug -n "__fish_dsplug_using_subcommand quarantine" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dsplug -n "__fish_dsplug_using_subcommand restore" -l expect -d 'Leave it in the vault unless this is its digest, the column hash; a main executable that was moved with it then stays there, and has an entry and a digest of its own' -r
complete -c dsplug -n "__fish_dsplug_using_subcommand restore" -l to -d 'Put it into this directory of this computer, and not where it stood; nothing else is finished or undone' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand restore" -l root -d 'Read DIR as the / of a Mac: a mounted disk image, a collected folder' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand restore" -l state-dir -d 'Keep state (events, copies, what is quarantined) in DIR; without it, in /var/db/dsplug on a Mac that reads its own disk, and nowhere with --root' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand restore" -l yes-write-image -d 'Write to the image that --root names; finish or undo what was interrupted there, or in what --state-dir names'
complete -c dsplug -n "__fish_dsplug_using_subcommand restore" -l thorough -d 'Lift the budgets of time and size'
complete -c dsplug -n "__fish_dsplug_using_subcommand restore" -s h -l help -d 'Print help'
complete -c dsplug -n "__fish_dsplug_using_subcommand baseline" -l root -d 'Read DIR as the / of a Mac: a mounted disk image, a collected folder' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand baseline" -l state-dir -d 'Keep state (events, copies, what is quarantined) in DIR; without it, in /var/db/dsplug on a Mac that reads its own disk, and nowhere with --root' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand baseline" -l thorough -d 'Lift the budgets of time and size'
complete -c dsplug -n "__fish_dsplug_using_subcommand baseline" -s h -l help -d 'Print help'
complete -c dsplug -n "__fish_dsplug_using_subcommand doctor" -l for -d 'Who runs osqueryd here; found out when left out' -r -f -a "osquery\t'osquery\'s own launchd job'
fleet\t'Fleet\'s orbit'
kolide\t'Kolide\'s launcher'
elastic\t'Elastic\'s Osquery Manager'"
complete -c dsplug -n "__fish_dsplug_using_subcommand doctor" -l socket -d 'The extension socket of osqueryd; that of the agent when left out' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand doctor" -l format -d 'How the findings are printed' -r -f -a "text\t'For a person'
json\t'An array of objects: severity, what, cure'"
complete -c dsplug -n "__fish_dsplug_using_subcommand doctor" -l root -d 'Read DIR as the / of a Mac: a mounted disk image, a collected folder' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand doctor" -l state-dir -d 'Keep state (events, copies, what is quarantined) in DIR; without it, in /var/db/dsplug on a Mac that reads its own disk, and nowhere with --root' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand doctor" -l yes-write-image -d 'Finish or undo what was interrupted on the image that --root names, or in what --state-dir names'
complete -c dsplug -n "__fish_dsplug_using_subcommand doctor" -l thorough -d 'Lift the budgets of time and size'
complete -c dsplug -n "__fish_dsplug_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c dsplug -n "__fish_dsplug_using_subcommand schema" -l format -d 'How it is printed' -r -f -a "table\t'For a terminal'
json\t'An array of tables with their columns'
markdown\t'For a page of documentation'"
complete -c dsplug -n "__fish_dsplug_using_subcommand schema" -l root -d 'Read DIR as the / of a Mac: a mounted disk image, a collected folder' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand schema" -l state-dir -d 'Keep state (events, copies, what is quarantined) in DIR; without it, in /var/db/dsplug on a Mac that reads its own disk, and nowhere with --root' -r -F
complete -c dsplug -n "__fish_dsplug_using_subcommand schema" -l thorough -d 'Lift the budgets of time and size'
complete -c dsplug -n "__fish_dsplug_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
