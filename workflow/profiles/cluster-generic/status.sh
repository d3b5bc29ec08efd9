#!/bin/sh
# The state of one job for Snakemake: running, success or failed.
#
#   status.sh JOB
if ! state=$(squeue --noheader --states=all --format=%T --jobs "$1" 2>&1); then
    case $state in
    *"Invalid job id"*) state= ;;    # SLURM has forgotten it
    *) state=UNKNOWN ;;              # the controller is away: ask again later
    esac
fi
case $state in
COMPLETED) echo success ;;
"" | BOOT_FAIL | CANCELLED | DEADLINE | FAILED | NODE_FAIL | OUT_OF_MEMORY | PREEMPTED | TIMEOUT)
    echo failed
    ;;
*) echo running ;;
esac
