"""The configuration that ``waybill init`` writes."""

STARTER = """\
# Waybill: what moves from where to where. Every key: docs/configuration.md
#
#   waybill plan     what would be done
#   waybill run      the plan, a question, then do it
#
# Credentials are never in this file; they come from AWS's own chain (profile, environment, SSO).

[defaults]
# profile = "my-aws-profile"
# region = "eu-central-1"
# endpoint_url = "https://s3.example.org"   # another S3 service than Amazon's

# One section for each movement; its name becomes the folder results/NAME.
[transfers.data]
source = "/path/to/data"
destination = "s3://my-bucket/data/"
# include = ["*.h5", "tables/**"]            # default: every file
# exclude = ["*.tmp", "scratch/"]
# compare = "sha256"                         # or "size", "mtime"
# overwrite = "if-changed"                   # or "never", "always"
# settle = 60                                # leave out files younger than this many seconds

# The other way: from S3 into a folder.
# [transfers.scenes]
# source = "s3://my-bucket/scenes/"
# destination = "/path/to/scenes"

# A Human Cell Atlas folder; the preset knows bucket, prefix and manifest.
# [transfers.gut]
# preset = "hca"
# source = "~/atlas/gut"
# hca.atlas = "gut-v1"
# hca.folder = "source-datasets"
"""
