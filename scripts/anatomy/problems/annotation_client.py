"""Requests to an endpoint that annotates: under a deadline, repeated where that may help, and kept."""

import asyncio
import hashlib
import itertools
import json
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from anatomy.errors import AnatomyError
from anatomy.storage import atomic
from anatomy.study.endpoint import Endpoint

Row = dict[str, Any]
T = TypeVar("T")

# The client: requests, retries and what is kept of them -----------------------------------------------

_IN_A_ROW = 10
"""Requests in a row without any answer after which the endpoint is at fault, and not the problems."""
_OUT_OF_REACH = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError, httpx2.InvalidURL)
"""What the HTTP client raises before there is a connection."""


class NoAnswerError(Exception):
    """There is no usable answer to a request."""

    pause: float | None = 0.0
    """Seconds to wait at least before the next try; None: no need to wait at all."""


class UnusableError(NoAnswerError):
    """The endpoint answered, but not with what was asked for."""


class _TroubleError(NoAnswerError):
    """The endpoint did not answer; ``record`` is what there is to keep."""

    def __init__(self, record: Row, pause: float = 0.0, reached: bool = True):
        super().__init__(on_one_line(record["response"]))
        self.record, self.pause, self.reached = record, pause, reached


def on_one_line(text: str, longest: int = 300) -> str:
    """Return any text as one line that can be stored and shown."""
    text = re.sub(r"[\s\x00-\x1f\x7f]+", " ", text.encode(errors="replace").decode()).strip()
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _reason(error: BaseException) -> str:
    """Return what an error of the HTTP client comes from, which says more than the client's own words."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    if isinstance(error, BaseExceptionGroup):  # of several addresses
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def _pause(header: str | None) -> float:
    """Return the seconds that a Retry-After header asks for: a number or a date; 0 for anything else."""
    if header is None:
        return 0.0
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _content(text: str) -> str:
    """Return the model's text in a chat completion.

    Raises:
        UnusableError: There is none.
    """
    try:
        choice = json.loads(text)["choices"][0]
        message = choice["message"]
        content, refusal, finish = message["content"], message.get("refusal"), choice.get("finish_reason")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UnusableError(f"not a whole chat completion but {on_one_line(text, 80)!r}") from error
    if refusal:
        raise UnusableError(on_one_line(f"the model refused: {refusal}"))
    if finish == "content_filter":
        raise UnusableError("withheld by a content filter")
    if not isinstance(content, str) or not content.strip():
        raise UnusableError(f"empty (finish_reason {on_one_line(str(finish), 40)})")
    if finish == "length":
        raise UnusableError("cut off at max_tokens")
    return content


_HINTS = {
    401: "check the key in the environment variable {key}",
    403: "check the key in the environment variable {key}, and that it may use the model '{model}'",
    404: "check the url, and that there is a model '{model}'",
}
_OTHER_HINT = (
    "check url and model ('{model}') and whether it takes these settings; if the problem is what is"
    " refused, give it an annotation written by hand"
)


@dataclass
class _Reply:
    """What came of one request."""

    status: int = 0
    pause: float = 0.0
    """Seconds that the endpoint asks to wait before another try."""
    body: bytearray = field(default_factory=bytearray)
    failure: str = ""
    """Why there is no whole answer; empty where there is one."""
    reached: bool = True


class Client:
    """Asks an endpoint and keeps its answers; for the tasks of one event loop."""

    def __init__(self, endpoint: Endpoint, folder: Path):
        self.endpoint, self.folder = endpoint, folder
        self.posts = 0
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._given_up: dict[Path, Row] = {}
        self._in_a_row = 0

    @cached_property
    def _http(self) -> httpx2.AsyncClient:
        # Half of the time at most to connect: a silent host is out of reach, and no slow answer.
        connect = min(30.0, self.endpoint.timeout / 2)
        return httpx2.AsyncClient(
            timeout=httpx2.Timeout(None, connect=connect),
            limits=httpx2.Limits(max_connections=self.endpoint.workers),
        )

    async def close(self) -> None:
        """Close the connections."""
        if "_http" in vars(self):
            await self._http.aclose()

    def keep_given_up(self) -> None:
        """Keep the requests without an answer, so that a finished run can be repeated as it was."""
        for path, record in self._given_up.items():
            _save(path, record)

    async def ask(self, row: Row, messages: list[dict[str, str]], read: Callable[[str], T]) -> T:
        """Return what ``read`` makes of the model's text.

        Args:
            row: The problem's row, in which the requests are counted.
            messages: What is asked.
            read: Reads the text; it raises _UnusableError for one to ask for anew.

        Raises:
            _NoAnswerError: All tries are used up.
            AnatomyError: No try can help.
        """
        tries = itertools.count(self.endpoint.seed)

        async def once() -> T:
            body = {
                "model": self.endpoint.model,
                "messages": messages,
                "temperature": float(self.endpoint.temperature),
                "seed": next(tries),
                "max_tokens": self.endpoint.max_tokens,
                "response_format": {"type": "json_object"},
            }
            row["requests"] += 1
            record, fresh = await self._answer(row["problem"], body)
            try:
                return read(_content(record["response"]))
            except UnusableError as error:
                error.pause = 0.0 if fresh else None
                raise

        return await self._retried(UnusableError, once)

    async def _retried(self, kind: type[NoAnswerError], once: Callable[[], Awaitable[T]]) -> T:
        """Return what ``once`` does, tried again after an error of a kind and a pause."""
        endpoint = self.endpoint
        backoff = wait_exponential_jitter(
            multiplier=endpoint.backoff, max=endpoint.longest, jitter=endpoint.backoff
        )

        def pause(state: RetryCallState) -> float:
            failure = state.outcome.exception() if state.outcome else None
            wanted = failure.pause if isinstance(failure, NoAnswerError) else 0.0
            return 0.0 if wanted is None else max(backoff(state), min(wanted, endpoint.longest))

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(kind),
            stop=stop_after_attempt(endpoint.retries + 1),
            wait=pause,
            reraise=True,
        )
        return await retrying(once)

    async def _answer(self, problem: str, body: Row) -> tuple[Row, bool]:
        """Return the record of an answer, and whether it is new. Raises _TroubleError if there is none."""
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        key = hashlib.sha256(text.encode()).hexdigest()
        path = self.folder / key[:2] / f"{key}.json"
        async with self._asking[key]:  # equal requests are made once
            if record := _kept(path, body):
                if record["status"] != 200:
                    raise _TroubleError(record)
                return record, False
            try:
                record = await self._retried(_TroubleError, partial(self._post, problem, body, text))
            except _TroubleError as trouble:
                self._given_up[path] = trouble.record
                self._check_endpoint(trouble)
                raise
            self._in_a_row = 0
            _save(path, record)
            return record, True

    def _check_endpoint(self, trouble: _TroubleError) -> None:
        """Raise AnatomyError where a request without an answer shows that the endpoint is at fault."""
        self._in_a_row += 1
        if trouble.reached and self._in_a_row < _IN_A_ROW:
            return
        what = f"has not answered {_IN_A_ROW} requests in a row" if trouble.reached else "is out of reach"
        raise AnatomyError(
            f"{self.endpoint.url} {what} (last: {trouble}); check the url and that the endpoint runs and"
            f" keeps up (timeout, workers), then run again: the answers so far are kept in {self.folder}"
        ) from trouble

    async def _post(self, problem: str, body: Row, text: str) -> Row:
        """Make one request. Raises _TroubleError where another try may help, AnatomyError where none can."""
        key, started = self.endpoint.key(), time.monotonic()
        self.posts += 1
        reply = await self._reply(text, key)
        answer, failure = bytes(reply.body).decode(errors="replace"), reply.failure
        if key:
            answer, failure = answer.replace(key, "[key]"), failure.replace(key, "[key]")
        record = {
            "request": body,
            "response": failure or answer,
            "status": 0 if failure else reply.status,
            "seconds": round(time.monotonic() - started, 3),
        }
        if not failure:
            if reply.status == 200:
                return record
            if reply.status not in (408, 409, 429) and reply.status < 500:
                raise self._refusal(problem, reply.status, answer)
            record["response"] = f"HTTP {reply.status}: {answer}"
        raise _TroubleError(record, reply.pause, reply.reached)

    async def _reply(self, text: str, key: str) -> _Reply:
        """Send one request, and read its answer as far as time and size allow."""
        endpoint, reply = self.endpoint, _Reply()
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        try:
            async with (
                asyncio.timeout(endpoint.timeout),
                self._http.stream("POST", endpoint.completions, content=text, headers=headers) as response,
            ):
                reply.status, reply.pause = response.status_code, _pause(response.headers.get("Retry-After"))
                async for piece in response.aiter_bytes():
                    reply.body += piece
                    if len(reply.body) >= endpoint.largest:
                        break
        except TimeoutError:
            reply.failure = f"no whole answer within {endpoint.timeout} s"
        except (OSError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            reply.failure = f"the connection failed: {_reason(error)}"
            reply.reached = not isinstance(error, _OUT_OF_REACH)
        del reply.body[endpoint.largest :]
        return reply

    def _refusal(self, problem: str, status: int, answer: str) -> AnatomyError:
        endpoint = self.endpoint
        hint = _HINTS.get(status, _OTHER_HINT).format(key=endpoint.key_variable or "-", model=endpoint.model)
        return AnatomyError(
            f"{endpoint.completions} answered HTTP {status} to problem '{problem}':"
            f" {on_one_line(answer)}; {hint}"
        )


def _kept(path: Path, body: Row) -> Row | None:
    """Return the record of a request; None where there is none, or a broken one."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        whole = record["request"] == body and isinstance(record["response"], str)
        return record if whole and isinstance(record["status"], int) else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _save(path: Path, record: Row) -> None:
    with atomic.atomic(path) as partial:
        partial.write_text(json.dumps(record, sort_keys=True, indent=1) + "\n", encoding="utf-8")
