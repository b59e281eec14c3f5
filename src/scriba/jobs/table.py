"""The jobs table: every change of state is one statement that is true only if the edge is legal."""

from __future__ import annotations

from scriba.jobs.holds import JobHolds
from scriba.jobs.orders import JobOrders, NewJob

__all__ = ["JobTable", "NewJob"]


class JobTable(JobOrders, JobHolds):
    """Everything that is asked of jobs, done to them by doors, and done to them by workers."""
