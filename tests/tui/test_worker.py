"""The walk in the background can be stopped and gone on with, and makes way for keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import cast

from qevm.capture import Capture
from qevm.problems import SourceError
from qevm.source import BytesSource
from qevm_tui.worker import COURTESY, Progress, Walk


class Slow:
    """A capture whose walk takes as many steps as one likes."""

    def __init__(self, steps: int) -> None:
        self.source = BytesSource(b"\0" * steps)
        self.walked = 0
        self.complete = False
        self.generation = 0
        self.at_step = threading.Event()
        self.fails_at = -1

    def walk(self) -> Iterator[int]:
        while self.walked < self.source.size:
            if self.walked == self.fails_at:
                raise SourceError("the file was cut while open")
            self.walked += 1
            self.at_step.set()
            yield self.walked
        self.complete = True


def test_a_stopped_walk_says_so_and_goes_on_where_it_was():
    capture, reports = Slow(10**9), list[Progress]()
    walk = Walk(cast(Capture, capture), reports.append)
    thread = threading.Thread(target=walk.run)
    thread.start()
    assert capture.at_step.wait(5)
    walk.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert not reports[-1].running
    assert not reports[-1].complete
    there = capture.walked
    capture.source = BytesSource(b"\0" * (there + 5))
    walk.run()
    assert reports[-1].complete
    assert capture.walked == there + 5


def test_a_file_that_vanishes_is_reported():
    capture, reports = Slow(10), list[Progress]()
    capture.fails_at = 4
    Walk(cast(Capture, capture), reports.append).run()
    assert reports[-1].error == "the file was cut while open"
    assert reports[-1].offset == 4


def test_the_walk_stands_still_after_a_key():
    capture = Slow(3)
    walk = Walk(cast(Capture, capture), lambda progress: None)
    walk.make_way()
    begun = time.monotonic()
    walk.run()
    assert time.monotonic() - begun >= COURTESY * 0.9


def test_progress_is_reported_a_few_times_a_second_at_most():
    capture, reports = Slow(20_000), list[Progress]()
    begun = time.monotonic()
    Walk(cast(Capture, capture), reports.append).run()
    assert len(reports) <= 2 + 4 * (time.monotonic() - begun)
