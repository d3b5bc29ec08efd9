"""What Snakemake calls: the run, its jobs, one function for each rule."""
