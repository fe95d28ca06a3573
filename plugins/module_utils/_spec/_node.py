# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node's own settings as options: the NodeSpec, and the label arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._membership import Role
from ansible_collections.shoal.swarm.plugins.module_utils._spec._swarm import AVAILABILITIES
from ansible_collections.shoal.swarm.plugins.module_utils._spec._table import (
    MAPPING,
    TEXT,
    Row,
    wanted,
)

LABELS = Row("labels", MAPPING, ("Labels",))
AVAILABILITY = Row("availability", TEXT, ("Availability",), argument={"choices": AVAILABILITIES})
ROLE = Row("role", TEXT, ("Role",), argument={"choices": [role.value for role in Role]})

MERGE = "merge"
REPLACE = "replace"


def labels_after(
    before: Mapping[str, str],
    given: Mapping[str, Any] | None,
    state: str,
    to_remove: Sequence[str] | None,
) -> dict[str, str]:
    """The labels a node shall have: given ones merged in or alone, named ones removed.

    A label that is both given and removed is removed, as in `docker node update`.
    """
    kept = {} if state == REPLACE and given is not None else dict(before)
    after = {**kept, **wanted((LABELS,), {"labels": given}).get("labels", {})}
    return {key: value for key, value in after.items() if key not in (to_remove or ())}
