"""What a message says about settings, in the words of the command whose user reads it.

Messages of the workflow name settings as a configuration has them. A user of another command has
options and variables instead, so each command has a table: a text of a message, and what stands in
its place. ``""`` removes it.
"""

from __future__ import annotations

from collections.abc import Mapping

Words = Mapping[str, str]

NO_LINKS = {', or set symlinks = "skip"': ""}  # for a command without that choice

# What only a configuration can say of a store.
NO_STORE = {
    "; if the ETags of this store are no MD5s, set etag_is_md5 = false": "",
    ", `addressing_style`": "",
}

# For commands that reach the bucket by the variables of the AWS chain.
CHAIN = {
    **NO_STORE,
    "`endpoint_url` and `region`": "AWS_ENDPOINT_URL and AWS_REGION",
    "`endpoint_url`": "AWS_ENDPOINT_URL",
    "`region`": "AWS_REGION",
    "`profile`": "AWS_PROFILE",
}


def translated(text: str, words: Words) -> str:
    """``text`` in these words; the first entry that fits a place counts."""
    for theirs, ours in words.items():
        text = text.replace(theirs, ours)
    return text
