"""Random trouble for real runs, and a judge of what they leave: `make storm`.

A world is a folder, a bucket and two transfers, ``up`` and ``down``. It lives through rounds: some
trouble, a run that is disturbed, a look by the judge, a run that is left in peace, another look.
``checker`` is the judge; it shares no code with Waybill.
"""
