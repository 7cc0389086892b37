"""Shards: the contract on disk, its reader, and the Lightning data module.

``schema`` and ``evalset`` say what lies on disk and need no torch, so that preparation runs on plain machines;
``reader`` and ``datamodule`` turn it into :class:`~lit_outpaint.data.batch.OutpaintBatch`.
"""
