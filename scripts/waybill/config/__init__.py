"""The configuration: a TOML file is read, checked against the schema and built into transfers."""
