"""One scheduler per device: every step of inference of every user goes through it."""

from scriba.engine.scheduler.job import Priority
from scriba.engine.scheduler.scheduler import Scheduler

__all__ = ["Priority", "Scheduler"]
