"""What the operating system and Python give: files, hashes, locks, threads, signals."""
