"""Processes are not ended by an interrupt that comes before they can deal with it."""

import os
import signal
import time

import pytest
import toy_slow

from regl_core.engine.spawning import spawned


def test_an_interrupt_while_it_imports_is_held_back(capfd):
    process, pipe = spawned(toy_slow.answer, "here")
    time.sleep(0.5)  # it is importing
    os.kill(process.pid, signal.SIGINT)
    assert pipe.recv() == "here"
    pipe.send("go on")
    assert pipe.recv() == [signal.SIGINT]
    process.join()
    assert process.exitcode == 0 and capfd.readouterr().err == ""


def test_an_interrupt_can_be_ignored(capfd):
    process, pipe = spawned(toy_slow.ignore)
    os.kill(process.pid, signal.SIGINT)
    assert pipe.recv() == "here"
    os.kill(process.pid, signal.SIGINT)
    pipe.send("end")
    process.join()
    assert process.exitcode == 0 and capfd.readouterr().err == ""


def test_its_death_ends_the_pipe_and_the_parent_hears_interrupts_as_before():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    process, pipe = spawned(toy_slow.ignore)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    process.kill()
    with pytest.raises(EOFError):
        pipe.recv()
    process.join()
