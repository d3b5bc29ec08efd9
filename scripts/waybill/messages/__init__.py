"""The catalogue of messages, from which docs/troubleshooting.md is made."""
