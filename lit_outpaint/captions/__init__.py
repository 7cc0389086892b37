"""Who writes the captions: rules, files, and the checks every caption passes."""
