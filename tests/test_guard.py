"""Moving code changes no result: the bytes of every stage at smoke, the numbers at desk."""

import json
from collections import Counter
from itertools import chain

import pytest

from tools import guard

RECORD = json.loads(guard.RECORD.read_text())


def test_every_stage_at_smoke_gives_the_bytes_that_it_gave():
    known = RECORD["stages"].get(guard.arithmetic())
    if known is None:
        pytest.skip("nothing is recorded for this machine's arithmetic: python -m tools.guard")
    found = guard.stages()
    before = Counter(chain.from_iterable(known.values()))  # kinds can get other names
    changed = {
        kind: left for kind, digests in found.items() if (left := len(Counter(digests) - before))
    }
    assert not changed, f"stages whose results are others, by kind: {changed}"
    assert before == Counter(chain.from_iterable(found.values()))


def test_every_number_at_desk_is_the_one_that_was_recorded():
    assert guard.numbers() == RECORD["numbers"]
