"""Runs on a SLURM cluster, and sweeps with or without one: submit, sweep, status, collect, dashboard.

`sweep_file` reads what to vary, `record` writes down the cells of a sweep, `batch` renders job scripts and `cluster`
hands them over; `local` runs the same cells without a cluster; `results` and `collect` make one table of what came out.
Builds on ``lit_outpaint`` and talks to the other packages through their command lines alone.
"""
