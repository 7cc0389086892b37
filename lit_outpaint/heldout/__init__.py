"""Evaluation panoramas while training: read, drawn and fed to metrics."""
