"""Which steps run next: the policy alone, without threads and without a clock of its own.

Jobs are ordered by ``due``: the moment of submission plus an allowance by class. Live work therefore goes
first, and yet a batch job that has waited for its allowance goes before live work that comes after: nothing
starves. Decoding gains from company (up to seven times; nothing else does), so a decoding waits for others a
little while there is other work to do; how long is up to its job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from scriba.engine.port import Engine
from scriba.engine.scheduler.job import Job, Priority
from scriba.engine.steps import Decode

ALLOWANCE = {Priority.LIVE: 0.0, Priority.INTERACTIVE: 2.0, Priority.BATCH: 20.0}
"""Seconds by which later work of a higher class may overtake."""
LIVE_MEMORY = 2.0
"""Seconds after live work for which one worker is kept free of everything else."""


@dataclass(slots=True)
class Waiting:
    """Jobs that wait for a step, and the rule by which a free worker takes some of them.

    Args:
        workers: how many take from here.
        max_rows: sequences decoded together at the most, whatever the engine can; 0 leaves it to the engine.
    """

    workers: int
    max_rows: int
    _jobs: list[Job] = field(default_factory=list)
    _last_live: float = float("-inf")

    def __len__(self) -> int:
        return len(self._jobs)

    def count(self, priority: Priority) -> int:
        return sum(job.priority is priority for job in self._jobs)

    def add(self, job: Job, now: float) -> None:
        job.since = now
        if job.priority is Priority.LIVE:
            self._last_live = now
        self._jobs.append(job)

    def remove(self, jobs: Sequence[Job]) -> None:
        self._jobs = [job for job in self._jobs if job not in jobs]

    def pop_all(self) -> list[Job]:
        jobs, self._jobs = self._jobs, []
        return jobs

    def pop_ended(self, now: float) -> list[Job]:
        """Jobs that were cancelled or have expired, taken out."""
        ended = [
            job
            for job in self._jobs
            if job.cancel.cancelled
            or job.future.cancelled()
            or (job.expires is not None and now >= job.expires)
        ]
        if ended:
            self.remove(ended)
        return ended

    def take(self, now: float, running: Sequence[Priority]) -> list[Job]:
        """Jobs whose steps are to be performed together now; empty when nothing may run.

        Args:
            running: the class of each batch that other workers are performing.
        """
        ordered = sorted(
            (job for job in self._jobs if self._admits(job, now, running)),
            key=lambda job: (job.due, job.order),
        )
        unripe: list[Job] = []
        for job in ordered:
            if unripe and job.due > unripe[0].due + unripe[0].reach:
                break
            group = self._group(job, ordered, running)
            if not isinstance(job.step, Decode) or self._ripe(job, group, now):
                return self._taken(group)
            unripe = unripe or group
        # A free worker is worth more than a fuller batch.
        return self._taken(unripe)

    def _taken(self, group: list[Job]) -> list[Job]:
        self.remove(group)
        return group

    def _admits(self, job: Job, now: float, running: Sequence[Priority]) -> bool:
        """While live work comes in, the last free worker is kept for it."""
        if job.priority is Priority.LIVE or self.workers == 1 or now - self._last_live > LIVE_MEMORY:
            return True
        others = sum(priority is not Priority.LIVE for priority in running)
        return others < self.workers - 1

    def _group(self, job: Job, ordered: Sequence[Job], running: Sequence[Priority]) -> list[Job]:
        """The job and those that may be decoded with it, no more than its share of the free workers."""
        if job.key is None or job.engine is None or not isinstance(job.step, Decode):
            return [job]
        company = [own for own in ordered if own.key == job.key and own.engine is job.engine]
        company.remove(job)
        idle = max(1, self.workers - len(running))
        share = -(-(len(company) + 1) // idle)
        return [job, *company][: min(share, self._most(job.engine, job.step))]

    def most_windows(self, engine: Engine, rows: int, *, short: bool = False) -> int:
        """Windows of so many sequences each that may be decoded together; ``short``: of little context."""
        can = engine.capabilities
        most = min(can.batch_short_windows if short else can.batch_windows, can.batch_rows // rows)
        return max(1, min(most, self.max_rows // rows) if self.max_rows else most)

    def _most(self, engine: Engine, step: Decode) -> int:
        return self.most_windows(engine, step.request.rows, short=not step.encoded.full)

    def _ripe(self, job: Job, group: Sequence[Job], now: float) -> bool:
        if job.engine is None or not isinstance(job.step, Decode):
            return True
        full = len(group) >= self._most(job.engine, job.step)
        return full or now - job.since >= job.patience
