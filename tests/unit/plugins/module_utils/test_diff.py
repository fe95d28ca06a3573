# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

from ansible_collections.shoal.swarm.plugins.module_utils._diff import (
    changes,
    differing,
    for_ansible,
)
from ansible_collections.shoal.swarm.plugins.module_utils._plan import NOTHING, Action, Plan

UPDATE = Action(
    "update service web",
    "service_update",
    {"spec": {"secret": "s3cret"}},
    before={"replicas": 3, "image": "web:1", "env": ["A=1"]},
    after={"replicas": 5, "image": "web:1", "env": ["A=1", "B=2"]},
)
CREATE = Action("create the swarm", "swarm_init", {}, {}, {"state": "present"})


def test_a_plan_changes_something_where_it_has_an_action() -> None:
    assert not NOTHING.changed
    assert not Plan(warnings=("mind the gap",)).changed
    assert Plan((CREATE,)).changed


def test_only_what_differs_is_shown() -> None:
    before = {"same": 1, "changed": [1], "gone": 0}
    after = {"same": 1, "changed": [2], "new": 2}
    assert differing(before, after) == ({"changed": [1], "gone": 0}, {"changed": [2], "new": 2})


def test_ansible_gets_one_entry_for_each_action_in_order() -> None:
    assert for_ansible([CREATE, UPDATE]) == [
        {
            "before_header": "create the swarm",
            "after_header": "create the swarm",
            "before": {},
            "after": {"state": "present"},
        },
        {
            "before_header": "update service web",
            "after_header": "update service web",
            "before": {"replicas": 3, "env": ["A=1"]},
            "after": {"replicas": 5, "env": ["A=1", "B=2"]},
        },
    ]
    assert for_ansible([]) == []


def test_programs_get_before_and_after_at_each_leaf() -> None:
    (change,) = json.loads(json.dumps(changes([UPDATE])))
    assert change == {
        "action": "update service web",
        "difference": {"replicas": [3, 5], "env": {"$insert": [[1, "B=2"]]}},
    }


def test_what_goes_to_the_engine_is_never_shown() -> None:
    assert "s3cret" not in str([for_ansible([UPDATE]), changes([UPDATE])])
