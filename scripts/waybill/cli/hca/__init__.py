"""The command ``hca-smart-sync``, for the Human Cell Atlas tracker."""
