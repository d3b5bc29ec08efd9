"""Messages about files, folders and objects."""

from __future__ import annotations

from waybill.messages.entry import Entry

FOLDERS = (
    Entry(
        "no-folder",
        (
            "folder does not exist; check `",
            "is not a folder; check `",
            "no such folder",
            "does not exist",
            "is not a folder",
            "is neither a folder nor a file",
        ),
        "What is named as a folder is not there, or is something else.",
        "Correct the path, or mount the file system.",
        "2",
    ),
    Entry(
        "unlisted-folder",
        (
            "cannot list the {self.side} folder",
            "cannot list the folder",
            "give read permission or exclude it",
            "cannot be looked at",
            "cannot be listed",
        ),
        "The system does not let this user see what is in a folder.",
        "Give permission to read and enter it, or `exclude` it.",
    ),
    Entry(
        "git-worktree",
        ("the destination is in the Git work tree",),
        "Downloaded data would stand among the files of a repository.",
        "Take a folder outside of it, or set `allow_git_worktree = true`.",
        "2",
    ),
    Entry(
        "system",
        (
            "cannot stat:",
            "give this user the permission",
            "mount it for writing, or choose another folder",
            "allow more open files",
            "see to the disk or the file server",
            "shorten the name, or choose a folder",
            "cannot be written",
            "cannot be used: {error.strerror}",
        ),
        "The operating system refused to read or write a file.",
        "Do what the line says; the words before it are those of the system.",
    ),
    Entry(
        "full",
        (
            "the results folder is full",
            "the destination is full",
        ),
        "There is no room, or the quota is used up.",
        "Make room and run again; what has arrived is kept.",
    ),
    Entry(
        "memory",
        ("the memory is used up",),
        "A job wanted more memory than there is, or than its cluster gives it.",
        "Give it more (`mem_mb`), or set `threads` or `part_size` lower.",
    ),
)

SOURCE = (
    Entry(
        "links",
        (
            "broken symbolic link",
            "symbolic link (symlinks",
            "symbolic link to a folder above itself",
            "mend or exclude it, or set symlinks",
            "is a symbolic link",
        ),
        "A symbolic link leads nowhere, in a circle, or is not to be followed.",
        "Mend or `exclude` it, or set `symlinks`.",
    ),
    Entry(
        "unreadable",
        (
            "cannot be read: {error.strerror",
            "cannot be read: Permission denied",
        ),
        "The system does not let this user read a file.",
        "Give read permission, or `exclude` it.",
        "1; 2 for a file of settings",
    ),
    Entry(
        "changed-source",
        (
            "since the inventory looked at it",
            "changed while it was read",
            "became shorter while it was",
            "its bytes changed since they were hashed",
            "is no file any more",
            "its path leads out of the folder",
            "leads out of the folder",
        ),
        "Somebody wrote to a file while it was transferred. Nothing of it counts as proven.",
        "Run again when the file is finished; `settle` leaves out files that are younger than"
        " so many seconds.",
    ),
    Entry(
        "no-size",
        (
            "no size to rely on",
            "bytes of its size",
            "bytes, its size says",
        ),
        "A file holds another number of bytes than its file system says, as files in /proc do.",
        "Copy it to a regular file, or `exclude` it.",
    ),
    Entry(
        "long-key",
        (
            "the key would have {length} bytes",
            "the name is not UTF-8",
        ),
        "No key of S3 can hold this path: it is too long, or no UTF-8.",
        "Rename the file, or shorten the prefix.",
    ),
    Entry(
        "unhashed",
        (
            "the file at the destination could not be hashed",
            "has no checksum",
        ),
        "A file could not be read, so nothing can be compared.",
        "See the line about this file before it.",
    ),
)

DESTINATION = (
    Entry(
        "no-file-name",
        (
            "the key holds a NUL",
            "the key starts with a slash",
            "the key starts with a drive letter",
            'the key holds ".."',
            "the key has the name of an unfinished download",
            "the key has an empty folder name",
            "no file can have this name",
            "the key is the prefix itself",
            "the key ends in a slash",
        ),
        "A key cannot be the name of a file in the destination, or would leave it.",
        "Rename the object, or `exclude` it; the others are fetched.",
    ),
    Entry(
        "long-name",
        (
            "a name of {longest} bytes",
            "the path would have {whole} bytes",
        ),
        "A key is longer than the file system of the destination takes.",
        "Choose another destination, or `exclude` it.",
    ),
    Entry(
        "one-place",
        (
            "falls on one file with",
            "a file cannot stand here: other keys make it a folder",
            "a folder of this name stands in the destination",
            "the destination has a file where a folder must be",
        ),
        "Two keys would be one file (capitals do not count on this file system), or a file"
        " and a folder would have one name.",
        "Rename or `exclude` one of them, or move what is in the way.",
    ),
    Entry(
        "link-in-destination",
        (
            "the destination has a symbolic link where a folder must be",
            "written through a link",
        ),
        "A download does not write through a link, because it may lead anywhere.",
        "Put a folder in its place, or `exclude` it.",
    ),
    Entry(
        "changed-destination",
        (
            "appeared at the destination since",
            "changed at the destination since",
            "was written or removed by someone else",
            "the folder was moved, removed or replaced",
        ),
        "Somebody else wrote to the destination during the run. It is not touched.",
        "See who does, and run again: the next run compares anew.",
    ),
    Entry(
        "changed-object",
        (
            "was removed since the listing",
            "keeps being replaced",
            "is it unpacked or changed on the way",
            "what comes is not",
            "was answered without an ETag",
            "replaced or removed since the listing",
        ),
        "An object was removed or replaced after it was listed, or comes otherwise than listed.",
        "Run again; if a proxy unpacks what is compressed, go without it.",
    ),
    Entry(
        "unlisted-object",
        (
            "and a listing does not show that",
            "object; look for a proxy on the way",
            "a listing does not show what S3 answered",
        ),
        "S3 answered that an object was written, and does not show it afterwards. It does not"
        " count as proven.",
        "Run again; look for a proxy that answers in the place of the store.",
    ),
    Entry(
        "other-download",
        (
            "another download is writing it",
            "another run downloads into this folder",
        ),
        "Two runs want to write the same file or folder.",
        "Wait until the other has ended.",
    ),
)
