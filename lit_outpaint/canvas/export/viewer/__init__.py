"""The page to look at a canvas: opens from the file system, needs no server and no network."""
