"""A run of ``outpaint`` on disk: its configuration, record, directory, edits and exports."""
