"""What others do to files, objects and results while nobody runs, or while somebody does."""

from __future__ import annotations

import gzip
import os
import random
import shutil
from collections.abc import Callable

from storm.world import PREFIX, World

Deed = Callable[[World, random.Random], str]


# --- source files --------------------------------------------------------------------------------


def change_file(world: World, rng: random.Random) -> str:
    path = world.pick_file(rng)
    data = world.new_bytes(rng)
    world.put_file(path, data)
    return f"file {path!r} replaced by {len(data)} bytes"


def change_file_same_size(world: World, rng: random.Random) -> str:
    path = world.pick_file(rng)
    size = (world.source / path).stat().st_size if (world.source / path).exists() else 9
    world.put_file(path, rng.randbytes(size))
    return f"file {path!r} replaced by as many bytes, {size}"


def add_file(world: World, rng: random.Random) -> str:
    path = world.new_name(rng)
    world.put_file(path, world.new_bytes(rng))
    return f"file {path!r} added"


def remove_file(world: World, rng: random.Random) -> str:
    if len(world.source_now) < 3:
        return add_file(world, rng)
    path = world.pick_file(rng)
    world.drop_file(path)
    return f"file {path!r} removed"


def touch_file(world: World, rng: random.Random) -> str:
    path = world.pick_file(rng)
    if (world.source / path).exists():
        world.touched.add(path)
        os.utime(world.source / path)
    return f"file {path!r} touched"


def rename_file(world: World, rng: random.Random) -> str:
    path, new = world.pick_file(rng), world.new_name(rng)
    if path == new or not (world.source / path).exists():
        return touch_file(world, rng)
    data = (world.source / path).read_bytes()
    world.put_file(new, data)
    world.drop_file(path)
    return f"file {path!r} renamed to {new!r}"


def change_file_in_place(world: World, rng: random.Random) -> str:
    path = world.pick_file(rng)
    size = (world.source / path).stat().st_size if (world.source / path).exists() else 9
    world.put_file(path, rng.randbytes(size), in_place=True)
    return f"file {path!r} rewritten in place, {size} bytes"


def bad_file(world: World, rng: random.Random) -> str:
    path = os.fsdecode(b"not-utf8-\xff.csv")
    world.put_file(path, b"x")
    world.undo.append(lambda: world.drop_file(path))
    return "a file whose name is not UTF-8"


# --- objects -------------------------------------------------------------------------------------


def _pick_object(world: World, rng: random.Random) -> str | None:
    paths = world.keys()
    return rng.choice(paths) if paths else None


def rewrite_object(world: World, rng: random.Random) -> str:
    """As clients do that keep user metadata: other bytes of the same size under the same claim."""
    if (path := _pick_object(world, rng)) is None:
        return "no object to rewrite"
    body, answer = world.get_object(path)
    world.put_object(path, rng.randbytes(len(body)), Metadata=answer["Metadata"])
    world.claims.add(path)
    return f"object {path!r} rewritten, {len(body)} bytes, its metadata kept"


def rewrite_object_in_parts(world: World, rng: random.Random) -> str:
    """The same in two parts, which leave no MD5."""
    if (path := _pick_object(world, rng)) is None:
        return "no object to rewrite"
    body, answer = world.get_object(path)
    data = rng.randbytes(len(body)) if rng.random() < 0.7 else body
    keep = answer["Metadata"] if rng.random() < 0.7 else {}
    with world.lock:
        world.note(path, data)
        where = {"Bucket": world.bucket, "Key": PREFIX + path}
        upload = world.client.create_multipart_upload(**where, Metadata=keep)["UploadId"]
        cut = 5 << 20
        parts = [
            world.client.upload_part(**where, UploadId=upload, PartNumber=i + 1, Body=piece)["ETag"]
            for i, piece in enumerate([data[:cut], data[cut:]] if len(data) > cut else [data])
        ]
        listed = [{"ETag": etag, "PartNumber": i + 1} for i, etag in enumerate(parts)]
        world.client.complete_multipart_upload(
            **where, UploadId=upload, MultipartUpload={"Parts": listed}
        )
    world.claims.add(path)
    same = "the same" if data == body else "other"
    return (
        f"object {path!r} sent anew in parts, {same} bytes, metadata {'kept' if keep else 'lost'}"
    )


def replace_object(world: World, rng: random.Random) -> str:
    if (path := _pick_object(world, rng)) is None:
        return "no object to replace"
    data = world.new_bytes(rng)
    world.put_object(path, data)
    return f"object {path!r} replaced by {len(data)} bytes of another client"


def copy_object(world: World, rng: random.Random) -> str:
    """One object over another, by the server; its metadata goes along."""
    one, other = _pick_object(world, rng), _pick_object(world, rng)
    if one is None or other is None or one == other:
        return copy_in_place(world, rng)
    with world.lock:
        body, _ = world.get_object(one)
        world.note(other, body)
        keep = rng.random() < 0.5
        _, old = world.get_object(other)
        how = {"MetadataDirective": "REPLACE", "Metadata": old["Metadata"]} if keep else {}
        world.client.copy_object(
            Bucket=world.bucket,
            Key=PREFIX + other,
            CopySource={"Bucket": world.bucket, "Key": PREFIX + one},
            **how,
        )
    world.claims |= {one, other}
    return f"object {one!r} copied over {other!r}, {'old' if keep else 'its'} metadata"


def copy_in_place(world: World, rng: random.Random) -> str:
    if (path := _pick_object(world, rng)) is None:
        return "no object to copy"
    with world.lock:
        _, answer = world.get_object(path)
        where = {"Bucket": world.bucket, "Key": PREFIX + path}
        world.client.copy_object(
            **where, CopySource=where, MetadataDirective="REPLACE", Metadata=answer["Metadata"],
            ContentType="text/plain",
        )  # fmt: skip
        world.touched.add(path)
    return f"object {path!r} copied in place"


def remove_object(world: World, rng: random.Random) -> str:
    if (path := _pick_object(world, rng)) is None:
        return "no object to remove"
    world.drop_object(path)
    return f"object {path!r} removed"


def add_object(world: World, rng: random.Random) -> str:
    path = world.new_name(rng)
    data, more = world.new_bytes(rng), {}
    if rng.random() < 0.2:
        data, more = gzip.compress(data), {"ContentEncoding": "gzip"}
    world.put_object(path, data, **more)
    return f"object {path!r} of another client, {len(data)} bytes {more or ''}"


def bad_object(world: World, rng: random.Random) -> str:
    paths = world.keys() or ["plain.csv"]
    path = rng.choice(
        [
            "../evil.csv",
            "a/../../evil.csv",
            "/abs.csv",
            "a//b.csv",
            "full/",
            f"{rng.choice(paths)}/x",
        ]
    )
    world.put_object(path, b"evil")

    def undo() -> None:
        world.drop_object(path)
        taken = world.dest / path.rpartition("/")[0]  # by a folder, if that key came first
        if path.endswith("/x") and taken.is_dir():
            shutil.rmtree(taken)

    world.undo.append(undo)
    return f"object {path!r}, which can be no file"


# --- the destination of downloads ----------------------------------------------------------------


def change_dest(world: World, rng: random.Random) -> str:
    files = world.dest_files()
    if not files:
        return add_dest(world, rng)
    path = rng.choice(files)
    size = (world.dest / path).stat().st_size
    world.put_dest(path, rng.randbytes(size if rng.random() < 0.7 else size + 3))
    return f"file {path!r} changed at the destination"


def remove_dest(world: World, rng: random.Random) -> str:
    files = world.dest_files()
    if not files:
        return add_dest(world, rng)
    path = rng.choice(files)
    world.drop_dest(path)
    return f"file {path!r} removed at the destination"


def touch_dest(world: World, rng: random.Random) -> str:
    files = world.dest_files()
    if not files:
        return add_dest(world, rng)
    path = rng.choice(files)
    world.touched.add(path)
    os.utime(world.dest / path)
    return f"file {path!r} touched at the destination"


def add_dest(world: World, rng: random.Random) -> str:
    path = rng.choice([f"stray{rng.randrange(9)}.csv", "plain.csv"])
    world.put_dest(path, world.new_bytes(rng))
    return f"file {path!r} put at the destination"


def bad_dest(world: World, rng: random.Random) -> str:
    files = [path for path in world.dest_files() if path in set(world.keys())]
    if not files:
        return add_dest(world, rng)
    path = rng.choice(files)
    with world.lock:
        world.drop_dest(path)
        (world.dest / path).mkdir()
    world.undo.append(lambda: (world.dest / path).rmdir())
    return f"a folder in place of {path!r} at the destination"


# --- results -------------------------------------------------------------------------------------


def damage(world: World, rng: random.Random) -> str:
    """Delete, cut, fill or edit one file under results/."""
    files = sorted(p for p in world.results.rglob("*") if p.is_file())
    if not files:
        return "no results to damage"
    path = rng.choice(files)
    data = path.read_bytes()
    how = rng.choice(["delete", "empty", "half", "random", "flip", "digit", "append", "digit"])
    if how == "delete":
        path.unlink()
    elif how == "digit":  # an edit that every reader takes
        places = [i for i, byte in enumerate(data) if byte in b"0123456789"] or [0]
        at = rng.choice(places)
        path.write_bytes(data[:at] + rng.choice([b"0", b"1", b"7"]) + data[at + 1 :])
    elif how == "flip":
        at = rng.randrange(len(data)) if data else 0
        path.write_bytes(data[:at] + bytes([data[at] ^ 4 if data else 4]) + data[at + 1 :])
    else:
        path.write_bytes(
            {
                "empty": b"",
                "half": data[: len(data) // 2],
                "random": rng.randbytes(max(1, len(data))),
                "append": data + data[-40:],
            }[how]
        )
    _damaged(world)
    return f"results damaged: {how} {path.relative_to(world.folder)}"


def lose(world: World, rng: random.Random) -> str:
    """A whole folder goes."""
    folders = sorted(p for p in world.results.rglob("*") if p.is_dir())
    folders += [world.results, world.folder / ".snakemake", world.folder / ".snakemake"]
    folders += [world.results / "up" / "inventory", world.results / "down" / "inventory"]
    path = rng.choice(folders)
    shutil.rmtree(path, ignore_errors=True)
    _damaged(world)
    return f"lost: {path.relative_to(world.folder)}/"


def turn_back(world: World, rng: random.Random) -> str:
    """The results of an earlier day are put back, as from a backup."""
    kept = world.aside / "results"
    if not kept.exists():
        if world.results.exists():
            shutil.copytree(world.results, kept)
        return "results copied to a backup"
    shutil.rmtree(world.results, ignore_errors=True)
    kept.rename(world.results)
    _damaged(world)
    return "results put back from the backup"


def _damaged(world: World) -> None:
    world.damaged = True
    world.uploads_unknown = True


FILES: list[Deed] = [
    change_file, change_file, change_file_same_size, add_file, add_file, remove_file, touch_file,
    rename_file,
]  # fmt: skip
OBJECTS: list[Deed] = [
    rewrite_object, rewrite_object, rewrite_object_in_parts, replace_object, copy_object,
    copy_in_place, remove_object, add_object,
]  # fmt: skip
DEST: list[Deed] = [change_dest, remove_dest, touch_dest, add_dest]
BAD: dict[str, list[Deed]] = {"up": [bad_file], "down": [bad_object, bad_dest]}
RESULTS: list[Deed] = [damage, damage, damage, lose, lose, turn_back]
