# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the memory swarm keeps: objects with a version each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible_collections.shoal.swarm.tests.unit.memory_swarm import Swarm

Document = dict[str, Any]

INVALID = "rpc error: code = InvalidArgument desc = "
PRECONDITION = "rpc error: code = FailedPrecondition desc = "
ALREADY_EXISTS = "rpc error: code = AlreadyExists desc = "
OUT_OF_SEQUENCE = "rpc error: code = Unknown desc = update out of sequence"


class Refusal(Exception):
    """An answer with an error's status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(eq=False)
class Thing:
    """An object of the store: an ID, a version, a spec."""

    swarm: Swarm
    id: str
    spec: Document
    version: int = 0

    def touch(self) -> None:
        self.swarm.index += 1
        self.version = self.swarm.index

    def write(self, version: str | None, spec: Document) -> None:
        """Optimistic locking: only who has seen the newest version may write."""
        if version is None or not str(version).isdigit():
            raise Refusal(400, f'invalid version "{version}": strconv.ParseUint: parsing')
        if int(version) != self.version:
            raise Refusal(500, OUT_OF_SEQUENCE)
        self.spec = spec
        self.touch()

    def document(self) -> Document:
        return {"ID": self.id, "Version": {"Index": self.version}, "Spec": self.spec}
