# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of the module swarm_init: it shows how its wait goes."""

from __future__ import annotations

from ansible_collections.shoal.swarm.plugins.plugin_utils._watch import WatchedAction


class ActionModule(WatchedAction):
    pass
