"""Work that does not come to an end is ended, and other work is left alone."""

import threading
import time

import pytest

from pipelines.runtime.time_limits import TookTooLong, watched


def busy(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_an_endless_loop_is_ended():
    begun = time.monotonic()
    with pytest.raises(TookTooLong), watched(0.2):
        busy(60)
    assert 0.2 < time.monotonic() - begun < 30


def test_a_reader_that_catches_every_exception_is_ended_all_the_same():
    def read():
        try:
            busy(60)
        except Exception:
            return "swallowed"

    with pytest.raises(TookTooLong), watched(0.2):
        read()


def test_work_that_tells_that_it_is_alive_may_take_any_time():
    with watched(0.5) as work:
        for _ in range(20):
            busy(0.05)
            work.alive()


def test_other_threads_are_left_alone():
    ended = []

    def other():
        busy(1)
        ended.append(True)

    thread = threading.Thread(target=other)
    thread.start()
    with pytest.raises(TookTooLong), watched(0.1):
        busy(60)
    thread.join()
    assert ended == [True]


def test_nothing_comes_after_the_work_and_no_thread_is_left():
    before = threading.active_count()
    for number in range(200):
        # Limits at about the time that the work takes, so that both end in the same moment.
        try:
            with watched(0.004):
                busy(0.002 + number * 1e-5)
        except TookTooLong:
            pass
        busy(0.001)
    assert threading.active_count() == before


def test_errors_of_the_work_come_through():
    with pytest.raises(KeyError), watched(10):
        raise KeyError("a")
