"""The engine: sends and fetches the bytes of objects, in one of two implementations."""
