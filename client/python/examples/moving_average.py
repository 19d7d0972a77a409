"""The work of Prophet and Cartographe: the moving averages that a research job tries, and how each would have traded.

The figures are those of scripts/demo/candidates.ts and scripts/demo/moving-average.ts: one demo runs either.
"""

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean, stdev

TRADING_DAYS_PER_YEAR = 252
CANDIDATES_PER_ROUND = 4
STRIDE = 17
"""Has no divisor in common with the number of pairs, so that all come, and neighbours in different rounds."""


@dataclass(frozen=True)
class Candidate:
    """The windows of the two averages, in bars."""

    fast: int
    slow: int

    @property
    def strategy_id(self) -> str:
        return f"sma-{self.fast}-{self.slow}"


JOBS = {
    "research-short": [
        Candidate(10, 30),
        Candidate(20, 50),
        Candidate(20, 100),
        Candidate(50, 200),
        Candidate(100, 50),
    ],
    "research-long": [Candidate(200, 6000)],
}
PAIRS = [
    Candidate(*pair) for pair in product((5, 10, 15, 20, 30, 40, 50, 60, 80, 100), (30, 60, 90, 120, 150, 200, 250))
]


def candidates_of(job_id: str) -> list[Candidate]:
    """Returns what a job tries: nothing for a job that is not the demo's."""
    match = re.fullmatch(r"research-([0-9]+)", job_id)
    if match is None:
        return JOBS.get(job_id, [])
    first = int(match[1]) * CANDIDATES_PER_ROUND
    return [PAIRS[number * STRIDE % len(PAIRS)] for number in range(first, first + CANDIDATES_PER_ROUND)]


@dataclass(frozen=True)
class Bar:
    date: str
    open: float
    close: float


def read_bars(path: Path) -> list[Bar]:
    """Reads daily bars, oldest first, from a CSV file with the columns date, open and close."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Bar(row["date"], float(row["open"]), float(row["close"])) for row in csv.DictReader(file)]


class Backtest:
    """Long while the fast average of the closes is above the slow one, from the next day's open on."""

    def __init__(self, candidate: Candidate, bars: list[Bar]) -> None:
        self._candidate = candidate
        self._bars = bars
        self._equity: list[float] = []
        self._gains: list[bool] = []

    def run(self) -> Iterator[int]:
        """Goes through the bars one by one, and yields how many are done."""
        fast, slow = self._candidate.fast, self._candidate.slow
        fast_sum = slow_sum = shares = entry = 0.0
        cash = 1.0
        wanted = False
        for index, bar in enumerate(self._bars):
            if wanted and not shares:
                shares, entry = cash / bar.open, bar.open
            elif shares and not wanted:
                cash, shares = shares * bar.open, 0.0
                self._gains.append(bar.open > entry)
            fast_sum += bar.close - (self._bars[index - fast].close if index >= fast else 0)
            slow_sum += bar.close - (self._bars[index - slow].close if index >= slow else 0)
            wanted = index >= slow - 1 and fast_sum / fast > slow_sum / slow
            self._equity.append(shares * bar.close if shares else cash)
            yield index + 1
        if shares:
            self._gains.append(self._bars[-1].close > entry)

    def metrics(self) -> dict[str, float]:
        """Returns the metrics of a backtest that has run."""
        peak, drawdown = 1.0, 0.0
        for value in self._equity:
            peak = max(peak, value)
            drawdown = max(drawdown, 1 - value / peak)
        returns = [value / before - 1 for before, value in zip([1.0, *self._equity], self._equity, strict=False)]
        deviation = stdev(returns)
        return {
            "total_return": rounded(self._equity[-1] - 1),
            "max_drawdown": rounded(drawdown),
            "trades": len(self._gains),
            "sharpe_ratio": rounded(fmean(returns) / deviation * math.sqrt(TRADING_DAYS_PER_YEAR)) if deviation else 0,
            "win_rate": rounded(sum(self._gains) / len(self._gains)) if self._gains else 0,
        }


def rounded(value: float) -> float:
    return math.floor(value * 10_000 + 0.5) / 10_000
