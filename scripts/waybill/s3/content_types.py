"""The Content-Type of an object, by the name of its file.

A browser opens an object as its Content-Type says. The table is part of Waybill, so that the same
file has the same type from every machine. A name that is not in it has none, and the store decides
(``binary/octet-stream``). A compressed file has the type of its compression; it is never said to be
encoded (Content-Encoding), because a client would then unpack it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from waybill.model.transfer import Transfer

# IANA, "Media Types"; types that are not registered begin with "x-".
_SUFFIXES = {
    # text
    "text/plain": "txt log text asc sam fastq fq fasta fa fna faa ffn vcf bed gff gff3 gtf wig maf",
    "text/css": "css",
    "text/csv": "csv",
    "text/html": "html htm",
    "text/javascript": "js mjs",
    "text/markdown": "md markdown",
    "text/tab-separated-values": "tsv tab",
    "text/calendar": "ics",
    "text/x-python": "py",
    "text/x-r": "r rmd",
    "application/xml": "xml xsd xsl",
    "application/json": "json map ipynb",
    "application/ld+json": "jsonld",
    "application/geo+json": "geojson",
    "application/jsonl": "jsonl ndjson",
    "application/yaml": "yaml yml",
    "application/toml": "toml",
    "application/x-sh": "sh",
    "application/sql": "sql",
    # pictures, films, sound
    "image/png": "png",
    "image/jpeg": "jpg jpeg",
    "image/gif": "gif",
    "image/svg+xml": "svg",
    "image/tiff": "tif tiff",
    "image/webp": "webp",
    "image/bmp": "bmp",
    "image/vnd.microsoft.icon": "ico",
    "image/jp2": "jp2",
    "image/avif": "avif",
    "image/fits": "fits fit",
    "application/dicom": "dcm",
    "video/mp4": "mp4 m4v",
    "video/webm": "webm",
    "video/quicktime": "mov qt",
    "video/x-msvideo": "avi",
    "video/mpeg": "mpeg mpg",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    # documents
    "application/pdf": "pdf",
    "application/postscript": "ps eps",
    "application/rtf": "rtf",
    "application/epub+zip": "epub",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    # data
    "application/x-hdf5": "h5 hdf5 he5 h5ad",
    "application/netcdf": "nc nc4 cdf",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.file": "arrow feather",
    "application/vnd.sqlite3": "sqlite sqlite3",
    "application/vnd.google-earth.kml+xml": "kml",
    "application/vnd.google-earth.kmz": "kmz",
    "application/wasm": "wasm",
    # archives
    "application/gzip": "gz tgz bgz bgzf",
    "application/x-bzip2": "bz2 tbz2",
    "application/x-xz": "xz txz",
    "application/zstd": "zst",
    "application/zip": "zip",
    "application/x-tar": "tar",
    "application/x-7z-compressed": "7z",
    "application/java-archive": "jar",
}
_TYPES = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}


def content_type(path: str) -> str:
    """The Content-Type of the file at ``path``; ``""`` when its name does not tell."""
    name = path.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return _TYPES.get(suffix.lower(), "") if dot and stem else ""


def type_arguments(transfer: Transfer, key: str) -> dict[str, str]:
    """The argument of PutObject and CreateMultipartUpload that gives an object its type."""
    found = content_type(key) if transfer.content_types else ""
    return {"ContentType": found} if found else {}
