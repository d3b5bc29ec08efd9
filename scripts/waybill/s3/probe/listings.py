"""The answers to questions about names of objects, and listings of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from waybill.model.entries import RemoteEntry
from waybill.model.errors import WaybillError
from waybill.s3.client import make_client
from waybill.s3.listing import list_after
from waybill.s3.probe.objects import NO, YES, Found, shape
from waybill.s3.probe.store import ATTEMPTS, Refused, Store, Untold

PAGE = 3  # names in a page, so that few objects fill several pages

# None of them holds a control character: a store whose listings do not encode names could not list
# its bucket any more.
ODD_NAMES = {
    "a blank": "two words",
    "a plus": "a+b",
    "a percent sign": "per%20cent",
    "& = ;": "a&b=c;d",
    "? and #": "what?#",
    "quotes": 'it\'s "so"',
    "brackets": "[x] {y} (z)",
    "< and >": "<x>",
    "* and |": "star*|",
    "a backslash": "back\\slash",
    "a dot first": ".hidden",
    "an accent": "caf\u00e9",
    "CJK": "\u65e5\u672c\u8a9e",
    "a full-width sign": "\uff5e",
    "an emoji": "\U0001f600",
    "capitals": "CASE",
    "no capitals": "case",
}


PLAIN_NAMES = ("a.csv", "b.csv", "c.csv")


class Page(NamedTuple):
    """The names on one page of a listing, whether it is the last one, and whether names on it are
    encoded."""

    names: list[str]
    is_last: bool
    is_encoded: bool


class Names:
    """The objects with plain and with odd names of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.prefix = store.key("names/")
        self.refused: dict[str, str] = {}  # what is odd, to why it cannot be put
        self.put: dict[str, str] = {}  # name to ETag without quotes
        odd = {name: odd for odd, name in ODD_NAMES.items()}
        for name in (*PLAIN_NAMES, *odd):
            try:
                reply = store.put(f"names/{name}", name.encode())
            except Refused as error:
                self.refused[odd.get(name, name)] = error.code
            else:
                self.put[name] = reply.get("ETag", "").strip('"')

    def comes_back(self, name: str) -> bool:
        try:
            return self._store.get(f"names/{name}")[1] == name.encode()
        except Refused:
            return False

    @cached_property
    def listed(self) -> list[RemoteEntry]:
        """The objects as a run of Waybill lists them."""
        return self.as_listed()

    def as_listed(self, **arguments: Any) -> list[RemoteEntry]:
        """A listing as a run of Waybill makes it. Raises Refused with its message."""
        store = self._store
        client = make_client(store.transfer, attempts=ATTEMPTS)
        request = {**store.common, **arguments}
        try:
            return list(list_after(client, store.transfer, self.prefix, request))
        except WaybillError as error:
            raise Refused(str(error)) from None

    def page(self, **arguments: Any) -> Page:
        """One page of the listing, with names as the store has them."""
        reply = self._store.ask(
            "list_objects_v2", Prefix=self.prefix, EncodingType="url", **arguments
        )
        if "Waybill" not in reply:  # what ``s3.listing`` makes of a page
            raise Refused("the answer is no listing")
        contents, tail = reply["Waybill"]
        is_encoded = tail.get("EncodingType") == "url"
        told = [item.get("Key", "") for item in contents]
        keys = [unquote_plus(key) for key in told] if is_encoded else told
        names = [key.removeprefix(self.prefix) for key in keys]
        is_last = tail.get("IsTruncated", "").strip().lower() != "true"
        return Page(names, is_last, is_encoded and not any(" " in key for key in told))

    @property
    def known(self) -> list[str]:
        """The names that are listed as they were put, by their bytes."""
        there = {entry.path for entry in self.listed}
        return sorted(there & self.put.keys(), key=str.encode)


def odd_names(names: Names) -> Found:
    lost = {odd: why for odd, why in names.refused.items() if odd in ODD_NAMES}
    for odd, name in ODD_NAMES.items():
        if name in names.put and not names.comes_back(name):
            lost[odd] = "other bytes come back"
        elif name in names.put and name not in names.known:
            lost[odd] = "it is not listed"
    if not lost:
        return YES, ""
    return NO, ", ".join(f"{odd} ({why})" for odd, why in lost.items())


def lists(names: Names) -> Found:
    there = {entry.path: entry for entry in names.listed}
    for name in PLAIN_NAMES:
        if name in names.refused:
            raise Untold(f"PutObject of {name} is refused with {names.refused[name]}")
        if name not in there:
            return NO, f"{name} is not listed"
        if there[name].size != len(name):
            return NO, f"it tells {there[name].size} bytes of {name}, not {len(name)}"
        if there[name].etag != names.put[name]:
            told = shape(there[name].etag) or "none"
            return NO, f"PutObject tells ETag {shape(names.put[name])}, the listing {told}"
    return YES, ""


def pages(names: Names) -> Found:
    if names.page(MaxKeys=PAGE).is_last:
        raise Untold(f"a page of {PAGE} names was asked for, and all came at once")
    try:
        found = [entry.path for entry in names.as_listed(MaxKeys=PAGE)]
    except Refused as error:
        return NO, error.code
    if sorted(found) != sorted(entry.path for entry in names.listed):
        return NO, f"{len(found)} names in pages of {PAGE}, {len(names.listed)} in one"
    return YES, ""


def encoding(names: Names) -> Found:
    return (YES, "") if names.page().is_encoded else (NO, "they come as they are")


def order(names: Names) -> Found:
    right = names.known
    found = [entry.path for entry in names.listed if entry.path in right]
    for here, there in zip(found, right, strict=True):
        if here != there:
            return NO, f"{here} stands where {there} belongs"
    return YES, ""


def start_after(names: Names) -> Found:
    known = names.known
    if not known:
        raise Untold("no name is listed")
    middle = known[len(known) // 2]
    told = names.page(StartAfter=names.prefix + middle).names
    found = [name for name in told if name in known]
    right = [name for name in known if name.encode() > middle.encode()]
    if sorted(found) == sorted(right):
        return YES, ""
    if len(found) == len(known):
        return NO, "it is ignored: all names come"
    return NO, f"{len(right)} names come after {middle}, it tells {len(found)}"


def _about_names(answer: Callable[[Names], Found]) -> Callable[[Store], Found]:
    """The answer with the names of the store, which are put once."""

    def find(store: Store) -> Found:
        names = store.shared(Names)
        if not names.put:
            raise Untold("no object can be put")
        return answer(names)

    return find


ANSWERS = {
    "odd names": _about_names(odd_names),
    "list": _about_names(lists),
    "pages": _about_names(pages),
    "encoding": _about_names(encoding),
    "order": _about_names(order),
    "start-after": _about_names(start_after),
}
