"""A TOML file becomes transfers: loaded, checked, built."""
