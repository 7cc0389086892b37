"""A chat or vision model of transformers in this process.

Questions of many threads ride in one batch. What is drawn for a question depends on the seed and on the question alone,
not on who rides along: the Gumbel-max trick (Gumbel 1954) with a generator for each row turns sampling into greedy
choice among perturbed logits.
"""

from __future__ import annotations

import copy
import hashlib
import json
import threading
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from lit_outpaint.chat.batching import Batcher
from lit_outpaint.chat.openai_wire import without_system
from lit_outpaint.chat.pictures import shown
from lit_outpaint.chat.requests import ChatError, ChatReply, ChatRequest, Message, picture_turn
from lit_outpaint.chat.thoughts import holds_thoughts
from lit_outpaint.system.bfloat16 import computes_bfloat16
from lit_outpaint.system.files import file_sha256

if TYPE_CHECKING:
    from torch import Tensor

# What an answer depends on. The cards and pictures that lie beside it in a hub repository do not count.
_COUNTED: Final = ("*.safetensors", "*.jinja", "*.model", "*.txt", "*.json")
# Library versions (the shapes are in the weights), and how captioners ask, which is in their own identity.
_NOT_COUNTED: Final = frozenset({"config.json", "README.txt", "captioner.json"})
_MIN_BFLOAT16_BYTES: Final = 64 << 20
"""Smaller models gain nothing from half precision, and answer alike on every CPU without."""

Outcome = ChatReply | ChatError


class LocalChat:
    """Runs a model; see ``ChatModel``. It is loaded when the first question is asked.

    Args:
        path: directory or hub name of the model in transformers layout, safetensors only.
        batch_size: most questions in a batch, and so how many threads should ask.
        device: ``auto`` takes the GPU if there is one.
        dtype: ``auto`` takes that of the weights; on a CPU bfloat16 where it has instructions for it (AMX, AVX512-BF16)
            and the weights take 64 MiB or more, else float32.
        max_wait_ms: how long a batch that is not full waits for others, in milliseconds.
        temperature: of sampling, which the seed and the question decide; 0 takes the likeliest token, which small
            models repeat for ever.
        seed: of sampling.
        revision: branch, tag or commit of a hub model.
        image_px: longest side of a picture shown to it.
    """

    def __init__(
        self,
        path: str,
        *,
        batch_size: int = 8,
        device: str = "auto",
        dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
        max_wait_ms: float = 20.0,
        temperature: float = 0.7,
        seed: int = 0,
        revision: str | None = None,
        image_px: int = 512,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        for name, least in (("batch_size", 1), ("max_wait_ms", 0), ("temperature", 0), ("image_px", 1)):
            if settings[name] < least:
                raise ValueError(f"{name} must be at least {least}, got {settings[name]}")
        self._settings: dict[str, Any] = settings
        self.name = f"local:{Path(path).name}"
        self.concurrency = batch_size
        self.sees = "vision_config" in _config(path, revision)
        self._loading = threading.Lock()
        self._model: _Model | None = None
        self._batcher: Batcher[ChatRequest, Outcome] = Batcher(
            self._answer, batch_size=batch_size, max_wait_s=max_wait_ms / 1000
        )

    def __repr__(self) -> str:
        return f"LocalChat({self._settings['path']!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(LocalChat, **self._settings), ()  # Another process loads its own.

    @property
    def parameters(self) -> dict[str, Any]:
        """What answers depend on besides the conversation. A seed counts only where something is drawn."""
        with self._loading:
            weights = self._fingerprint
        parameters = {"weights": weights, "temperature": self._settings["temperature"]}
        if self._settings["temperature"] > 0:
            parameters["seed"] = self._settings["seed"]
        if self.sees:
            parameters["image_px"] = self._settings["image_px"]
        return parameters

    def reply(self, request: ChatRequest) -> ChatReply:
        """Return the answer to a conversation.

        Raises:
            ChatError: it does not reply.
            ValueError: it cannot be loaded.
        """
        if request.image is not None and not self.sees:
            raise ChatError("refused", "the model was shown a picture but takes none")
        self._loaded()
        try:
            outcome = self._batcher(request)
        except RuntimeError as error:
            raise ChatError("server", str(error)) from error
        if isinstance(outcome, ChatError):
            raise outcome
        return outcome

    @property
    def directory(self) -> str:
        """Of the model, or its hub name; captioners read there how it wants to be asked."""
        return str(self._settings["path"])

    def count_prompt(self, request: ChatRequest) -> int:
        """Tokens of a question as the model would be given it, pictures left out; only the tokenizer is loaded."""
        with self._loading:
            return len(self._form.tokenizer(self._form.prompt(request), add_special_tokens=False).input_ids)

    @cached_property
    def _form(self) -> _Form:
        return _Form(self._folder, self.sees)

    @cached_property
    def _folder(self) -> Path:
        """Where the files lie; a hub model is fetched."""
        folder = Path(self._settings["path"])
        if folder.is_dir():
            return folder
        from huggingface_hub import snapshot_download

        found = snapshot_download(
            self._settings["path"], revision=self._settings["revision"], allow_patterns=list(_COUNTED)
        )
        return Path(found)

    @cached_property
    def _fingerprint(self) -> str:
        """Checksum of weights, vocabulary and chat template."""
        files = {path for pattern in _COUNTED for path in self._folder.glob(pattern)}
        digest = hashlib.sha256()
        for path in sorted(files):
            if path.name not in _NOT_COUNTED:
                digest.update(f"{path.name}:{file_sha256(path)}\n".encode())
        return digest.hexdigest()

    def _loaded(self) -> _Model:
        """The model, loaded once.

        Raises:
            ValueError: it cannot be. Not a ``ChatError``, since asking another model instead would hide it.
        """
        with self._loading:
            if self._model is None:
                try:
                    self._model = _Model(self._folder, self._settings, self._form)
                except (OSError, ValueError) as error:
                    raise ValueError(f"{self.name} cannot be loaded from {self._settings['path']}: {error}") from error
            return self._model

    def _answer(self, requests: Sequence[ChatRequest]) -> list[Outcome]:
        """Answer a batch; those with pictures and those without go to the model in turns."""
        outcomes: dict[int, Outcome] = {}
        for with_image in (False, True):
            rows = [row for row, request in enumerate(requests) if (request.image is not None) == with_image]
            if rows:
                outcomes |= zip(rows, self._loaded().answer([requests[row] for row in rows]), strict=True)
        return [outcomes[row] for row in range(len(requests))]


class _Form:
    """A model's tokenizer or processor, and how it wants a conversation written."""

    def __init__(self, folder: Path, sees: bool) -> None:
        from transformers import AutoProcessor, AutoTokenizer

        self.sees = sees
        self.processor = (AutoProcessor if sees else AutoTokenizer).from_pretrained(folder, trust_remote_code=False)
        self.tokenizer = self.processor.tokenizer if sees else self.processor
        self.tokenizer.padding_side = "left"
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        if not self.tokenizer.chat_template and not getattr(self.processor, "chat_template", None):
            raise ValueError(f"a model must have a chat template, {folder} has none; take an instruction-tuned one")

    def prompt(self, request: ChatRequest) -> str:
        """The conversation in the model's own form."""
        from jinja2 import TemplateError

        turns = request.messages
        try:
            text = self._template(turns, request)
        except TemplateError:
            if turns[0].role != "system":
                raise
            return self._template(without_system(turns), request)
        # Some templates refuse a system turn, others leave it out without a word.
        dropped = turns[0].role == "system" and turns[0].text.strip() not in text
        return self._template(without_system(turns), request) if dropped else text

    def _template(self, messages: Sequence[Message], request: ChatRequest) -> str:
        turns: list[dict[str, Any]] = [{"role": turn.role, "content": turn.text} for turn in messages]
        if self.sees:
            turns = [turn | {"content": [{"type": "text", "text": turn["content"]}]} for turn in turns]
            if request.image is not None:
                asking = picture_turn([turn.role for turn in messages], request.num_examples)
                turns[asking]["content"].insert(0, {"type": "image"})
        return self.processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)


class _Model:
    """The loaded model; used by one thread at a time."""

    def __init__(self, folder: Path, settings: dict[str, Any], form: _Form) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

        self.settings, self.form, self.tokenizer = settings, form, form.tokenizer
        device, dtype = settings["device"], settings["dtype"]
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if dtype == "auto" and device == "cpu":
            dtype = _cpu_dtype(folder)
        kind = AutoModelForImageTextToText if form.sees else AutoModelForCausalLM
        model = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, trust_remote_code=False)
        self.model = model.to(device).eval()
        text_config = model.config.get_text_config()
        self.max_positions: int | None = getattr(text_config, "max_position_embeddings", None)

    def answer(self, requests: Sequence[ChatRequest]) -> list[Outcome]:
        """Answer questions that all come with a picture, or all without."""
        import torch

        texts = [self.form.prompt(request) for request in requests]
        images = [[shown(r.image, self.settings["image_px"])] for r in requests if r.image is not None]
        inputs = self._inputs(texts, images)
        lengths = inputs["attention_mask"].sum(1).tolist()
        outcomes: list[Outcome | None] = [
            self._too_long(length, request) for length, request in zip(lengths, requests, strict=True)
        ]
        rows = [row for row, outcome in enumerate(outcomes) if outcome is None]
        if len(rows) < len(requests) and rows:  # Those that cannot be answered would push the padding too far.
            rest = self.answer([requests[row] for row in rows])
            for row, outcome in zip(rows, rest, strict=True):
                outcomes[row] = outcome
        elif rows:
            with torch.inference_mode():
                answers = self._generate(inputs, requests, texts)
            for row, tokens in enumerate(answers):
                outcomes[row] = self._reply(tokens, requests[row], int(lengths[row]))
        return [outcome for outcome in outcomes if outcome is not None]

    def _too_long(self, length: int, request: ChatRequest) -> ChatError | None:
        if self.max_positions is None or length + request.max_tokens <= self.max_positions:
            return None
        what = f"a prompt of {length} tokens and an answer of up to {request.max_tokens}"
        return ChatError("refused", f"the model reads {self.max_positions} tokens at most, got {what}")

    def _inputs(self, texts: list[str], images: list[list[Any]]) -> Any:
        kwargs: dict[str, Any] = {"padding": True, "return_tensors": "pt", "add_special_tokens": False}
        if images:
            kwargs["images"] = images
        inputs = self.form.processor(text=texts, **kwargs)
        inputs.pop("token_type_ids", None)
        return inputs.to(self.model.device)

    def _generate(self, inputs: Any, requests: Sequence[ChatRequest], texts: Sequence[str]) -> list[list[int]]:
        """Tokens of every answer, the prompt left out."""
        from transformers import LogitsProcessorList

        config = copy.deepcopy(self.model.generation_config)
        config.update(do_sample=False, num_beams=1, temperature=1.0, top_p=1.0, top_k=50, max_length=None)
        config.update(
            max_new_tokens=max(request.max_tokens for request in requests), pad_token_id=self.tokenizer.pad_token_id
        )
        processors = LogitsProcessorList()
        if self.settings["temperature"] > 0:
            processors.append(_RowGumbel(self._seeds(requests, texts), self.settings["temperature"]))
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        tokens = self.model.generate(**inputs, generation_config=config, logits_processor=processors)
        return tokens[:, inputs["input_ids"].shape[1] :].tolist()

    def _seeds(self, requests: Sequence[ChatRequest], texts: Sequence[str]) -> list[int]:
        """A seed for each question, of the model's seed, the number of the draw and the text."""
        named = [
            f"{self.settings['seed'] + request.draw}\0{text}" for request, text in zip(requests, texts, strict=True)
        ]
        return [int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") >> 1 for name in named]

    def _reply(self, tokens: list[int], request: ChatRequest, prompt_tokens: int) -> ChatReply:
        ends = self.model.generation_config.eos_token_id
        ends = {ends} if isinstance(ends, int) else set(ends or ())
        ends |= {self.tokenizer.eos_token_id}
        length = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
        length = min(length, request.max_tokens)
        return ChatReply(
            text=self._decoded(tokens[:length]),
            prompt_tokens=prompt_tokens,
            completion_tokens=length,
            ended="length" if length == len(tokens[: request.max_tokens]) else "stop",
        )

    def _decoded(self, tokens: list[int]) -> str:
        """The text; marks of thoughts, which may be special tokens, are left in it."""
        marked = self.tokenizer.decode(tokens, skip_special_tokens=False)
        return marked if holds_thoughts(marked) else self.tokenizer.decode(tokens, skip_special_tokens=True)


class _RowGumbel:
    """Perturbs the logits of each row from that row's own generator, so that the likeliest token is a fair draw.

    ``argmax(logits / T + g)`` with Gumbel noise ``g`` is distributed as ``softmax(logits / T)``.
    """

    def __init__(self, seeds: Sequence[int], temperature: float) -> None:
        import torch

        self._temperature = temperature
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        import torch

        # Drawn on the CPU, so that machines with and without a GPU draw alike.
        uniform = torch.stack([torch.rand(scores.shape[1], generator=generator) for generator in self._generators])
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-20, 1 - 1e-7)))
        return scores.float() / self._temperature + gumbel.to(scores.device)


def _cpu_dtype(folder: Path) -> str:
    """The number format that answers soonest on this CPU."""
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return "bfloat16" if size >= _MIN_BFLOAT16_BYTES and computes_bfloat16() else "float32"


def _config(path: str, revision: str | None) -> dict[str, Any]:
    """The model's ``config.json``.

    Raises:
        ValueError: there is none.
    """
    file = Path(path) / "config.json"
    if not Path(path).is_dir():
        from huggingface_hub import hf_hub_download

        try:
            file = Path(hf_hub_download(path, "config.json", revision=revision))
        except Exception as error:  # Of many kinds: no network, no such name, no leave.
            raise ValueError(f"path must be a model's directory or hub name, got {path!r}: {error}") from error
    if not file.is_file():
        raise ValueError(f"path must be the directory of a model, with a config.json; {path!r} has none")
    return json.loads(file.read_text(encoding="utf-8"))
