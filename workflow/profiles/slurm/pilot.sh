#!/bin/bash
# One allocation for the whole workflow, for a busy queue: no job of its own for each batch.
#
#   sbatch --cpus-per-task=8 --time=1-0 workflow/profiles/slurm/pilot.sh --config toml=my.toml
#
# Arguments are those of snakemake. It goes on where it was cut off: by itself after preemption and
# when its node dies, otherwise when it is submitted again.
#SBATCH --job-name=waybill
#SBATCH --ntasks=1
#SBATCH --mem=4G
#SBATCH --requeue
#SBATCH --open-mode=append
exec snakemake --cores "${SLURM_CPUS_PER_TASK:-1}" "$@"
