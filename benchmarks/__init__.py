"""Speed of our steps against plain diffusers code of the same work; each script leaves its last report beside it."""

from lit_outpaint.system.threads import settle_threads

settle_threads()  # As the commands do it, and before any script of the package loads torch.
