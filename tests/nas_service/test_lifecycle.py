"""The tables of moves."""

import pytest

from nas_service.lifecycle import (
    AT_WORK,
    CANDIDATE_FINISHED,
    CANDIDATE_MOVES,
    COMMITTING,
    FINISHED,
    HELD,
    MOVES,
    CandidateState,
    JobState,
    candidate_sources_of,
    sources_of,
)


def test_every_state_has_a_line_and_every_target_is_a_state() -> None:
    assert set(MOVES) == set(JobState)
    assert {target for targets in MOVES.values() for target in targets} <= set(JobState)


def test_three_states_are_final() -> None:
    assert {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED} == FINISHED


@pytest.mark.parametrize("state", JobState)
def test_a_final_state_can_be_reached_from_every_state(state: JobState) -> None:
    reached = {state}
    while True:
        more = reached | {target for source in reached for target in MOVES[source]}
        if more == reached:
            break
        reached = more
    assert reached & FINISHED


def test_every_state_but_the_first_has_a_source() -> None:
    assert all(sources_of(state) for state in JobState)
    assert sources_of(JobState.QUEUED) == {JobState.PAUSED, JobState.PAUSING, JobState.LOST}


def test_every_candidate_state_has_a_line_and_every_one_that_is_open_can_end_with_its_job() -> None:
    assert set(CANDIDATE_MOVES) == set(CandidateState)
    assert all(candidate_sources_of(state) for state in CandidateState)
    for state in set(CandidateState) - CANDIDATE_FINISHED:
        assert {CandidateState.CANCELLED, CandidateState.FAILED} <= CANDIDATE_MOVES[state]
    for state in AT_WORK:
        assert CandidateState.WAITING in CANDIDATE_MOVES[state], "its attempt may be over"


def test_a_driver_may_commit_only_in_states_in_which_it_holds_the_job() -> None:
    assert COMMITTING < HELD
