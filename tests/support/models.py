"""What botocore knows of S3, a megabyte of JSON, is read once for all sessions of a process."""

from __future__ import annotations

import functools

from botocore.loaders import JSONFileLoader, Loader


def keep() -> None:
    """Have all sessions of this process use what the first one has read and listed. A session of
    its own would take as long for that as for thirty requests."""
    read = functools.cache(JSONFileLoader().load_file)
    JSONFileLoader.load_file = lambda _, path: read(path)
    services: dict[tuple[str, ...], list[str]] = {}
    list_services = Loader.list_available_services

    def list_once(loader: Loader, type_name: str) -> list[str]:
        place = (*loader.search_paths, type_name)
        if place not in services:
            services[place] = list_services(loader, type_name)
        return services[place]

    Loader.list_available_services = list_once
