"""The command hca-smart-sync."""
