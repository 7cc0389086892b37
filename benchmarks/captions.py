"""Captions from a server that takes 50 ms for each: how much of the concurrency bound is kept busy, and memory.

    python -m benchmarks.captions

A stub server runs in its own process. ``OpenAIChat`` is asked from as many threads as its bound. Kept busy is the sum
of the latencies that the server gave, over wall time x bound; the stricter figure counts the bare 50 ms a request.
Other work on the machine takes from the figure: there, run it with ``nice -n -20``, which the report says.
"""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.commands import at_least, refusing
from lit_outpaint.captions.answers import CaptionsAnswer
from lit_outpaint.captions.prompts import load_prompt
from lit_outpaint.chat.openai_chat import OpenAIChat
from lit_outpaint.chat.requests import ChatRequest
from lit_outpaint.cli.one_line_parser import OneLineParser
from lit_outpaint.testing.servers import latency_stub, stub_stats

REPORT = Path(__file__).parent / "reports" / "captions.json"
SETTLED_AFTER = 1000
"""Requests after which memory should grow no more: connections, code and allocator pools are there."""


@refusing
def main() -> None:
    """Ask, and write the report."""
    parser = OneLineParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=at_least(2), default=10_000, help="how many captions are asked for")
    parser.add_argument("--concurrency", type=at_least(1), default=16, help="most requests in flight at once")
    parser.add_argument("--latency_s", type=float, default=0.05, help="what the server takes for each")
    args = parser.parse_args()
    load_before = round(os.getloadavg()[0], 2)
    with latency_stub(args.latency_s) as url:
        figures = measure(url, args.requests, args.concurrency, args.latency_s)
    report = {
        "benchmark": "captions",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": {"cores": os.cpu_count(), "load_before": load_before, "nice": os.nice(0)},
        "versions": {"openai": version("openai")},
        "settings": vars(args),
        "figures": figures,
    }
    for name, figure in figures.items():
        print(f"{name:20s} {figure}")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")


def measure(url: str, num_requests: int, concurrency: int, latency_s: float) -> dict[str, Any]:
    """Ask ``num_requests`` times and say what came of it."""
    chat = OpenAIChat("stub", url, concurrency=concurrency)
    turns = load_prompt("imagine.v1").fill(caption="a small boat on a wide river", n=4)
    request = ChatRequest(messages=turns, schema=CaptionsAnswer.model_json_schema())
    settled = min(SETTLED_AFTER, num_requests // 2)
    with ThreadPoolExecutor(concurrency) as pool:
        for _ in pool.map(lambda _: chat.reply(request), range(concurrency)):  # Imports, connections.
            pass
        before, cpu_s, start = stub_stats(url), time.process_time(), time.perf_counter()
        rss = []
        for number, reply in enumerate(pool.map(lambda _: chat.reply(request), range(num_requests)), 1):
            assert reply.text.startswith("{")
            if number in (settled, num_requests):
                rss.append(rss_mib())
        wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu_s
    after = stub_stats(url)
    chat.close()
    return {
        "kept_busy": round((after["busy_s"] - before["busy_s"]) / (wall_s * concurrency), 4),
        "kept_busy_strict": round(num_requests * latency_s / (wall_s * concurrency), 4),
        "requests_per_s": round(num_requests / wall_s, 1),
        "most_in_flight": after["in_flight"],
        "client_cpu_ms_each": round(1e3 * cpu_s / num_requests, 3),
        "rss_mib": round(rss[-1], 1),
        "rss_growth_mib": round(rss[-1] - rss[0], 2),
    }


def rss_mib() -> float:
    """Resident memory of this process in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
