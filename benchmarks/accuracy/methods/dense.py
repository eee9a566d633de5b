"""Plain training: what the others are measured against."""

from __future__ import annotations

from jobs import Job, Trained


def train(job: Job) -> Trained:
    """The network as it is."""
    model = job.new_model()
    return Trained(model, job.fit(model))
