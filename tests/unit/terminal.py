# Copyright (c) 2026, the shoal.swarm authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A terminal, as far as what we print uses one."""

from __future__ import annotations

import re


class Terminal:
    """What can be read after all that was written, scrolled-off lines included."""

    def __init__(self, height: int) -> None:
        self.lines = [""]
        self._height = height
        self._row = 0
        self._column = 0

    def write(self, text: str) -> None:
        # Colours take no room.
        for part in re.findall(
            r"\x1b\[\d*[AJ]|[\r\n]|[^\x1b\r\n]+", re.sub(r"\x1b\[[\d;]*m", "", text)
        ):
            self._one(part)

    def _one(self, part: str) -> None:
        if part == "\n":
            self._row, self._column = self._row + 1, 0
            if self._row == len(self.lines):
                self.lines.append("")
        elif part == "\r":
            self._column = 0
        elif part == "\x1b[J":
            self.lines[self._row] = self.lines[self._row][: self._column]
            del self.lines[self._row + 1 :]
        elif part.startswith("\x1b["):
            # The cursor does not go above the top.
            top = max(0, len(self.lines) - self._height)
            self._row = max(top, self._row - int(part[2:-1]))
        else:
            line = self.lines[self._row].ljust(self._column)
            end = self._column + len(part)
            self.lines[self._row] = line[: self._column] + part + line[end:]
            self._column = end
