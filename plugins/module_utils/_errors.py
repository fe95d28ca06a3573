# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way a task can fail, and the one place that reads the daemon's error texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SwarmError(Exception):
    """Base of all our errors; its text is the one line that the user reads."""


class InvalidOption(SwarmError):
    """An option cannot be what it is. Raised before anything is changed."""


class MissingLibrary(SwarmError):
    """A Python library that the module needs is not on the target."""


class WrongState(SwarmError):
    """The host, node or swarm is in a state in which the task cannot be done."""


class Refused(SwarmError):
    """It could be done, but it is unsafe and was not forced."""


class NotConverged(SwarmError):
    """The change was accepted, but the swarm did not become what was asked."""


class EngineError(SwarmError):
    """The Docker Engine answered with an error. `status` is 0 where there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Unreachable(EngineError):
    """No Docker Engine answers at the given address."""


class NotFound(EngineError):
    """The object does not exist."""


class NameTaken(EngineError):
    """Another object has that name."""


class OutOfSequence(EngineError):
    """Somebody else wrote the object since we read it."""


class ContentDiffers(EngineError):
    """A secret or config holds something else, and that can never be changed."""


class InUse(EngineError):
    """A service or a task uses what was to be removed."""


class AmbiguousWrite(EngineError):
    """The request failed in a way that does not tell whether it was carried out."""


class NotManager(EngineError):
    """The engine is not a manager of a swarm."""


class Locked(EngineError):
    """The engine's swarm state is encrypted and waits for the unlock key."""


class KeyRefused(EngineError):
    """The engine's swarm state is encrypted with another key than the one given."""


class AlreadyInSwarm(EngineError):
    """The engine is part of a swarm, or is just joining one."""


class JoinPending(EngineError):
    """The join did not finish in the engine's 20 s and goes on in the background."""


class TokenRefused(EngineError):
    """The manager does not take the join token, or its root CA is not the token's."""


# Many distinct states share HTTP 500 and 503, so the text has to tell them apart.
# Sources: moby daemon/cluster/errors.go, swarmkit manager/state/store/memory.go and
# manager/state/raft/raft.go; all texts seen on Engine 20.10 and 26.1.
_BY_TEXT: tuple[tuple[str, type[EngineError]], ...] = (
    ("update out of sequence", OutOfSequence),
    ("name conflicts with an existing object", NameTaken),
    ("only updates to labels are allowed", ContentDiffers),
    ("is in use by", InUse),
    ("needs to be unlocked", Locked),
    ("invalid key provided", KeyRefused),
    ("already part of a swarm", AlreadyInSwarm),
    ("timeout was reached before node", JoinPending),
    ("valid join token is necessary", TokenRefused),
    ("does not match fingerprint", TokenRefused),
    ("is not a swarm manager", NotManager),
    ("not part of a swarm", NotManager),
    ("does not have a leader", AmbiguousWrite),
    ("lost leader status", AmbiguousWrite),
    ("deadlineexceeded", AmbiguousWrite),
    ("deadline exceeded", AmbiguousWrite),
    ("rpc error: code = unavailable", AmbiguousWrite),
)
_BY_STATUS: dict[int, type[EngineError]] = {404: NotFound, 409: NameTaken}


def from_engine(doing: str, status: int, text: str) -> EngineError:
    """The error that an HTTP answer of the engine means; `doing` says what we tried."""
    lowered = text.lower()
    kind = next((kind for fragment, kind in _BY_TEXT if fragment in lowered), None)
    kind = kind or _BY_STATUS.get(status, EngineError)
    return kind(f"{doing}: Docker answered {status}: {' '.join(text.split())}", status)


def tells_absence(error: EngineError) -> bool:
    """Whether it says that there is no such network.

    Of one that the swarm has just removed, and this host still has tasks on, the engine says so
    with status 500 (moby daemon/cluster/helpers.go, getNetwork).
    """
    return isinstance(error, NotFound) or (error.status == 500 and "not found" in str(error))


def kind_of(value: Any) -> str:
    """What a value is in a message, where it may be long, or for nobody's eyes."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, (int, float)) else "a text"
