# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan as Ansible's before and after, and as a compact machine-readable difference."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.shoal.swarm.plugins.module_utils._libraries import look_in_venv

try:
    look_in_venv("jsondiff")
    import jsondiff
except ImportError:
    HAS_JSONDIFF = False
else:
    HAS_JSONDIFF = True

from ansible_collections.shoal.swarm.plugins.module_utils._plan import Action


def differing(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both sides without the top-level entries that are equal."""
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return (
        {key: before[key] for key in keys if key in before},
        {key: after[key] for key in keys if key in after},
    )


def for_ansible(actions: Iterable[Action]) -> list[dict[str, Any]]:
    """What `--diff` prints: one entry an action, only the options that differ."""
    entries = []
    for action in actions:
        before, after = differing(action.before, action.after)
        entries.append(
            {
                "before_header": action.summary,
                "after_header": action.summary,
                "before": before,
                "after": after,
            }
        )
    return entries


def changes(actions: Iterable[Action]) -> list[dict[str, Any]]:
    """The same for programs: jsondiff's symmetric form, `[before, after]` at each leaf."""
    return [
        {
            "action": action.summary,
            "difference": jsondiff.diff(
                _plain(action.before), _plain(action.after), syntax="symmetric", marshal=True
            ),
        }
        for action in actions
    ]


def _plain(document: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(document))
