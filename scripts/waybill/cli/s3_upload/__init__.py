"""The command ``s3-upload``, for Illumina sequencing runs."""
