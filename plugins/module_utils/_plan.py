# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be done, as data. Check mode, diff, `changed` and the results all come from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Action:
    """One write: which operation with which arguments, and what it changes in the user's terms.

    `before` and `after` are shown to the user, so secrets never enter them.
    `arguments` go to the engine and are never shown.
    """

    summary: str
    operation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    # Neighbours in the plan that are of one group need not wait for each other.
    group: str = ""


@dataclass(frozen=True)
class Plan:
    """The writes that make the observed state the wanted one; empty where nothing differs."""

    actions: tuple[Action, ...] = ()
    warnings: tuple[str, ...] = ()
    # What comes next can only be decided after these actions: look and decide again.
    continues: bool = False

    @property
    def changed(self) -> bool:
        return bool(self.actions)


NOTHING = Plan()
