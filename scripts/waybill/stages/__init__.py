"""What Snakemake calls: the run, its jobs, and one function for each rule."""
