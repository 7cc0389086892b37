"""Lightning callbacks, one per file; YAML adds them by ``class_path``."""
