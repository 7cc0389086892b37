"""A chat model behind an OpenAI-compatible server: vLLM, Ollama, ``transformers serve``, OpenAI itself.

The ``openai`` client carries the requests and tenacity retries them; which faults are retried, the waits and the limits
on what is read are ours, so that every fault is counted and none can fill the memory.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from lit_outpaint.chat.openai_wire import AnswerError, Dialect, keeps_form, read_reply, request_body
from lit_outpaint.chat.pacing import Pace, backoff, retry_after_s
from lit_outpaint.chat.requests import Cause, ChatError, ChatReply, ChatRequest

if TYPE_CHECKING:
    from openai import OpenAI
    from tenacity import RetryCallState

log = logging.getLogger(__name__)

OPENAI_URL: Final = "https://api.openai.com/v1"
_MAX_BLAME_BYTES: Final = 16_000
_SHOWN_CHARS: Final = 200
_CAUSES_THAT_PASS: Final = frozenset({"rate_limit", "server", "timeout", "connection"})
_MAX_RETRIES_UNREACHABLE: Final = 2
"""Where nothing listens, waiting longer seldom helps, and a wrong address should be told soon."""
_BLANK_CHARS: Final = 64


class Fault(Exception):
    """One request without an answer."""

    def __init__(self, cause: Cause, message: str, *, wait_s: float | None = None, unreachable: bool = False) -> None:
        super().__init__(message)
        self.cause: Cause = cause
        self.wait_s, self.unreachable = wait_s, unreachable
        self.blame = ""
        """What the server said, where a simpler request may help."""


class OpenAIChat:
    """Asks a server; see ``ChatModel``.

    A key is read from the environment when the first question is asked; it stands in no record, message or log.

    Args:
        model: name of the model, as the server knows it.
        base_url: address of the server, for example ``http://localhost:8000/v1``; OpenAI's own when absent.
        api_key_env: environment variable that holds the key; servers that want none need none.
        concurrency: most requests in flight at once; a request that waits to be sent again counts.
        timeout_s: longest time for one answer, in seconds.
        max_retries: how often a request is sent again after a fault that may pass.
        requests_per_minute: most requests started in a minute, evenly spaced; None for no limit.
        temperature: of sampling; None leaves it to the server, as some models take no other.
        seed: of sampling; None leaves it to the server.
        schema_mode: how the server is told the form of the answer; ``auto`` steps down from ``json_schema`` to
            ``json_object`` to ``none`` when it refuses.
        sees: whether the model takes pictures.
        image_px: longest side of a picture shown to it.
        max_answer_bytes: an answer longer than this is not read on.
        first_wait_s: mean wait before a request is sent again, doubled each time.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        *,
        api_key_env: str = "OPENAI_API_KEY",
        concurrency: int = 8,
        timeout_s: float = 60.0,
        max_retries: int = 5,
        requests_per_minute: float | None = None,
        temperature: float | None = 0.7,
        seed: int | None = 0,
        schema_mode: Literal["auto", "json_schema", "json_object", "none"] = "auto",
        sees: bool = False,
        image_px: int = 512,
        max_answer_bytes: int = 200_000,
        first_wait_s: float = 0.5,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        _check(settings)
        self._settings: dict[str, Any] = settings
        self.name, self.concurrency, self.sees = f"openai:{model}", concurrency, sees
        self._url = (base_url or OPENAI_URL).rstrip("/")
        self._where = _shown_url(self._url)
        self._dialect = Dialect("json_schema" if schema_mode == "auto" else schema_mode)
        self._slots = threading.BoundedSemaphore(concurrency)
        self._pace = Pace(requests_per_minute)
        self._building = threading.Lock()
        self._said_form_ignored = False

    def __repr__(self) -> str:
        return f"OpenAIChat({self._settings['model']!r}, {self._where!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(OpenAIChat, **self._settings), ()  # Locks and connections cannot go to another process.

    @property
    def parameters(self) -> dict[str, Any]:
        """What answers depend on besides the conversation.

        The address is not part of it: the same model elsewhere gives the same answers.
        """
        names = ("model", "temperature", "seed", "schema_mode", *(("image_px",) if self.sees else ()))
        return {name: self._settings[name] for name in names}

    @property
    def directory(self) -> str:
        """Name of the model; some servers name it by its directory, see ``LocalChat``."""
        return str(self._settings["model"])

    def reply(self, request: ChatRequest) -> ChatReply:
        """Return the answer to a conversation."""
        from tenacity import Retrying, retry_if_exception

        if request.image is not None and not self.sees:
            raise ChatError("refused", "the model was shown a picture but takes none; set sees if it does")
        retrying = Retrying(
            sleep=time.sleep,
            retry=retry_if_exception(lambda error: isinstance(error, Fault) and error.cause in _CAUSES_THAT_PASS),
            stop=self._has_asked_enough,
            wait=self._wait_s,
            reraise=True,
        )
        # Held while it waits too: a server in trouble then sees fewer requests.
        with self._slots:
            try:
                reply = retrying(self._ask, request)
            except Fault as fault:
                raise ChatError(fault.cause, str(fault), retrying.statistics["attempt_number"] - 1) from fault
        return replace(reply, retries=retrying.statistics["attempt_number"] - 1)

    def close(self) -> None:
        """Close idle connections; another question opens new ones."""
        with self._building:
            client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    def _has_asked_enough(self, state: RetryCallState) -> bool:
        fault = state.outcome.exception() if state.outcome else None
        most = self._settings["max_retries"]
        if isinstance(fault, Fault) and fault.unreachable:
            most = min(most, _MAX_RETRIES_UNREACHABLE)
        return state.attempt_number > most

    def _wait_s(self, state: RetryCallState) -> float:
        fault = state.outcome.exception() if state.outcome else None
        asked_s = fault.wait_s if isinstance(fault, Fault) else None
        return backoff(state.attempt_number - 1, self._settings["first_wait_s"], asked_s)

    def _ask(self, request: ChatRequest) -> ChatReply:
        """Send one request, in simpler dialects while the server blames the dialect."""
        dialect = self._dialect
        while True:
            try:
                raw = self._post(request, dialect)
                break
            except Fault as fault:
                simpler = dialect.simpler(fault.blame, form_is_open=self._settings["schema_mode"] == "auto")
                if simpler is None:
                    raise
                dialect = simpler
        if dialect != self._dialect:
            log.info("%s at %s takes %s; later requests use it", self.name, self._where, dialect)
            self._dialect = dialect
        try:
            reply = read_reply(raw, request.messages)
        except AnswerError as error:
            raise Fault("server", f"{self._where}: {error}") from error
        if len(reply.text) >= _BLANK_CHARS and not reply.text.strip():
            raise Fault("too_long", f"{self._where} answered with {len(reply.text)} blanks")
        if dialect.form == "json_schema" and not self._said_form_ignored and not keeps_form(reply, request.schema):
            self._said_form_ignored = True
            log.warning(
                "%s at %s was told the JSON schema of the answer and does not keep to it: the server may not know "
                "response_format; answers are checked all the same",
                self.name,
                self._where,
            )
        return reply

    def _post(self, request: ChatRequest, dialect: Dialect) -> bytes:
        """The body of the answer, at most ``max_answer_bytes`` of it.

        Raises:
            Fault: there is none.
        """
        import openai

        self._pace.wait()
        start = time.monotonic()
        body = request_body(request, dialect, self._settings["image_px"])
        sampling = {name: self._settings[name] for name in ("temperature", "seed") if self._settings[name] is not None}
        if "seed" in sampling:
            sampling["seed"] += request.draw
        create = self._connected().chat.completions.with_streaming_response.create
        try:
            # What goes in as an extra is merged as it is; typed arguments are walked through first, which costs a third
            # of the client's time (benchmarks/captions.py).
            with create(model=self._settings["model"], messages=[], extra_body=sampling | body) as response:
                return self._read(response.iter_bytes(), start)
        except openai.APITimeoutError as error:
            raise self._timeout() from error
        except openai.APIConnectionError as error:
            cause = error.__cause__
            if type(cause).__name__ == "ConnectError":
                what = f"no server answers at {self._where}: {cause}; start it or mend base_url"
                raise Fault("connection", what, unreachable=True) from error
            raise Fault("connection", f"the connection to {self._where} broke: {cause or error}") from error

    def _read(self, chunks: Iterator[bytes], start: float) -> bytes:
        raw = bytearray()
        most, timeout_s = self._settings["max_answer_bytes"], self._settings["timeout_s"]
        while True:
            try:
                chunk = next(chunks, None)
            except Exception as error:  # The HTTP library's own, and which library that is depends on the client.
                if "Timeout" in type(error).__name__:
                    raise self._timeout() from error
                raise Fault("connection", f"the connection to {self._where} broke: {error}") from error
            if chunk is None:
                return bytes(raw)
            raw += chunk
            if len(raw) > most:
                raise Fault("too_long", f"the answer of {self._where} is longer than {most} bytes")
            if time.monotonic() - start > timeout_s:  # The library's own limit is between two pieces.
                raise self._timeout()

    def _timeout(self) -> Fault:
        return Fault("timeout", f"{self._where} did not answer within {self._settings['timeout_s']} s")

    def _connected(self) -> OpenAI:
        with self._building:
            return self._client

    @cached_property
    def _client(self) -> OpenAI:
        import openai

        # A server that asks for no key gets a word that is none: the client insists on one.
        key = os.environ.get(self._settings["api_key_env"], "").strip()
        if not key and self._settings["base_url"] is None:
            raise ValueError(
                f"the environment variable {self._settings['api_key_env']} must hold the key for {self._where}"
            )
        timeout_s = self._settings["timeout_s"]
        # An address that moves is told, not followed: a redirected POST would lose its body or carry the key elsewhere.
        http = openai.DefaultHttpxClient(
            event_hooks={"response": [partial(_refuse, where=self._where, key=key)]},
            follow_redirects=False,
            timeout=openai.Timeout(timeout_s, connect=min(timeout_s, 10.0)),
        )
        # Unpacked answers are bounded by what is read; a packed one could grow a thousandfold after it.
        headers = {"Accept-Encoding": "identity"}
        return openai.OpenAI(
            api_key=key or "none",
            base_url=self._url,
            max_retries=0,
            timeout=http.timeout,
            http_client=http,
            default_headers=headers,
        )


def _refuse(response: Any, where: str, key: str) -> None:
    """Turn an HTTP status other than success into a `Fault`, reading no more of its body than people can use."""
    status = response.status_code
    if status < 300:
        return
    raw = bytearray()
    for chunk in response.iter_bytes():
        raw += chunk
        if len(raw) > _MAX_BLAME_BYTES:
            break
    blame = raw[:_MAX_BLAME_BYTES].decode("utf-8", errors="replace")
    if key:
        blame = blame.replace(key, "***")
    cause: Cause = "refused"
    if status == 429 and "insufficient_quota" not in blame:  # Money that is spent does not come back by waiting.
        cause = "rate_limit"
    elif status == 408:
        cause = "timeout"
    elif status >= 500 or status == 409:
        cause = "server"
    fault = Fault(cause, f"{where} answered {status}: {_gist(blame)}", wait_s=retry_after_s(response.headers))
    # Some servers answer what they do not know with 500. A page of a proxy in between says nothing of the request.
    if status in (400, 404, 415, 422) or (status >= 500 and not blame.lstrip().startswith("<")):
        fault.blame = blame
    raise fault


def _gist(blame: str) -> str:
    """The message in an error body, on one line."""
    try:
        body = json.loads(blame)
        error = body.get("error", body)
        blame = str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, AttributeError, RecursionError):
        pass
    return " ".join(blame.split())[:_SHOWN_CHARS] or "no reason given"


def _shown_url(url: str) -> str:
    """An address as it may stand in messages: without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _check(settings: dict[str, Any]) -> None:
    """Refuse settings that cannot work.

    Raises:
        ValueError: one is out of range.
    """
    if not settings["model"]:
        raise ValueError("model must be the name of a model, as the server knows it, got an empty one")
    url = settings["base_url"]
    if url is not None and urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"base_url must start with http:// or https://, got {_shown_url(url)!r}")
    if url is not None and "@" in urlsplit(url).netloc:  # Addresses are logged and recorded.
        raise ValueError(f"base_url must hold no password, got one for {_shown_url(url)}; name a key with api_key_env")
    for name, least in (("concurrency", 1), ("max_retries", 0), ("image_px", 1), ("max_answer_bytes", 1000)):
        if settings[name] < least:
            raise ValueError(f"{name} must be at least {least}, got {settings[name]}")
    for name in ("timeout_s", "first_wait_s"):
        if settings[name] <= 0:
            raise ValueError(f"{name} must be positive, got {settings[name]}")
    rate, temperature = settings["requests_per_minute"], settings["temperature"]
    if rate is not None and rate <= 0:
        raise ValueError(f"requests_per_minute must be positive or None, got {rate}")
    if temperature is not None and temperature < 0:
        raise ValueError(f"temperature must not be negative, got {temperature}")
