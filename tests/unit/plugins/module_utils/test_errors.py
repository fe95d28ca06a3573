# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.shoal.swarm.plugins.module_utils import _errors
from ansible_collections.shoal.swarm.plugins.module_utils._errors import EngineError, from_engine
from ansible_collections.shoal.swarm.tests.unit import memory_swarm as texts
from ansible_collections.shoal.swarm.tests.unit.memory_store import OUT_OF_SEQUENCE


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (500, OUT_OF_SEQUENCE, _errors.OutOfSequence),
        (503, texts.NOT_MANAGER, _errors.NotManager),
        (503, texts.WORKER, _errors.NotManager),
        (503, texts.NOT_PART, _errors.NotManager),
        (503, texts.LOCKED, _errors.Locked),
        (401, texts.WRONG_KEY, _errors.KeyRefused),
        (503, texts.ALREADY, _errors.AlreadyInSwarm),
        (503, texts.JOIN_TIMEOUT, _errors.JoinPending),
        (400, texts.WRONG_TOKEN, _errors.TokenRefused),
        (500, texts.OTHER_CA, _errors.TokenRefused),
        (500, texts.NO_LEADER, _errors.AmbiguousWrite),
        (500, texts.DEADLINE, _errors.AmbiguousWrite),
        (500, texts.LOST_LEADER, _errors.AmbiguousWrite),
        (503, texts.REFUSED_CONNECTION, _errors.AmbiguousWrite),
        (404, "node nobody not found", _errors.NotFound),
        (409, "name conflicts with an existing object", _errors.NameTaken),
        # Nothing that could be waited out or repeated.
        (400, 'invalid Role: ""', EngineError),
        (503, texts.LEAVE_MANAGER + texts.LAST_MANAGER, EngineError),
        (503, texts.LEAVE_LOCKED, EngineError),
        (500, "network nowhere not found", EngineError),
        (501, "renaming services is not supported", EngineError),
    ],
)
def test_an_answer_of_the_engine_is_told_by_its_text_and_then_by_its_status(
    status: int, text: str, kind: type[EngineError]
) -> None:
    error = from_engine("do it", status, text)
    assert error.__class__ is kind
    assert error.status == status


def test_an_error_says_what_was_tried_and_what_the_engine_said_in_one_line() -> None:
    error = from_engine("update the swarm", 500, "first\n  second line\n")
    assert str(error) == "update the swarm: Docker answered 500: first second line"


def test_every_error_of_the_engine_is_one_of_ours() -> None:
    kinds = [kind for kind in vars(_errors).values() if isinstance(kind, type)]
    own = [kind for kind in kinds if kind.__module__ == _errors.__name__]
    assert len(own) > 10
    assert all(issubclass(kind, _errors.SwarmError) for kind in own)
