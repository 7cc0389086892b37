"""Work on a SLURM cluster: submit, sweep, status, collect.

This layer is not built yet: the package holds its name and its place in the direction of imports (it may build on
``lit_outpaint``, never the reverse). Until it arrives, a cluster job is a script of your own with one
``srun python -m lit_outpaint fit -c ...``; Lightning recognises the SLURM environment by itself.
"""
