"""Messages about runs, their results, commands, verifications and notifications."""

from __future__ import annotations

from waybill.messages.entry import Entry

RUNS = (
    Entry(
        "another-run",
        (
            "another run is at work here",
            "another run has looked here meanwhile",
        ),
        "Two runs or commands use the same results.",
        "Wait until the other has ended; the line names its process and machine.",
    ),
    Entry(
        "no-record",
        (
            "a job left no record",
            "ended by a signal",
            "the workflow failed; its log is",
            "what has arrived stays proven",
        ),
        "A job ended without a word: it was killed, by a person, by the cluster or for its memory.",
        "See what Snakemake and the cluster say above; run again.",
    ),
    Entry(
        "late-files",
        (
            "is not to be seen in it after",
            "the inventory is not to be seen in",
            "the tables of this run are not to be seen",
        ),
        "A shared file system shows the files of one machine late on another.",
        "Give `latency-wait` more seconds, and run again.",
    ),
    Entry(
        "two-versions",
        ("this job would run waybill",),
        "A node runs another copy of Waybill than the machine where the run was started.",
        "Install the same version in both places.",
    ),
    Entry(
        "no-look",
        (
            "nothing would be looked at",
            "--touch: new dates prove nothing",
            "--rerun-triggers without params",
        ),
        "An option of Snakemake would have the look at both sides left out, or names what is"
        " not there.",
        "Leave it out.",
        "2",
    ),
    Entry(
        "report-packages",
        ("the report needs",),
        "The packages that make the report page are not installed.",
        "Install them as the line says; runs do without the page.",
        "2",
    ),
    Entry(
        "report-page",
        ("no report page:",),
        "The page of a transfer was not written; the run itself is not concerned.",
        "Do what the end of the line says, then `waybill report`.",
        "—",
    ),
    Entry(
        "no-verdict",
        (
            "not looked at yet",
            "as it was looked at",
            "looking at both sides for the dry run",
        ),
        "A dry run says when both sides were looked at.",
        "Nothing; a run looks anew.",
        "—",
    ),
    Entry(
        "other-failures",
        (
            "entries failed",
            "failures stand",
            "exit code {code}",
            "nothing to check: {file}",
            "no status:",
            "no action:",
        ),
        "A job tells Snakemake how many entries failed. Each has a line of its own.",
        "See the lines with FAILED.",
    ),
    Entry(
        "bug",
        (
            "unexpected error,",
            "please report it with",
        ),
        "A mistake in Waybill. Nothing that people, machines or servers do should lead here.",
        "Report it with the log that is named; no credentials are in it.",
    ),
)

RESULTS = (
    Entry(
        "damaged-results",
        (
            "and it is made anew",
            "not a table of this version",
            "a row is cut or too long",
            "its bytes are not UTF-8",
            "its bytes are not those that were written",
            "it is another than the one of",
            "not a line of a sha256sum file",
            "no state of this version",
            "no record of a publication",
            "is no manifest",
            "no manifest",
            "names files outside of its folder",
            "has more than {most",
            "is no size",
            "is no text",
            "a time without a zone",
            "datasets, open",
            "no source",
            "no bucket",
        ),
        "A file under `results/` is not the one that Waybill wrote: edited, cut off by a full"
        " disk, or of another version.",
        "Run again: the next run makes it anew from both sides, and sends nothing that is proven.",
    ),
    Entry(
        "proofs-of-another-place",
        ("run the transfer first",),
        "The proofs in `results/` are about another bucket or prefix than the configuration names.",
        "Correct the configuration, or run the transfer.",
    ),
)

COMMANDS = (
    Entry(
        "no-terminal",
        (
            "no terminal to ask on",
            "config init asks, and there is no terminal",
        ),
        "A command would ask, and there is nobody to answer.",
        "Add `--yes`.",
        "2",
    ),
    Entry(
        "undecided",
        (
            "only a hash could tell",
            "only S3 could tell",
        ),
        "A plan reads no file and asks S3 about no object. An object of the same size is there, and"
        " nothing proves that it has the same content.",
        "Nothing: the run compares them. `waybill plan --hash` and `snakemake plan --config"
        " hash=true` compare them at once.",
        "0",
    ),
    Entry(
        "argument",
        (
            "is not a number",
            "is more than {MOST_THREADS}",
            "no files of region",
            "No .h5ad files found in",
            "no transfer of",
            "give --source",
            "give --bucket",
            "does not go without the other",
            "a folder has no checksums of its own",
            "is not KEY=VALUE",
            "is neither true nor false",
            "a file keeps its name",
            "is an object and a folder",
            "a byte that a configuration cannot hold",
            "no message has these words",
        ),
        "An argument of a command is none of those it takes, or matches nothing.",
        "See the command's `--help`.",
        "2; 3 when nothing matches",
    ),
    Entry(
        "mistyped",
        (
            "no command {word}",
            "belongs to a command",
            "is no option",
            "takes no ",
            "takes its places from a configuration",
            "copy takes one SOURCE and one DESTINATION",
            "options of Snakemake go after",
        ),
        "`waybill` has no such command, option or argument.",
        "Write what the message names, or see `waybill COMMAND --help`.",
        "2",
    ),
    Entry(
        "options-of-snakemake",
        (
            "cannot go to Snakemake",
            "no such profile",
        ),
        "Snakemake is to get an option that the command itself decides, or a profile that is"
        " nowhere.",
        "Do what the message says in its place; the profiles are in `waybill where profiles`.",
        "2",
    ),
    Entry(
        "no-folder-to-work-in",
        ("no folder to work in",),
        "The working folder cannot be written to, or is `/`, and the configuration does not say"
        " with a whole path where the results are.",
        "Change into another folder, or set `results` to a whole path"
        " (docs/commands.md, Cron and systemd).",
        "2",
    ),
    Entry(
        "is-there-already",
        (
            "is there already; nothing written",
            "; nothing written",
            "`waybill copy` has not written it",
        ),
        "A command would write over a file of yours.",
        "Remove it, or name another.",
        "2",
    ),
    Entry(
        "not-written",
        ("nothing written; --no-check",),
        "`waybill init` looked at folder and bucket, and a run would not work.",
        "Do what the rows above it say, or add `--no-check`.",
    ),
    Entry(
        "verify-alone",
        (
            "verify runs by itself",
            "ask for the target verify",
        ),
        "A verification was asked for together with other targets.",
        "Ask for `verify` alone.",
        "2",
    ),
)

VERIFICATION = (
    Entry(
        "list-of-files",
        (
            "lists {entry.path} twice",
            "a manifest is JSON with",
            "size_bytes is no size",
            "sha256 is no SHA-256",
            "neither a manifest nor a line",
            "and Waybill compares by SHA-256",
        ),
        "The file behind `--against` is no manifest and no list of `sha256sum`.",
        "Correct the file at the line that is named.",
        "2",
    ),
    Entry(
        "no-folder-to-verify",
        (
            "cannot be compared with it",
            "so none of its files can be",
            "the folder of the whole dataset is gone",
        ),
        "A folder that was proven is not there.",
        "Mount it, or correct the path.",
    ),
    Entry(
        "finding",
        (
            "though proven",
            "since it was proven",
            "SHA-256 was never proven",
            "is listed and not in the folder",
            "the list has no SHA-256",
            "was written again while it was verified",
            "its bytes have another SHA-256",
            "was replaced or removed while it was verified",
            "only in the folder, not in",
            "bytes of that name",
            "only at the destination",
            "SHA-256 differs",
            "same SHA-256",
            "its ETag is another than the proven one",
            "bytes now",
            "is wrong",
            "is that of the file",
            "modified too recently",
            "an unfinished download",
        ),
        "A verification, or the comparison before a move, found a difference.",
        "docs/verify.md says what each means; a run moves what differs, as `overwrite` allows.",
    ),
    Entry(
        "lost-findings",
        ("what earlier verifications found is lost",),
        "The record of earlier verifications is damaged.",
        "Verify with `--depth content` and no sample.",
    ),
)

NOTIFICATIONS = (
    Entry(
        "undelivered",
        (
            "does not take mail for",
            "does not accept user and password",
            "ended after {self.limit}",
            "exit code {process",
            "a redirect, which is not followed",
            "to be tried again after",
            "no answer in time",
            "its certificate is not trusted:",
            "its host name is not valid",
        ),
        "A notification was not delivered. The run and its exit code are not changed by that.",
        "Correct the `notify` settings; the next run tells what was not told.",
        "—",
    ),
)
