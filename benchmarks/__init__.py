"""Speed of our steps against plain diffusers code of the same work; each script leaves its last report beside it."""
