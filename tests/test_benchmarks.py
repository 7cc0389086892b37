"""Others that compute on the machine do not multiply what a command takes of it."""

import pytest

from benchmarks.busy import COMMANDS, measured
from lit_outpaint.system.threads import usable_cores


@pytest.mark.slow
def test_a_command_takes_at_most_three_times_its_quiet_cpu_time_beside_others() -> None:
    row = measured(COMMANDS["outpaint"], rounds=1, threads=max(2, usable_cores()), defaults=False)
    assert row["busy_over_alone"] <= 3
