"""Test kit: a local S3 server (``server``), a recording, misbehaving proxy in front of it
(``proxy``, ``faults``), and real runs of the workflow (``workflow``)."""
