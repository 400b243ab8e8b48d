"""The command line: starts, watches and stops the parts; asks the API for everything else."""
