"""The state machine of jobs, as a whole."""

from __future__ import annotations

from scriba.domain.job import Edge, JobProgress, JobState


def test_every_edge_is_named_and_none_is_hidden_by_another() -> None:
    # Two members with equal values would be one member with two names.
    assert len(Edge.__members__) == len(list(Edge)) == 11
    assert {edge.label for edge in Edge} == {name.lower() for name in Edge.__members__}


def test_every_edge_is_drawn_in_the_documentation() -> None:
    import scriba.domain.job as module

    drawn = module.__doc__ or ""
    for edge in Edge:
        for source in edge.sources:
            begin = "(new)" if source is None else source.value.upper()
            line = next(
                line
                for line in drawn.splitlines()
                if line.strip().startswith(begin) and f"--{edge.label}-" in line
            )
            assert line.partition(">")[2].split()[0] == edge.target.value.upper()


def test_a_finished_job_moves_only_when_a_person_asks() -> None:
    for state in JobState:
        leaving = {edge for edge in Edge if state in edge.leaves}
        if state is JobState.COMPLETED:
            assert leaving == set()
        elif state.finished:
            assert leaving == {Edge.REQUEUE}
        else:
            assert JobState.CANCELLED in {edge.target for edge in leaving}


def test_progress_is_a_fraction() -> None:
    assert JobProgress().fraction == 0.0
    assert JobProgress(5.0, None).fraction == 0.0
    assert JobProgress(5.0, 20.0).fraction == 0.25
    assert JobProgress(21.0, 20.0).fraction == 1.0
