"""The training verbs: Lightning's command line with our parts, run directories and one-line refusals."""

import importlib.metadata
import json
import logging
import os
import platform
import shlex
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NoReturn

import torch
from jsonargparse import Namespace, set_parsing_settings
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from transformers.utils import logging as transformers_logging

from lit_outpaint.callbacks.prediction_writer import PredictionWriter
from lit_outpaint.callbacks.preemption import Preempted
from lit_outpaint.callbacks.run_checkpoint import RunCheckpoint
from lit_outpaint.callbacks.throughput import Throughput
from lit_outpaint.cli.fit_arguments import CHECKPOINT_DEFAULTS, CHECKPOINTS, OWN, given_within
from lit_outpaint.cli.print_memory import memory_of_run
from lit_outpaint.data.datamodule import OutpaintDataModule
from lit_outpaint.diffusion.settings import Sampling
from lit_outpaint.models.devices import allow_tf32
from lit_outpaint.module import OutpaintModule
from lit_outpaint.system.bfloat16 import warn_where_imitated
from lit_outpaint.system.files import written_whole
from lit_outpaint.system.ranks import end_children, is_rank_of_srun
from lit_outpaint.system.threads import THREADS, threads_beside, threads_of_each
from lit_outpaint.training.checkpoint import (
    LAST,
    PREVIOUS,
    checkpoint_part,
    checkpoint_step,
    newest_checkpoint,
    read_checkpoint,
    remove,
)
from lit_outpaint.training.logger import WANDB_ID_NAME, WandbConfig, drop_rows
from lit_outpaint.training.sharded_checkpoint import AnyCheckpointIO

log = logging.getLogger(__name__)

PRECISIONS: Final = ("None", "32-true", "32", "bf16-mixed", "bf16")
"""What ``trainer.precision`` may be, Lightning's short names included."""
WHY_NOT: Final = (
    ": in float16 the way to a closed gate underflows; weights kept in half precision lose the small steps of"
    " fine-tuning; float64 fits no kernel of the models"
)

RECORDED_PACKAGES = ("lit-outpaint", "torch", "lightning", "diffusers", "transformers")


_OF_RUN: Final = ("metrics.csv", LAST, PREVIOUS, "samples", "eval", WANDB_ID_NAME)
"""What a run leaves beside its records, which are written over."""


class OneLineParser(LightningArgumentParser):
    """Says what is wrong in one line, without the usage text in front of it."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the message on one line and leave with exit code 2."""
        if not self.exit_on_error:
            super().error(message, ex)
        sys.stderr.write(f"error: {' '.join(message.split())}\n")
        raise SystemExit(2)


class TrainingRecord(SaveConfigCallback):
    """Saves ``config.yaml`` (everything) and ``run.json`` (command, seed, machine, versions) in the run directory.

    The directory is the trainer's ``default_root_dir`` and never its ``log_dir``: that asks all ranks, whereas files
    are written by one.
    """

    def __init__(self, *args: Any, command: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"save_to_log_dir": False})
        self.command = command

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write both files, on rank 0."""
        run_dir = Path(trainer.default_root_dir)
        run_dir.mkdir(parents=True, exist_ok=True)
        with written_whole(run_dir / self.config_filename) as draft:
            self.parser.save(self.config, draft, skip_unset=False, overwrite=True, multifile=self.multifile)
        record = {
            "command": shlex.join(["python", "-m", "lit_outpaint", *self.command]),
            "seed": self.config["seed_everything"],
            "machine": _machine(trainer),
            "versions": {name: _version(name) for name in RECORDED_PACKAGES},
        }
        with written_whole(run_dir / "run.json") as draft:
            draft.write_text(json.dumps(record, indent=2) + "\n")


class OutpaintCLI(LightningCLI):
    """``fit``, ``validate``, ``test`` and ``predict``; a run leaves everything in ``runs_dir/name``."""

    def __init__(self, verb: str, *args: Any, **kwargs: Any) -> None:
        self.verb = verb
        super().__init__(*args, **kwargs)

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Only the verb that was asked for: the parser of each costs a second."""
        return {self.verb: super().subcommands()[self.verb]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add where a run goes, and its checkpoints."""
        for setting in OWN:
            kind = bool if setting.type == "bool" else str
            default = False if kind is bool else setting.default
            parser.add_argument(f"--{setting.name}", type=kind, default=default, help=setting.help)
        parser.add_lightning_class_args(RunCheckpoint, "checkpoint")
        parser.add_lightning_class_args(Throughput, "throughput")
        parser.add_class_arguments(WandbConfig, "wandb")
        parser.set_defaults({f"checkpoint.{name}": value for name, value in CHECKPOINT_DEFAULTS.items()})
        parser.link_arguments(("runs_dir", "name"), "checkpoint.dirpath", compute_fn=_run_dir)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse, without Lightning's remark that arguments came from a function call."""
        self.sampling_given = given_within("model.sampling", args or [])
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        """Take the model's configuration from a checkpoint, except for ``fit``: there the given one is what is run."""
        verb = self.config["subcommand"]
        config = self.config[verb]
        path = config.get("ckpt_path")
        if verb != "fit" and path in CHECKPOINTS:
            run_dir = Path(_run_dir(config["runs_dir"], config["name"]))
            newest = newest_checkpoint(run_dir) if path == "last" else None
            if newest is None:
                # Lightning would take weights of the others, without the configuration that they were trained with.
                raise ValueError(
                    f"ckpt_path {path} must lead {verb} to a checkpoint, {run_dir} holds none"
                    if path == "last"
                    else f"{verb} takes ckpt_path last or a path, got {path}"
                )
            path = config["ckpt_path"] = str(newest)
        if not path or path in CHECKPOINTS:
            return
        hyper_parameters = dict(read_checkpoint(path, without=("optimizer_states",))["hyper_parameters"])
        hyper_parameters.pop("_instantiator", None)
        if verb != "fit":
            # How pictures are drawn is asked for now, as far as it is; what they are drawn with was trained.
            trained, drawn = hyper_parameters.get("sampling", {}), vars(config["model"]["sampling"])
            trained = asdict(trained) if isinstance(trained, Sampling) else dict(trained)
            hyper_parameters["sampling"] = trained | {name: drawn[name] for name in self.sampling_given}
            self.config = self.parser.parse_object({verb: {"model": hyper_parameters}}, self.config)

    def before_instantiate_classes(self) -> None:
        """Send logs to the run directory, and refuse to write over another run."""
        config = self.config[self.verb]
        trainer, run_dir = config["trainer"], _run_dir(config["runs_dir"], config["name"])
        trainer["default_root_dir"] = run_dir
        if str(trainer["precision"]) not in PRECISIONS:
            raise ValueError(
                f"trainer.precision must be {' or '.join(PRECISIONS)}, got {trainer['precision']}{WHY_NOT}"
            )
        allow_tf32(bool(config["tf32"]))
        if config["checkpoint"]["save_weights_only"]:
            raise ValueError(
                "checkpoint.save_weights_only leaves nothing to continue from; export gives a run's weights"
            )
        if config["wandb"]["project"] and trainer["logger"] is False:
            raise ValueError("wandb.project logs by trainer.logger, which is false; leave one of them out")
        if config["print_memory"]:
            sys.stdout.write(f"{memory_of_run(config)}\n")
            raise SystemExit(0)
        if self.verb != "fit":
            # A score is printed; it must not touch the record of the run it scores.
            trainer["logger"] = False
            return
        if trainer["logger"] in (None, True):
            trainer["logger"] = _loggers(Path(run_dir), config["wandb"])
        holds_run = (Path(run_dir) / "config.yaml").exists() and not trainer["fast_dev_run"]
        if holds_run and not config["overwrite"] and not config["ckpt_path"]:
            raise ValueError(
                f"the run directory must be new, but {run_dir} holds a run; give another --name, --ckpt_path last to "
                "continue, or --overwrite true"
            )
        self.replaces = bool(config["overwrite"] and not config["ckpt_path"])
        if config["ckpt_path"] == "last":
            newest = newest_checkpoint(Path(run_dir))
            if newest is None:
                log.warning("%s holds no checkpoint yet: training starts at step 0", run_dir)
            self.replaces = newest is None
            config["ckpt_path"] = newest if newest is None else str(newest)

    def _run_subcommand(self, subcommand: str) -> None:
        """Run the verb; where it fails, let no rank that this process started wait for ever."""
        try:
            super()._run_subcommand(subcommand)
        except Preempted:
            raise
        except BaseException:
            end_children(getattr(self.trainer.strategy.launcher, "procs", []))
            raise

    def after_fit(self) -> None:
        """Note that training came to its end; a run that is interrupted never gets here."""
        path = Path(self.trainer.default_root_dir) / "run.json"
        if path.is_file() and not self.config["fit"]["trainer"]["fast_dev_run"] and self.trainer.is_global_zero:
            record = json.loads(path.read_text()) | {"finished_at_step": self.trainer.global_step}
            with written_whole(path) as draft:
                draft.write_text(json.dumps(record, indent=2) + "\n")

    def after_instantiate_classes(self) -> None:
        """Refuse shards that do not fit, before anything is written; then make the logs fit what comes."""
        self.trainer.strategy.checkpoint_io = AnyCheckpointIO()
        _share_cores(self.trainer, self.datamodule.num_workers)
        if str(self.trainer.precision).startswith("bf16"):
            device = self.trainer.strategy.root_device.type
            rank_zero_only(warn_where_imitated)(device, "--trainer.precision 32-true")
        self.datamodule.setup(self.verb)
        if self.datamodule.card is not None:
            self.model.check_features(self.datamodule.card)
        begun = self.config[self.verb]["ckpt_path"] if self.verb == "fit" else None
        if begun and Path(begun).exists():
            self.datamodule.check_same_shards(checkpoint_part(begun, type(self.datamodule).__qualname__) or {})
        if self.verb != "fit" or self.trainer.fast_dev_run or not self.trainer.is_global_zero:  # type: ignore[attr-defined]
            return
        warn_without_validation(self.trainer)
        run_dir = Path(self.trainer.default_root_dir)
        if self.replaces:
            for path in run_dir.glob("*"):
                if path.name in _OF_RUN or path.suffix == ".ckpt" or path.name.startswith("events.out.tfevents."):
                    remove(path)
        elif self.config[self.verb]["ckpt_path"]:
            # What came after the checkpoint is trained, and logged, once more.
            path = self.config[self.verb]["ckpt_path"]
            step, states = checkpoint_step(path), checkpoint_part(path, "callbacks") or {}
            due = any(state.get("validation_due") for state in states.values() if isinstance(state, dict))
            drop_rows(run_dir / "metrics.csv", step, due)
            for logger in self.trainer.loggers:
                if isinstance(logger, TensorBoardLogger):
                    # For SummaryWriter, which is made later; Lightning takes it at construction only.
                    logger._kwargs["purge_step"] = step


def warn_without_validation(trainer: Trainer) -> None:
    """Say where training ends before its first validation, and with it what validations bring: scores, samples."""
    interval, num_batches = trainer.val_check_interval, trainer.max_steps * trainer.accumulate_grad_batches
    counted = isinstance(interval, int) and trainer.check_val_every_n_epoch is None and trainer.limit_val_batches
    if counted and 0 < num_batches < interval:
        log.warning(
            "no validation takes place: it is due every %d batches (--trainer.val_check_interval), and training ends "
            "after %d",
            interval,
            num_batches,
        )


def main(argv: Sequence[str]) -> int:
    """Run a training verb and return the exit code."""
    if not sys.stderr.isatty():
        # The progress of a run is told once, not by every rank.
        level = logging.WARNING if getattr(rank_zero_only, "rank", 0) else logging.INFO
        logging.basicConfig(level=level, format="%(asctime)s %(message)s")
    transformers_logging.disable_progress_bar()
    # Lightning's own use of torch, and what its summary assumes of a precision; nothing a user could mend.
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*not supported by the model summary.*")
    # Plain windows are encoded by the module, which has the encoders, and not by the data module.
    warnings.filterwarnings("ignore", message=".*overridden `on_after_batch_transfer` in `LightningModule`.*")
    # At every start it advises to install another product.
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(lambda line: "Tip:" not in line.getMessage())
    if "SLURM_NTASKS" in os.environ and not is_rank_of_srun(os.environ):
        # What a job reserved is no rank: Lightning would wait for processes that nobody starts.
        os.environ["SLURM_JOB_NAME"] = "interactive"
    try:
        _run(argv)
    except Preempted as reason:
        rank_zero_only(log.warning)("stopped by %s", reason)
        # Jobs that wait for this one's success must not begin.
        return 0 if reason.requeued else 1
    except MisconfigurationException as error:
        mend = "; --trainer.accelerator cpu --trainer.devices 1 trains without a GPU" * ("gpu" in str(error).lower())
        raise ValueError(f"the trainer refuses its settings: {error}{mend}") from error
    return 0


def _run(argv: Sequence[str]) -> None:
    # The docstring under each field of a configuration becomes its help. To read these takes four tenths of the
    # parser's time, and most command lines do not ask for them.
    described = any(word.partition("=")[0].endswith(".help") or "comments" in word for word in argv)
    set_parsing_settings(docstring_parse_attribute_docstrings=described)
    OutpaintCLI(
        argv[0],
        OutpaintModule,
        OutpaintDataModule,
        args=list(argv),
        parser_class=OneLineParser,
        save_config_callback=TrainingRecord if argv[0] == "fit" else None,
        save_config_kwargs={"overwrite": True, "command": list(argv)},
        trainer_defaults={"callbacks": [PredictionWriter()] if argv[0] == "predict" else []},
        seed_everything_default=0,
        auto_configure_optimizers=False,
        parser_kwargs={"prog": "python -m lit_outpaint"},
    )


def _share_cores(trainer: Trainer, workers: int | None) -> None:
    """Give each rank that runs here its share of the cores, less one for each of its loader workers.

    Ranks that Lightning is about to start find their number of threads in the environment.
    """
    cluster = getattr(trainer.strategy, "cluster_environment", None)
    starts = cluster is not None and not cluster.creates_processes_externally and trainer.num_devices > 1
    own = threads_of_each(trainer.num_devices if starts else 1)
    if own:
        threads = threads_beside(int(own[THREADS]), workers, on_cpu=trainer.strategy.root_device.type == "cpu")
        if starts or THREADS in os.environ:
            os.environ[THREADS] = str(threads)
        torch.set_num_threads(threads)


def _run_dir(runs_dir: str, name: str) -> str:
    return str(Path(runs_dir) / name)


def _loggers(run_dir: Path, wandb: Namespace) -> list[Namespace]:
    """Configuration of the loggers that write into the run directory itself."""
    board = Namespace(save_dir=str(run_dir.parent), name=run_dir.name, version="")
    loggers = [
        Namespace(class_path="lit_outpaint.training.logger.RunLogger", init_args=Namespace(run_dir=str(run_dir))),
        Namespace(class_path="lightning.pytorch.loggers.TensorBoardLogger", init_args=board),
    ]
    if wandb["project"] is not None:
        arguments = Namespace(run_dir=str(run_dir), **vars(wandb))
        loggers.append(Namespace(class_path="lit_outpaint.training.logger.RunWandbLogger", init_args=arguments))
    return loggers


def _machine(trainer: Trainer) -> str:
    """What the run computes on, for example ``x86_64, 2 CPU threads``."""
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return f"{trainer.world_size} x {torch.cuda.get_device_name(device)}"
    return f"{platform.machine()}, {trainer.world_size * torch.get_num_threads()} CPU threads"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
