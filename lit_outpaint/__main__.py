"""``python -m lit_outpaint``: train, widen, export.

Exit codes: 0 done, 2 the input was at fault (one clear line on stderr), 1 the fault is ours.
"""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from lit_outpaint.system.command_line import checked_words
from lit_outpaint.system.freed_memory import keep_freed_memory
from lit_outpaint.system.threads import settle_threads

TRAINING_VERBS = {
    "fit": "train on shards",
    "validate": "score a checkpoint on the held-out windows of a shard set",
    "test": "the same, under the name test/loss",
    "predict": "draw the held-out windows of a shard set",
}
OWN_VERBS = {
    "outpaint": "widen an image by any number of steps",
    "generate": "draw pictures of prompts, by text-to-image",
    "plan": "say what stands where in a picture, before it is drawn",
    "export": "write a checkpoint as a model directory in diffusers layout",
    "consolidate": "make one file of the checkpoint of a sharded run",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    if argv is None:
        settle_threads()
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb = arguments[0] if arguments else ""
    if verb in ("", "-h", "--help"):
        print(usage())
        return 0 if verb else 2
    if verb not in TRAINING_VERBS | OWN_VERBS:
        print(f"error: the verb must be one of {', '.join(TRAINING_VERBS | OWN_VERBS)}, got {verb!r}", file=sys.stderr)
        return 2
    keep_freed_memory()
    try:
        return _program(verb)(checked_words(arguments))
    except (ValueError, FileNotFoundError, PermissionError) as error:
        # What ranks started by this command say besides is told apart: most often it is the same.
        rank = os.environ.get("LOCAL_RANK", "0")
        print(f"error{'' if rank == '0' else f' on rank {rank}'}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def usage() -> str:
    """The help text of the program as a whole."""
    verbs = "\n".join(f"  {verb:<12} {what}" for verb, what in (TRAINING_VERBS | OWN_VERBS).items())
    return f"usage: python -m lit_outpaint VERB ...\n\nverbs (each with its own --help):\n{verbs}"


def _program(verb: str) -> Callable[[Sequence[str]], int]:
    """Import only what the verb needs."""
    if verb in TRAINING_VERBS:
        return _train
    own: Callable[[Sequence[str]], int] = import_module(f"lit_outpaint.cli.{verb}").main
    return lambda arguments: own(arguments[1:])


def _train(arguments: Sequence[str]) -> int:
    from lit_outpaint.cli.fit_arguments import check_arguments

    if {"-h", "--help"} & set(arguments):
        from lit_outpaint.cli.fit_help import help_of

        print(help_of(arguments[0]))
        return 0
    check_arguments(arguments[0], arguments[1:])
    from lit_outpaint.cli.fit import main as train

    return train(arguments)


if __name__ == "__main__":
    sys.exit(main())
